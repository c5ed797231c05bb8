# copier: filter replace("my_project", package_name)
"""A memory in closed form learns and answers as its equations say, wherever a text is cut."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from my_project.models.memory import NeuralMemory, NeuralMemoryConfig, State
from my_project.models.memory_update import FLAT

from .streams import awake, in_pieces

KINDS = [{"depth": depth, "residual": residual} for depth in (1, 2) for residual in (False, True)]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind.values())))


def small(dtype: torch.dtype = torch.float64, **options: Any) -> NeuralMemory:
    """Return a memory whose weights are all at work, the gates far from their ends."""
    torch.manual_seed(0)
    memory = awake(NeuralMemoryConfig(**{"dim": 8, "num_heads": 2, "chunk_size": 4, **options}).build(), 0.4).to(dtype)
    with torch.no_grad():
        memory.gates.bias.copy_(torch.tensor([-1.0, 0.5, 1.0]).repeat_interleave(memory.config.num_heads))
    return memory


def text(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(1)).requires_grad_()


def recall(memory: NeuralMemory, weights: list[Tensor], asked: Tensor) -> Tensor:
    """Return what memories [M, I, O] answer to queries [M, I]: the MLP, and the residual with its LayerNorm."""
    found = asked.unsqueeze(1)
    for number, weight in enumerate(weights):
        found = (F.silu(found) if number else found) @ weight
    found = found.squeeze(1)
    if memory.scale is None:
        return found
    size = found.shape[-1]
    scale = memory.scale.repeat(len(asked) // len(memory.scale), 1)
    return asked + scale * F.layer_norm(found, (size,), eps=FLAT / size)


def recurrence(memory: NeuralMemory, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return answers [B, L, D], and weights and momentum at the last border of chunks: equations 12 to 16, by autograd.

    The gradient is that of the loss of one token, at the weights as they were at the start of its chunk.
    """
    config, rows = memory.config, len(x)
    written, _ = memory.tokens(x, memory.start(x)["tail"][0])
    keys, values, gates, queries = (part.movedim(1, 0).flatten(1, 2) for part in written)  # [L, B H, ...]
    initial = [weight.repeat(rows, 1, 1) for weight in memory.initial]
    anchor = now = border = initial
    momentum = at_border = [torch.zeros_like(weight) for weight in initial]
    answers = list[Tensor]()
    for place, (key, value, gate, query) in enumerate(zip(keys, values, gates, queries, strict=True)):
        if place % config.chunk_size == 0:
            anchor, border, at_border = now, now, momentum
        missed = (recall(memory, anchor, key) - value).square().sum(-1)
        if math.isfinite(config.limit):
            missed = 2 * config.limit**2 * ((1 + missed / config.limit**2).sqrt() - 1)
        slopes = torch.autograd.grad(missed.sum(), anchor, create_graph=True)
        keep, last, step = gate.exp()[..., None, None].unbind(1)
        momentum = [last * old - step * slope for old, slope in zip(momentum, slopes, strict=True)]
        ends = initial if config.returns else [torch.zeros_like(weight) for weight in now]
        now = [keep * (weight - end) + end + push for weight, end, push in zip(now, ends, momentum, strict=True)]
        answers.append(recall(memory, now, query))
    if len(x[0]) % config.chunk_size == 0:
        border, at_border = now, momentum
    found = torch.stack(answers).unflatten(1, (rows, -1)).movedim(1, 0).flatten(2)  # [B, L, D]
    return found, [*border, *at_border]


def learnt(memory: NeuralMemory, state: State) -> list[Tensor]:
    """Return weights and momentum [B H, I, O] that a state holds."""
    parts = [fast.flatten(0, 1).chunk(2, dim=1) for fast in state["fast"]]
    rows = len(state["fast"][0])
    bases = [weight.repeat(rows, 1, 1) * memory.config.returns for weight in memory.initial]
    return [part[0] + base for part, base in zip(parts, bases, strict=True)] + [part[1] for part in parts]


def slopes(memory: NeuralMemory, x: Tensor, outputs: Tensor, state: list[Tensor]) -> list[Tensor]:
    weights = torch.linspace(-1, 1, outputs.numel(), dtype=outputs.dtype).view_as(outputs)
    loss = (outputs * weights).sum() + sum(part.square().sum() for part in state)
    return list(torch.autograd.grad(loss, [x, *memory.parameters()]))


CASES = [(1, [5]), (1, [2, 3]), (4, [8]), (4, [11]), (4, [3, 4, 6]), (7, [9, 1, 12]), (16, [16, 5]), (64, [64, 6])]


@every_kind
@pytest.mark.parametrize(("chunk_size", "pieces"), CASES)
def test_outputs_state_and_gradients_are_those_of_a_plain_recurrence(
    kind: dict[str, Any], chunk_size: int, pieces: list[int]
) -> None:
    memory, x = small(chunk_size=chunk_size, **kind), text(2, sum(pieces), 8)
    expected, reached = recurrence(memory, x)
    found, state = in_pieces(memory, x, pieces)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(learnt(memory, state), reached, rtol=1e-10, atol=1e-10)
    ours, plain = slopes(memory, x, found, learnt(memory, state)), slopes(memory, x, expected, reached)
    torch.testing.assert_close(ours, plain, rtol=1e-9, atol=1e-10)


@every_kind
@pytest.mark.parametrize("chunk_size", [1, 4, 64])
def test_in_single_precision_outputs_differ_by_a_rounding(kind: dict[str, Any], chunk_size: int) -> None:
    memory, x = small(chunk_size=chunk_size, **kind), text(2, 70, 8)
    expected, _ = recurrence(memory, x)
    found, _ = memory.float()(x.float())
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("decay_to", ["initial", "zero"])
@pytest.mark.parametrize("depth", [1, 2])
def test_forgetting_returns_to_where_it_is_set_to(decay_to: str, depth: int) -> None:
    memory, x = small(depth=depth, decay_to=decay_to), text(1, 10, 8)
    torch.testing.assert_close(memory(x)[0], recurrence(memory, x)[0], rtol=1e-10, atol=1e-10)
    with torch.no_grad():  # all is forgotten at once, and nothing learnt
        memory.gates.weight.zero_()
        memory.gates.bias.copy_(torch.tensor([60.0, -60.0, -60.0]).repeat_interleave(2))
    target = [weight if decay_to == "initial" else weight * 0 for weight in memory.initial]
    found = learnt(memory, memory(x[:, :8])[1])
    torch.testing.assert_close(found[:depth], [*target], rtol=1e-10, atol=1e-10)


@every_kind
def test_the_gradient_by_hand_is_that_of_finite_differences(kind: dict[str, Any]) -> None:
    memory, x = small(dim=3, num_heads=1, chunk_size=2, conv_size=2, **kind), text(1, 5, 3)
    names = [name for name, _ in memory.named_parameters()]

    def outputs(x: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        found, state = functional_call(memory, dict(zip(names, weights, strict=True)), (x,))
        return found, *state["fast"]

    weights = [parameter.detach().clone().requires_grad_() for parameter in memory.parameters()]
    assert torch.autograd.gradcheck(outputs, (x, *weights))


@every_kind
def test_no_token_changes_what_is_answered_before_it(kind: dict[str, Any]) -> None:
    memory, x = small(**kind), text(1, 11, 8).detach()
    before, _ = memory(x)
    for place in range(11):
        changed = x.clone()
        changed[:, place] += 1
        after, _ = memory(changed)
        torch.testing.assert_close(after[:, :place], before[:, :place], rtol=0, atol=0)
        assert not torch.isclose(after[:, place:], before[:, place:]).all(2).any()


@every_kind
@pytest.mark.parametrize("pieces", [[1] * 22, [11, 11], [4, 1, 7, 10]], ids=len)
def test_it_does_not_matter_where_a_text_is_cut(kind: dict[str, Any], pieces: list[int]) -> None:
    memory, x = small(**kind), text(2, 22, 8)
    (found, _), (expected, _) = in_pieces(memory, x, pieces), memory(x)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@every_kind
def test_rows_do_not_see_each_other_and_calls_leave_nothing_behind(kind: dict[str, Any]) -> None:
    memory, x = small(**kind), text(3, 10, 8)
    together, _ = memory(x)
    torch.testing.assert_close(memory(x)[0], together, rtol=0, atol=0)
    for row in range(3):
        torch.testing.assert_close(memory(x[row : row + 1])[0], together[row : row + 1], rtol=1e-12, atol=1e-12)


@every_kind
@pytest.mark.parametrize(("pending", "alike"), [(0, 11), (2, 2)])
def test_rows_that_are_reset_go_on_as_if_they_began(kind: dict[str, Any], pending: int, alike: int) -> None:
    memory, x = small(**kind), text(2, 15 + pending, 8)
    begin = 4 + pending  # in the middle of a chunk a text is like one that begins, up to the chunk's end
    _, state = memory(x[:, :begin])
    found, _ = memory(x[:, begin:], memory.reset(state, torch.tensor([True, False])))
    anew, on = memory(x[:1, begin:])[0], memory(x[1:])[0][:, begin:]
    torch.testing.assert_close(found[1:], on, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(found[:1, :alike], anew[:, :alike], rtol=1e-10, atol=1e-10)
    gradients = torch.autograd.grad(found[0].sum(), [x, memory.initial[0]])
    assert not gradients[0][:, :begin].any()  # nothing is left of the text before
    assert gradients[1].any()  # and where a row begins is learnt


def test_a_linear_memory_without_momentum_that_goes_all_the_way_knows_what_it_learnt_last() -> None:
    memory, x = small(depth=1, chunk_size=1, conv_size=1), text(1, 6, 8).detach()
    with torch.no_grad():
        memory.gates.weight.zero_()
        memory.gates.bias.copy_(torch.tensor([-60.0, -60.0, 60.0]).repeat_interleave(2))
        memory.streams.weight[16:] = memory.streams.weight[:8]  # it is asked for the key that it has just learnt
        memory.taps[:, 16:] = memory.taps[:, :8]
    (_, values, _, _), _ = memory.tokens(x, memory.start(x)["tail"][0])
    torch.testing.assert_close(memory(x)[0], values.flatten(2), rtol=1e-3, atol=1e-3)


def test_a_memory_that_may_not_learn_answers_with_its_initial_weights() -> None:
    memory, x = small(), text(1, 9, 8).detach()
    with torch.no_grad():
        memory.gates.weight.zero_()
        memory.gates.bias.copy_(torch.tensor([-700.0, 0.0, -700.0]).repeat_interleave(2))
    (_, _, _, queries), _ = memory.tokens(x, memory.start(x)["tail"][0])
    expected = [recall(memory, [*memory.initial], asked) for asked in queries[0]]
    torch.testing.assert_close(memory(x)[0][0], torch.stack(expected).flatten(1), rtol=1e-12, atol=1e-12)


def test_tokens_are_mixed_with_those_just_before_them() -> None:
    memory, x = small(conv_size=3), text(1, 7, 8).detach()
    (keys, values, _, _), tail = memory.tokens(x, memory.start(x)["tail"][0])
    streams = memory.streams(x)[0]  # [L, 3 D]
    for place in range(7):
        mixed = torch.stack([memory.taps[2 - back] * streams[place - back] for back in range(min(3, place + 1))]).sum(0)
        key, value = F.silu(mixed).view(3, 2, 4)[:2]
        torch.testing.assert_close(values[0, place], value)
        torch.testing.assert_close(keys[0, place], F.normalize(key, dim=-1), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(tail[0], streams[-2:])
    # copier: endfilter
