# copier: filter replace("my_project", package_name)
"""Titans blocks look back and never ahead, go on where they stopped, and gate between attention and memory."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from my_project.models.memory import NeuralMemoryConfig
from my_project.models.sliding_window import BASE, SlidingAttention
from my_project.models.titans_mag import MagConfig, MagStack

from .streams import awake, check_order, in_pieces, leaves

GATES = ["convex", "literal"]


def small(**options: Any) -> MagStack:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {
        "dim": 16,
        "num_heads": 2,
        "window": 4,
        "memory": NeuralMemoryConfig(chunk_size=5),
        **options,
    }
    return awake(MagConfig(**sizes).build())


def text(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def plain_attention(attention: SlidingAttention, x: Tensor) -> Tensor:
    """Return what each token [L, D] is given, one head and one pair of tokens after the other."""
    heads, rows = attention.num_heads, list[Tensor]()
    queries, keys, values = (part.unflatten(-1, (heads, -1)) for part in attention.streams(x).chunk(3, dim=-1))
    for here in range(len(x)):
        for head in range(heads):
            seen = range(max(0, here - attention.window + 1), here + 1)
            scores = [turned(queries[here, head], here - there) @ keys[there, head] for there in seen]
            given = [values[there, head] for there in seen]
            size = queries.shape[-1]
            for key, value in zip(attention.persistent_keys, attention.persistent_values, strict=True):
                scores.append(queries[here, head, -len(key[head]) :] @ key[head])
                given.append(value[head])
            weights = (torch.stack(scores) / math.sqrt(size)).softmax(0)
            rows.append(weights @ torch.stack(given))
    return torch.stack(rows).view(len(x), -1)


def turned(vector: Tensor, distance: int) -> Tensor:
    """Turn the pairs in the first half of a vector, by complex numbers (Su et al. 2021, equation 14)."""
    quarter = len(vector) // 4
    points = torch.complex(vector[:quarter], vector[quarter : 2 * quarter])
    angles = torch.tensor([distance * BASE ** (-n / quarter) for n in range(quarter)], dtype=torch.float64)
    points = points * torch.polar(torch.ones(quarter, dtype=torch.float64), angles)
    return torch.cat([points.real, points.imag, vector[2 * quarter :]])


@pytest.mark.parametrize("window", [1, 2, 7, 40, 70])
@pytest.mark.parametrize("length", [1, 43])
def test_attention_is_what_a_plain_loop_makes_of_the_equations(window: int, length: int) -> None:
    block: Any = small(window=window).blocks[0]
    attention, x = block.attention, text(1, length, 16)
    torch.testing.assert_close(attention(x)[0][0], plain_attention(attention, x[0]), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("gate", GATES)
def test_no_token_changes_what_is_said_before_it(gate: str) -> None:
    check_order(small(gate=gate), text(1, 13, 16))


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("window", [1, 4, 20])
@pytest.mark.parametrize("pieces", [[1] * 43, [21, 22], [4, 1, 38], [40, 3]], ids=len)
def test_it_does_not_matter_where_a_text_is_cut(gate: str, window: int, pieces: list[int]) -> None:
    stack, x = small(gate=gate, window=window), text(2, 43, 16)
    torch.testing.assert_close(in_pieces(stack, x, pieces)[0], stack(x)[0], rtol=1e-9, atol=1e-9)


def test_the_state_does_not_grow_with_the_text() -> None:
    stack = small()
    sizes = [sum(part.numel() for part in leaves(stack(text(1, length, 16))[1])) for length in (5, 10, 100)]
    assert sizes == sizes[:1] * 3


def test_rows_do_not_see_each_other_and_calls_leave_nothing_behind() -> None:
    stack, x = small(), text(3, 12, 16)
    together, _ = stack(x)
    torch.testing.assert_close(stack(x)[0], together, rtol=0, atol=0)
    for row in range(3):
        torch.testing.assert_close(stack(x[row : row + 1])[0], together[row : row + 1], rtol=1e-10, atol=1e-10)


def test_rows_that_are_reset_go_on_as_if_they_began() -> None:
    stack, x = small(), text(2, 27, 16).requires_grad_()
    _, state = stack(x[:, :10])
    found, _ = stack(x[:, 10:], stack.reset(state, torch.tensor([True, False])))
    torch.testing.assert_close(found[:1], stack(x[:1, 10:])[0], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found[1:], stack(x[1:])[0][:, 10:], rtol=1e-9, atol=1e-9)
    (gradient,) = torch.autograd.grad(found[0].sum(), x)
    assert not gradient[:, :10].any()


@pytest.mark.parametrize(("bias", "alone"), [(1e4, "attention"), (-1e4, "memory")])
def test_a_gate_at_its_limits_gives_attention_alone_and_memory_alone(bias: float, alone: str) -> None:
    stack, x = small(), text(1, 9, 16)
    block: Any = stack.blocks[0]
    with torch.no_grad():
        block.gate.weight.zero_()
        block.gate.bias.fill_(bias)
    normal = block.norm(x)
    part, norm = getattr(block, alone), {"attention": block.norm_attended, "memory": block.norm_recalled}[alone]
    mixed = x + block.outward(norm(part(normal)[0]))
    torch.testing.assert_close(block(x)[0], mixed + block.mlp(block.norm_mixed(mixed)), rtol=1e-12, atol=1e-12)


def test_the_literal_gate_is_attention_times_a_sigmoid_of_the_memory() -> None:
    stack, x = small(gate="literal"), text(2, 5, 16)
    block: Any = stack.blocks[0]
    attended, recalled = text(2, 5, 16) + 1, text(2, 5, 16) - 1
    weights = block.norm_attended.weight, block.norm_recalled.weight
    first, second = (F.rms_norm(p, (16,), w, 1e-6) for p, w in zip((attended, recalled), weights, strict=True))
    torch.testing.assert_close(block.mix(x, attended, recalled), first * second.sigmoid())


def test_attention_sees_its_window_and_only_the_memory_what_lies_before() -> None:
    stack, x = small(depth=1), text(1, 12, 16)
    block: Any = stack.blocks[0]
    changed = x.clone()
    changed[:, 3] += 1
    for bias, far in ((1e4, False), (-1e4, True)):
        with torch.no_grad():
            block.gate.weight.zero_()
            block.gate.bias.fill_(bias)
        differs = ~torch.isclose(stack(changed)[0], stack(x)[0], rtol=0, atol=1e-12).all(2)[0]
        assert differs.tolist() == [False] * 3 + [True] * 4 + [far] * 5


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="dim: got 20, want a multiple of 4 \\* num_heads, 16"):
        MagConfig(dim=20, num_heads=4)
    # copier: endfilter
