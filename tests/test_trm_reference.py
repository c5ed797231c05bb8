"""The official TRM code's own figures (commit e7b6871), met with its weights, from its carries."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from my_project.models.trm import Trm, TrmConfig
from my_project.types import Batch

FOLDER = Path(__file__).parent / "reference"
NAMES = {  # the official name's parts, and ours
    "embed_tokens.embedding_weight": "embed.weight",
    "lm_head": "head",
    "q_head": "act.linear",
    "puzzle_emb.weights": "tasks.weight",
    "H_init": "first_answer",
    "L_init": "first_latent",
    "L_level.layers": "network.blocks",
    "mlp_t": "mixer.mlp",
    "self_attn": "mixer",
    "gate_up_proj": "up",
    "down_proj": "down",
    "qkv_proj": "qkv",
    "o_proj": "out",
}
CASES = [("mlp", "tokens"), ("attention", "attention")]
STEPS = range(1, 5)
LAST_PLACE = 2**-23  # of a number in float32, relative to it


def ours(name: str) -> str:
    for official, own in NAMES.items():
        name = name.replace(official, own)
    return name


def load(name: str, mixer: str, dtype: torch.dtype) -> tuple[dict[str, Tensor], Trm, Batch]:
    """Return the stored figures, our model with the official weights, and the rows: puzzle's number, then tokens."""
    stored = {key: torch.from_numpy(value) for key, value in np.load(FOLDER / f"trm_{name}.npz").items()}
    size = {key.removeprefix("config."): int(value) for key, value in stored.items() if key.startswith("config.")}
    options: dict[str, Any] = {
        "vocab_size": size["vocab_size"],
        "seq_len": size["seq_len"],
        "num_prefix": size["puzzle_emb_len"],
        "num_tasks": len(stored["weights.puzzle_emb.weights"]),
        "dim": size["hidden_size"],
        "depth": size["L_layers"],
        "mixer": mixer,
        "num_heads": size["num_heads"],
        "expansion": size["expansion"],
        "multiple_of": 256,
        "num_latent": size["L_cycles"],
        "num_passes": size["H_cycles"],
        "halt_pool": "first",
        "diversity_weight": 0.0,
    }
    model = TrmConfig(**options).build()
    weights = {key.removeprefix("weights."): value for key, value in stored.items() if key.startswith("weights.")}
    model.load_state_dict({ours(key): value for key, value in weights.items()})
    inputs = torch.cat([stored["puzzle_ids"][:, None], stored["inputs"]], dim=1)
    return stored, model.to(dtype), Batch(inputs, stored["labels"], torch.arange(len(inputs)))


def close(got: Tensor, want: Tensor, tolerance: float = 1e-4) -> None:
    torch.testing.assert_close(got.double(), want.double(), rtol=0, atol=tolerance)


def carry_of(stored: dict[str, Tensor], step: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The official answer and latent state before a step."""
    return stored[f"answer_before.step{step}"].to(dtype), stored[f"latent_before.step{step}"].to(dtype)


def think(model: Trm, batch: Batch, before: tuple[Tensor, Tensor]) -> list[Tensor]:
    """The answer and latent state, logits and halting logits of a step from a carry."""
    (answer, latent), logits, halt_logits = model.think(batch.inputs, before)
    return [answer, latent, logits, halt_logits]


@torch.no_grad()
def rounding(name: str, mixer: str, step: int, draws: int = 8) -> float:
    """How far a step moves where weights and carry move by the last place of float32: what no processor gets right."""
    moved = list[Tensor]()
    for draw in range(draws + 1):
        noise, (stored, model, batch) = torch.Generator().manual_seed(draw), load(name, mixer, torch.float64)
        carry = carry_of(stored, step, torch.float64)
        for part in (*model.parameters(), *carry) if draw else ():
            part.mul_(1 + (2 * torch.rand(part.shape, generator=noise, dtype=part.dtype) - 1) * LAST_PLACE)
        moved.append(torch.cat([part.flatten() for part in think(model, batch, carry)]))
    return max(float((each - moved[0]).abs().max()) for each in moved[1:])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("name", "mixer"), CASES)
def test_each_step_from_the_official_carry_gives_the_official_logits(name: str, mixer: str, dtype: torch.dtype) -> None:
    stored, model, batch = load(name, mixer, dtype)
    for step in STEPS:
        tolerance = 1e-4 if dtype == torch.float64 else max(1e-4, 2 * rounding(name, mixer, step))
        answer, latent, logits, halt_logits = think(model, batch, carry_of(stored, step, dtype))
        close(logits, stored[f"logits.step{step}"], tolerance)
        close(halt_logits, stored[f"q_halt.step{step}"], tolerance)
        if step + 1 in STEPS:
            close(answer, stored[f"answer_before.step{step + 1}"], tolerance)
            close(latent, stored[f"latent_before.step{step + 1}"], tolerance)


@pytest.mark.parametrize(("name", "mixer"), CASES)
def test_rows_begin_in_the_official_state(name: str, mixer: str) -> None:
    stored, model, batch = load(name, mixer, torch.float32)
    for part, got in zip(("answer", "latent"), model.start(batch.inputs), strict=True):
        close(got, stored[f"{part}_before.step1"], tolerance=0.0)


@pytest.mark.parametrize(("name", "mixer"), CASES)
def test_the_first_loss_and_its_gradients_are_the_official_ones(name: str, mixer: str) -> None:
    stored, model, batch = load(name, mixer, torch.float32)
    loss = model(batch).loss * len(batch.index)  # the official one is a sum over rows
    assert loss.item() == pytest.approx(stored["loss.step1"].item(), rel=1e-5)
    loss.backward()
    gradients = {key: parameter.grad for key, parameter in model.named_parameters()}
    norms = {key.removeprefix("grad_norm."): value for key, value in stored.items() if key.startswith("grad_norm.")}
    assert {ours(key) for key in norms} == gradients.keys() - {
        "tasks.weight"
    }  # the official code has its own rule there
    for key, want in norms.items():
        gradient = gradients[ours(key)]
        assert gradient is not None
        assert gradient.norm().item() == pytest.approx(want.item(), rel=1e-3), key
