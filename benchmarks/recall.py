"""Recall: keys and values, noise for longer than attention reaches, then the keys again.

MQAR: Arora et al. 2023, arXiv 2312.04927. A part of components.py.
"""

from collections.abc import Iterable
from dataclasses import replace
from itertools import count

import torch
from torch import Tensor, nn

from benchmarks.learning import show, size, told, train
from my_project.models.memory import NeuralMemoryConfig
from my_project.models.titans_mag import MagConfig
from my_project.models.titans_text import TitansText, TitansTextConfig
from my_project.training.optimizer import OptimConfig
from my_project.types import UNKNOWN, Batch, Carry

FAR = 3  # times the trained gap
CASES = ((4, 32, 64, 45.0), (8, 64, 128, 120.0))  # pairs, kinds of keys and of values, tokens of noise, seconds
FILLERS, ROWS, HELD_OUT = 16, 16, 1024  # kinds of noise; rows of a batch; rows to measure on
NEAR_CHANCE, OTHER = 0.02, 1_000_000  # OTHER: further than this from the seed of what is learnt is that of new rows


def pairs(number: int, kinds: int, gap: int, rows: int, draw: torch.Generator) -> Batch:
    """Return rows of pairs of a key and a value, as many tokens of noise as the gap, and the keys again in any order.

    Targets are the values, at the keys' second time.
    """
    shape = rows, kinds
    keys = torch.rand(shape, generator=draw).argsort(1)[:, :number]  # [B, N]
    values = torch.randint(kinds, (rows, number), generator=draw)
    order = torch.rand((rows, number), generator=draw).argsort(1)
    noise = torch.randint(2 * kinds, 2 * kinds + FILLERS, (rows, gap), generator=draw)
    told = torch.stack([keys, kinds + values], dim=2).flatten(1)  # [B, 2 N]
    inputs = torch.cat([told, noise, keys.gather(1, order)], dim=1)
    targets = torch.full_like(inputs, UNKNOWN)
    targets[:, -number:] = kinds + values.gather(1, order)
    return Batch(inputs, targets, torch.arange(rows))


class Nothing(nn.Module):
    """Stands where a memory was, and recalls nothing."""

    def forward(self, x: Tensor, state: Carry = None) -> tuple[Tensor, Carry]:
        """Return zeros for tokens [B, L, D] -> [B, L, D]."""
        return torch.zeros_like(x), state


def attention_alone(config: TitansTextConfig) -> TitansText:
    """Return a model without memory, its SwiGLU layers so much wider that it has as many parameters or more."""
    wanted = size(config.build())
    for wider in count():
        ratio = config.stack.mlp_ratio + wider * 8 / config.stack.dim
        model = replace(config, stack=replace(config.stack, mlp_ratio=ratio)).build()
        for block in model.stack.blocks:
            block.memory = Nothing()
        if size(model) >= wanted:
            break
    return model


@torch.no_grad()
def recalled(model: nn.Module, number: int, kinds: int, gap: int, seed: int) -> float:
    """Return the share of the values that the model recalls, of rows drawn by a seed."""
    batch = pairs(number, kinds, gap, HELD_OUT, torch.Generator().manual_seed(seed))
    asked = batch.targets != UNKNOWN
    found: Tensor = model(batch).outputs.argmax(-1)
    return (found == batch.targets)[asked].float().mean().item()


def contenders(kinds: int) -> dict[str, TitansText]:
    """Return a model with memory, and window attention alone."""
    stack = MagConfig(num_heads=2, window=16, memory=NeuralMemoryConfig(depth=1))
    config = TitansTextConfig(vocab_size=2 * kinds + FILLERS, stack=stack)
    return {"with memory": config.build(), "window attention alone": attention_alone(config)}


def recall(scale: float, seed: int, cases: Iterable[tuple[int, int, int, float]] = CASES) -> list[bool]:
    """Let a model with memory, and window attention alone, recall pairs from far outside the window."""
    holds = list[bool]()
    for number, kinds, gap, seconds in cases:
        torch.manual_seed(seed)
        for what, model in contenders(kinds).items():
            draw = torch.Generator().manual_seed(seed)
            batches = (pairs(number, kinds, gap, ROWS, draw) for _ in count())
            spent = train(model, batches, OptimConfig(lr=2e-3, weight_decay=0.1), seconds * scale)
            print(told(f"{what}, seed {seed}", model, *spent), flush=True)
            bounds = {"least": 0.98} if what == "with memory" else {"most": 1 / kinds + NEAR_CHANCE}
            for length in (gap, FAR * gap):
                name = f"{number} pairs, {length} tokens later, {what}; chance {1 / kinds:.3f}"
                holds.append(show(name, recalled(model, number, kinds, length, seed + OTHER), **bounds))
    return holds
