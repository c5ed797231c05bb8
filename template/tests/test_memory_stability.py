# copier: filter replace("my_project", package_name)
"""A memory stays finite, and so do its gradients, over all that its settings admit; what would diverge is refused."""

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from my_project.models.memory import NeuralMemory, NeuralMemoryConfig
from my_project.models.memory_update import mix
from my_project.models.titans_mag import MagConfig

KINDS = [{"depth": depth, "residual": residual} for depth in (1, 2) for residual in (False, True)]
GATES = [*product((-20.0, -5.0, 5.0), (-20.0, 0.0, 8.0))]  # forgetting; momentum; the step is the largest there is


def extreme(**options: Any) -> NeuralMemory:
    """Return a memory with 18 heads, two for each pair of gates, that makes the largest steps, towards large values."""
    torch.manual_seed(0)
    memory = NeuralMemoryConfig(dim=18 * 4, num_heads=18, **options).build()
    pairs = torch.tensor(GATES).repeat(2, 1).T
    with torch.no_grad():
        memory.gates.weight.zero_()
        memory.gates.bias.copy_(torch.cat([pairs[0], pairs[1], torch.full((18,), 15.0)]))
        memory.streams.weight[72:144] *= 30
    return memory


def inputs(kind: str, length: int) -> Tensor:
    """Return texts [1, L, D]: one token again and again, two in turn, each of them for long, or all different."""
    tokens = torch.randn(length, 72, generator=torch.Generator().manual_seed(1))
    places = torch.arange(length)
    chosen = {"constant": places * 0, "two": places % 2, "runs": places // 40, "random": places}[kind]
    return tokens[chosen].unsqueeze(0)


def check(memory: nn.Module, x: Tensor) -> None:
    outputs, _ = memory(x.requires_grad_())
    assert outputs.isfinite().all()
    outputs.float().square().mean().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    wild = [name for name, p in memory.named_parameters() if p.grad is not None and not p.grad.isfinite().all()]
    assert wild == []


@pytest.mark.parametrize("repeats", ["constant", "two", "runs", "random"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
@pytest.mark.parametrize("chunk_size", [1, 16, 64])
def test_the_largest_steps_on_repeated_keys_stay_finite(kind: dict[str, Any], chunk_size: int, repeats: str) -> None:
    check(extreme(chunk_size=chunk_size, **kind), inputs(repeats, 128 if chunk_size == 1 else 640))


@pytest.mark.parametrize("repeats", ["constant", "runs"])
@pytest.mark.parametrize("decay_to", ["initial", "zero"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
@pytest.mark.parametrize("chunk_size", [4, 256])
def test_the_ends_of_all_settings_stay_finite(
    kind: dict[str, Any], chunk_size: int, decay_to: str, repeats: str
) -> None:
    errors = [1e-3, 1.0] if kind["depth"] == 2 and not kind["residual"] else [1e-3, 1e3]
    for max_error, conv_size, expansion in zip(errors, [1, 8], [1, 4], strict=True):
        options = {"max_error": max_error, "conv_size": conv_size, "expansion": expansion, "decay_to": decay_to}
        check(extreme(chunk_size=chunk_size, **options, **kind), inputs(repeats, 300))


@pytest.mark.parametrize("size", [0.0, 1e-20, 1e4, 1e8])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
def test_inputs_of_any_size_drive_gates_to_their_ends_and_nothing_beyond(kind: dict[str, Any], size: float) -> None:
    torch.manual_seed(0)
    memory = NeuralMemoryConfig(dim=72, num_heads=2, chunk_size=16, **kind).build()
    check(memory, inputs("runs", 200) * size)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
def test_a_text_of_8192_tokens_is_read_and_learnt_from(kind: dict[str, Any]) -> None:
    memory = NeuralMemoryConfig(dim=16, num_heads=2, **kind).build()
    check(memory, inputs("runs", 8192)[..., :16].clone())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
def test_under_bf16_a_memory_keeps_its_weights_in_single_precision(kind: dict[str, Any]) -> None:
    memory, x = extreme(**kind), inputs("runs", 640)
    with torch.autocast("cpu", torch.bfloat16):
        check(memory, x)
        _, state = memory(x)
    assert {fast.dtype for fast in state["fast"]} == {torch.float32}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_a_whole_model_of_another_precision_reads_and_learns(dtype: torch.dtype) -> None:
    model = MagConfig(dim=16, num_heads=2, window=8).build().to(dtype)
    check(model, inputs("runs", 200)[..., :16].clone().to(dtype))
    parts, state, x = list[Tensor](), None, torch.randn(2, 90, 16, dtype=dtype)
    for cut in x.split(40, dim=1):
        found, state = model(cut, state)
        parts.append(found)
    assert parts[0].dtype == dtype
    rounding = 0.1 if dtype == torch.bfloat16 else 1e-10
    torch.testing.assert_close(torch.cat(parts, dim=1), model(x)[0], rtol=rounding, atol=rounding)


def test_gates_at_their_ends_unroll_to_finite_factors() -> None:
    ends = torch.tensor([-0.0, -1e-8, -1.0, -1e4]).repeat(3, 1, 1)
    for keep, last, step in product(range(4), repeat=3):
        logs = [ends[..., [chosen] * 64] for chosen in (keep, last, step)]
        assert all(part.isfinite().all() for part in mix(*logs))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_step": 0.02}, "max_step 0.02 with chunk_size 64: .* want max_step at most 0.003906, or smaller chunks"),
        ({"max_step": 0.02, "depth": 1}, "want max_step at most 0.007812"),
        ({"max_error": 1.5}, "max_error 1.5 with depth 2: .* want max_error at most 1, or residual, or depth 1"),
        ({"num_heads": 5}, "num_heads 5 must divide dim 64"),
        ({"depth": 3}, "Input should be 1 or 2"),
        ({"max_step": 0.0}, "greater than 0"),
        ({"chunk_size": 0}, "greater than 0"),
    ],
)
def test_settings_outside_the_range_are_refused_with_the_reason(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NeuralMemoryConfig(**options)


def test_a_larger_step_than_is_admitted_does_diverge() -> None:
    memory = extreme(depth=1, chunk_size=16)
    largest = memory(inputs("constant", 640))[0].abs().max()
    with torch.no_grad():
        memory.config.__dict__["max_step"] = 8 * memory.config.stable_step
    assert not memory(inputs("constant", 640))[0].abs().max() < 1e6 * largest


@pytest.mark.parametrize(("decay_to", "learns"), [("zero", False), ("initial", True)])
def test_a_deep_memory_that_has_decayed_to_zero_never_learns_again(decay_to: Any, learns: bool) -> None:
    memory = NeuralMemoryConfig(dim=8, num_heads=2, decay_to=decay_to).build().double()
    x, state, ends = inputs("random", 640)[..., :8].double(), None, list[Tensor]()
    for forget, step in ((10.0, -60.0), (-10.0, 0.0)):  # it forgets all and learns nothing, then the other way round
        with torch.no_grad():
            memory.gates.weight.zero_()
            memory.gates.bias[:2], memory.gates.bias[-2:] = forget, step
        _, state = memory(x, state)
        ends.append(state["fast"][1].chunk(2, dim=2)[0])
    assert ends[0].abs().max() < 1e-9
    assert bool(ends[1].abs().max() > 1e-3) is learns
    # copier: endfilter
