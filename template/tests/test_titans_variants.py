# copier: filter replace("my_project", package_name)
"""Memory as a context and as a layer look back and never ahead, and go on where they stopped."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from my_project import config as configs
from my_project.models.memory import NeuralMemoryConfig
from my_project.models.titans_mac import MacConfig
from my_project.models.titans_mag import MagConfig, MagStack
from my_project.models.titans_mal import MalConfig

from .streams import awake, check_order, in_pieces, leaves
from .test_memory import KINDS, learnt
from .test_memory import recall as answer
from .test_memory import small as small_memory
from .test_titans_mag import text, turned

SIZES: dict[str, Any] = {"dim": 16, "num_heads": 2}
MEMORY = NeuralMemoryConfig(chunk_size=5)
MAC, LITERAL = MacConfig(**SIZES, memory=MEMORY), MacConfig(**SIZES, memory=MEMORY, gate="literal")
MAL = MalConfig(**SIZES, memory=MEMORY, window=4)
every = pytest.mark.parametrize("config", [MAC, LITERAL, MAL], ids=["mac", "mac-literal", "mal"])


def small(config: MacConfig | MalConfig) -> MagStack:
    torch.manual_seed(0)
    return awake(config.build())


@every
def test_no_token_changes_what_is_said_before_it(config: MacConfig | MalConfig) -> None:
    check_order(small(config), text(1, 13, 16))


@every
@pytest.mark.parametrize("pieces", [[1] * 23, [11, 12], [4, 1, 18], [10, 13], [3, 2, 5, 13]], ids=len)
def test_it_does_not_matter_where_a_text_is_cut(config: MacConfig | MalConfig, pieces: list[int]) -> None:
    stack, x = small(config), text(2, 23, 16)
    torch.testing.assert_close(in_pieces(stack, x, pieces)[0], stack(x)[0], rtol=1e-9, atol=1e-9)


@every
def test_the_gradient_is_the_same_wherever_a_text_is_cut(config: MacConfig | MalConfig) -> None:
    stack, x, found = small(config), text(2, 13, 16), list[tuple[Tensor, ...]]()
    for pieces in ([13], [4, 3, 6]):
        loss = in_pieces(stack, x, pieces)[0].square().mean()
        found.append(torch.autograd.grad(loss, [*stack.parameters()]))
    torch.testing.assert_close(found[0], found[1], rtol=1e-8, atol=1e-10)
    assert all(slope.any() for slope in found[0])


@every
def test_the_state_does_not_grow_with_the_text(config: MacConfig | MalConfig) -> None:
    stack = small(config)
    sizes = [sum(part.numel() for part in leaves(stack(text(1, length, 16))[1])) for length in (5, 10, 50)]
    assert sizes == sizes[:1] * 3


@every
def test_rows_do_not_see_each_other_and_calls_leave_nothing_behind(config: MacConfig | MalConfig) -> None:
    stack, x = small(config), text(3, 12, 16)
    together, _ = stack(x)
    torch.testing.assert_close(stack(x)[0], together, rtol=0, atol=0)
    torch.testing.assert_close(stack(x, stack.start(x))[0], together, rtol=0, atol=0)
    for row in range(3):
        torch.testing.assert_close(stack(x[row : row + 1])[0], together[row : row + 1], rtol=1e-10, atol=1e-10)


@every
@pytest.mark.parametrize(("begin", "alike"), [(10, 13), (12, 3)])
def test_rows_that_are_reset_go_on_as_if_they_began(config: MacConfig | MalConfig, begin: int, alike: int) -> None:
    stack, x = small(config), text(2, 23, 16).requires_grad_()  # within a segment they are like new ones to its end
    _, state = stack(x[:, :begin])
    found, _ = stack(x[:, begin:], stack.reset(state, torch.tensor([True, False])))
    torch.testing.assert_close(found[:1, :alike], stack(x[:1, begin:])[0][:, :alike], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found[1:], stack(x[1:])[0][:, begin:], rtol=1e-9, atol=1e-9)
    (gradient,) = torch.autograd.grad(found[0].sum(), x)
    assert not gradient[:, :begin].any()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
def test_a_memory_recalls_by_the_weights_of_the_last_full_chunk(kind: dict[str, Any]) -> None:
    memory, x, asked = small_memory(**kind), text(2, 10, 8), text(2, 7, 8)
    _, state = memory(x)
    found = memory.recall(asked, state)
    weights = learnt(memory, state)[: memory.config.depth]
    queries = F.silu(asked).unflatten(-1, (2, -1))
    queries = queries * (queries.square().sum(-1, keepdim=True) + 1e-6).rsqrt()
    expected = torch.stack([answer(memory, weights, token.flatten(0, 1)) for token in queries.unbind(1)], dim=1)
    expected = expected.unflatten(0, (2, 2)).transpose(1, 2).flatten(2)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(memory.recall(asked, memory(x[:, :8])[1]), found, rtol=1e-12, atol=1e-12)
    assert not torch.isclose(memory.recall(asked, memory.start(x)), found).all(2).any()


def plain_context(block: Any, x: Tensor) -> Tensor:
    """Return what a block makes of one row [1, L, D]: equations 21 to 25, one token and one head after the other."""
    size, normal, state, rows = block.memory.config.chunk_size, block.norm(x), block.memory.start(x), list[Tensor]()
    for segment in normal.split(size, dim=1):
        recalled = block.norm_recalled(block.memory.recall(block.ask(segment), state))
        seen, attended = list[Tensor](), list[Tensor]()
        for here in range(segment.shape[1]):
            seen += [recalled[0, here], segment[0, here]]
            attended.append(plain_attention(block.attention, torch.stack(seen)))
        y = block.norm_attended(torch.stack(attended)).unsqueeze(0)
        answers, state = block.memory(y, state)
        g = block.gate(segment).sigmoid()
        rows.append(g * y + (1 - g) * block.norm_answered(answers))
    x = x + block.outward(torch.cat(rows, dim=1))
    out: Tensor = x + block.mlp(block.norm_mixed(x))
    return out


def plain_attention(attention: Any, seen: Tensor) -> Tensor:
    """Return what the last of some tokens [L, D] is given by all of them and the persistent ones."""
    parts, heads = (part.unflatten(-1, (2, -1)) for part in attention.streams(seen).chunk(3, dim=-1)), list[Tensor]()
    queries, keys, values = parts
    for head in range(2):
        query, last = queries[-1, head], len(seen) - 1
        scores = [turned(query, last - place) @ keys[place, head] for place in range(len(seen))]
        scores += [query[-key.shape[-1] :] @ key for key in attention.persistent_keys[:, head]]
        weights = (torch.stack(scores) / math.sqrt(len(query))).softmax(0)
        heads.append(weights @ torch.cat([values[:, head], attention.persistent_values[:, head]]))
    return torch.cat(heads)


def test_memory_as_a_context_is_what_a_plain_loop_makes_of_the_equations() -> None:
    block, x = small(MAC).blocks[0], text(1, 13, 16)
    torch.testing.assert_close(block(x)[0], plain_context(block, x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("bias", "alone"), [(1e4, "attention"), (-1e4, "memory")])
def test_a_gate_at_its_limits_gives_attention_alone_and_memory_alone(bias: float, alone: str) -> None:
    stack, x = small(MAC), text(1, 4, 16)
    block: Any = stack.blocks[0]
    with torch.no_grad():
        block.gate.weight.zero_()
        block.gate.bias.fill_(bias)
    normal = block.norm(x)
    recalled = block.norm_recalled(block.memory.recall(block.ask(normal), block.memory.start(x)))
    y = block.norm_attended(block.attention(torch.stack([recalled, normal], dim=2).flatten(1, 2))[0][:, 1::2])
    mixed = x + block.outward({"attention": y, "memory": block.norm_answered(block.memory(y)[0])}[alone])
    torch.testing.assert_close(block(x)[0], mixed + block.mlp(block.norm_mixed(mixed)), rtol=1e-12, atol=1e-12)


def test_the_literal_gate_is_attention_times_a_sigmoid_of_the_memory() -> None:
    block: Any = small(LITERAL).blocks[0]
    attended, answered = text(2, 5, 16) + 1, text(2, 5, 16) - 1
    expected = attended * F.rms_norm(answered, (16,), block.norm_answered.weight, 1e-6).sigmoid()
    torch.testing.assert_close(block.mix(attended, attended, answered), expected)


def differs(block: Any, place: int) -> list[bool]:
    """Return which of 12 tokens a block answers otherwise when the one at a place is another."""
    x = text(1, 12, 16)
    changed = x.clone()
    changed[:, place] += 1
    return (~torch.isclose(block(changed)[0], block(x)[0], rtol=0, atol=1e-12).all(2)[0]).tolist()


def test_a_segment_knows_of_those_before_it_by_what_the_memory_recalls() -> None:
    block: Any = small(MAC).blocks[0]
    with torch.no_grad():
        block.gate.weight.zero_()
        block.gate.bias.fill_(1e4)  # attention alone
    assert differs(block, 3) == [False] * 3 + [True] * 9
    with torch.no_grad():
        block.norm_recalled.weight.zero_()
    assert differs(block, 3) == [False] * 3 + [True] * 2 + [False] * 7


@pytest.mark.parametrize(("silent", "seen"), [("recalled", 4), ("attended", 9)])
def test_without_its_memory_a_layer_sees_its_window_and_without_attention_all(silent: str, seen: int) -> None:
    block: Any = small(MAL).blocks[0]
    with torch.no_grad():
        getattr(block, silent).weight.zero_()
    assert differs(block, 3) == [False] * 3 + [True] * seen + [False] * (9 - seen)


def test_attention_is_given_what_the_memory_has_added() -> None:
    block, x = small(MAL).blocks[0], text(2, 9, 16)
    parts: Any = block
    middle = x + parts.recalled(parts.norm_recalled(parts.memory(parts.norm(x))[0]))
    after = middle + parts.attended(parts.attention(parts.norm_attended(middle))[0])
    torch.testing.assert_close(block(x)[0], after + parts.mlp(parts.norm_mixed(after)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("config", [MacConfig(**SIZES), MalConfig(**SIZES)], ids=["mac", "mal"])
def test_under_bf16_long_texts_stay_finite_and_so_do_gradients(config: MacConfig | MalConfig) -> None:
    x, stack = text(1, 150, 16).float().requires_grad_(), config.build()
    with torch.autocast("cpu", torch.bfloat16):
        out, state = stack(x)
    out.float().square().mean().backward()
    assert out.isfinite().all()
    assert all(part.grad is not None and part.grad.isfinite().all() for part in stack.parameters())
    assert {fast.dtype for part in state for fast in part["memory"]["fast"]} == {torch.float32}


def test_a_stack_of_no_kind_is_that_of_memory_as_a_gate() -> None:
    model: Any = configs.load("titans_text", {"model.stack": "{dim: 32}"}).model
    assert model.stack == MagConfig(dim=32)


@pytest.mark.parametrize(
    ("stack", "message"),
    [
        ("{kind: mac, window: 3}", "model.stack.mac.window"),
        ("{kind: mam}", "does not match any of the expected tags: 'mag', 'mac', 'mal'"),
        ("{kind: mac, dim: 20}", "dim: got 20, want a multiple of 4 \\* num_heads, 16"),
        ("{kind: mal, dim: 20}", "dim: got 20, want a multiple of 4 \\* num_heads, 16"),
    ],
)
def test_stacks_that_do_not_fit_are_refused(stack: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        configs.load("titans_text", {"model.stack": stack})
    # copier: endfilter
