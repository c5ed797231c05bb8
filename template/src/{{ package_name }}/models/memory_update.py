"""How a neural memory changes over a chunk of tokens, and what it answers, in closed form: Titans, equations 12 to 18.

The memory is an MLP whose weights learn while it reads (Behrouz, Zhong and Mirrokni 2025, arXiv 2501.00663). With
gradients taken at the chunk's start (equation 16), the gradient of layer l at token j is the outer product of the
layer's input x_j and the error d_j that reaches its output. The recurrences S_t = eta_t S_{t-1} - theta_t x_t d_t'
and M_t = (1 - alpha_t) M_{t-1} + S_t (equations 13 and 14) then unroll to

    M_i = a_i M + g_i S - sum_{j <= i} G_ij x_j d_j'

from the weights M and momentum S at the chunk's start, so that a whole chunk is read and written by matrix products.
Letters in shapes: N chunks, M memories (rows of the batch times heads), C tokens of a chunk, I and O a layer's inputs
and outputs.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

TOGETHER = 96  # memories times chunks that are read at once: fewer take more calls, more do not fit the cache
TINY = 1e-19  # a smaller factor changes nothing, and its products are subnormal numbers, which cost ten times as much
FLAT = 0.1  # squared length up to which a LayerNorm hardly stretches: at 0 it would be a cliff, and gradients explode


class Mixing(NamedTuple):
    """What the gates of a chunk's tokens come to: the factors of the sum above."""

    read: Tensor  # [N, M, C, 2] a_i and g_i: how much of weights and momentum token i still sees
    within: Tensor  # [N, M, C, C] G_ij: how much token i sees of what token j wrote
    write: Tensor  # [N, M, C, 2] what the chunk's end keeps of token j, in the weights and in the momentum
    carry: Tensor  # [N, M, 2, 2] the chunk's end: weights and momentum, of weights and momentum at its start


class Loss(NamedTuple):
    """What a memory minimises when it learns: see `surprise`."""

    scale: Tensor | None  # [M, 1, O] of the LayerNorm, where the memory has a residual
    limit: float  # where the loss turns from square to linear


class Met(NamedTuple):
    """What the layers met while some chunks were written, first layer first: reading needs it once more."""

    inputs: Sequence[Tensor]  # [n, M, C, I] for the keys
    errors: Sequence[Tensor]  # [n, M, C, O] at the outputs


class Tape(NamedTuple):
    """Everything about a pass that its gradient needs; the lists have an entry per layer, or one less."""

    queries: Tensor  # [N, M, C, I]
    keys: Tensor  # [N, M, C, I]
    values: Tensor  # [N, M, C, O]
    mixing: Mixing
    loss: Loss
    base: Sequence[Tensor]  # [M, I, O] what the weights decay to; empty where that is 0
    fast: Sequence[Tensor]  # [N + 1, M, 2 I, O] weights (less the base) above momentum, at the borders of chunks
    hidden: Sequence[Tensor]  # [N, M, C, O] what enters the activations for the keys
    blame: Sequence[Tensor]  # [N, M, C, O] the error that leaves them backwards
    error: Tensor  # [N, M, C, O] the gradient of the loss by the last layer's outputs
    soft: Tensor  # [N, M, C, 1] what the limit leaves of it
    asked: Sequence[Tensor]  # [N, M, C, O] what enters the activations for the queries, and at the end the answers


def settle(factors: Tensor) -> Tensor:
    """Take factors [...] too small to matter as 0."""
    return F.threshold(factors, TINY, 0.0)


def join(first: Mixing, second: Mixing) -> Mixing:
    """Unroll tokens [..., C] and the [..., D] after them as one: [..., C + D]."""
    corner = second.read @ first.write.mT  # [..., D, C] how much the later ones see of what the earlier ones wrote
    before = F.pad(first.within, (0, corner.shape[-2]))
    return Mixing(
        read=torch.cat([first.read, settle(second.read @ first.carry)], dim=-2),
        within=torch.cat([before, torch.cat([corner, second.within], dim=-1)], dim=-2),
        write=torch.cat([settle(first.write @ second.carry.mT), second.write], dim=-2),
        carry=settle(second.carry @ first.carry),
    )


def mix(log_keep: Tensor, log_momentum: Tensor, log_step: Tensor) -> Mixing:
    """Unroll the gates log(1 - alpha), log(eta) and log(theta) of chunks: [N, M, C] each -> Mixing.

    First each token by itself, then pairs, fours and so on up to the chunk: all of them products of gates, none a
    quotient or a difference, in which small ones could be lost beside large ones.
    """
    size = log_keep.shape[-1]
    idle = (0, (1 << (size - 1).bit_length()) - size)  # tokens that fill up to a power of two, and change nothing
    gates = [settle(part.exp()) for part in (log_keep, log_momentum, log_step)]
    keep, last, push, step = (
        F.pad(gates[n], idle, value=still) for n, still in ((0, 1.0), (1, 1.0), (1, 0.0), (2, 0.0))
    )
    found = Mixing(  # [N, M, C, ...]
        read=torch.stack([keep, push], dim=-1).unsqueeze(-2),
        within=step[..., None, None],
        write=torch.stack([step, step], dim=-1).unsqueeze(-2),
        carry=torch.stack([keep, push, torch.zeros_like(keep), last], dim=-1).unflatten(-1, (2, 2)),
    )
    while found.carry.shape[2] > 1:
        found = join(*(Mixing(*(part[:, :, begin::2] for part in found)) for begin in (0, 1)))
    read, within, write, carry = (part.squeeze(2) for part in found)
    return Mixing(read[:, :, :size], within[..., :size, :size], write[:, :, :size], carry)


def surprise(outputs: Tensor, keys: Tensor, values: Tensor, loss: Loss) -> tuple[Tensor, Tensor]:
    """Return the gradient of the loss (equation 12) by the MLP's outputs [M, C, O], and how soft it is [M, C, 1].

    The loss is |outputs - values|^2, or with a residual |keys + scale LayerNorm(outputs) - values|^2 (Sun et al. 2024).
    With a limit it is 2 limit^2 (sqrt(1 + |.|^2 / limit^2) - 1), the pseudo-Huber loss: no gradient exceeds 2 limit.
    """
    if loss.scale is None:
        missed = outputs - values
    else:
        centred = outputs - outputs.mean(-1, keepdim=True)
        inverse = (centred.square().mean(-1, keepdim=True) + FLAT / outputs.shape[-1]).rsqrt()
        normal = centred * inverse
        missed = keys + loss.scale * normal - values
    if loss.limit < math.inf:
        soft = (1 + missed.square().sum(-1, keepdim=True) * loss.limit**-2).rsqrt()
    else:
        soft = torch.ones_like(missed[..., :1])
    slope = missed * (2 * soft)
    if loss.scale is None:
        return slope, soft
    slope = slope * loss.scale
    return inverse * (slope - slope.mean(-1, keepdim=True) - normal * (slope * normal).mean(-1, keepdim=True)), soft


def twice(inputs: Tensor, pair: Tensor) -> Tensor:
    """Return the inputs times each of a pair of factors, side by side: [..., C, I], [..., C, 2] -> [..., C, 2 I]."""
    return (inputs.unsqueeze(-2) * pair.unsqueeze(-1)).flatten(-2)


def bend(slope: Tensor, at: Tensor) -> Tensor:
    """Return a gradient behind the activation, SiLU, from the one before it: [...], [...] -> [...]."""
    found: Tensor = torch.ops.aten.silu_backward(slope, at)
    return found


def weights(tape: Tape, layer: int, chunk: int) -> Tensor:
    """Return a layer's weights at a chunk's start: [M, I, O]."""
    fast = tape.fast[layer][chunk]
    moved = fast[:, : fast.shape[1] // 2]
    return moved + tape.base[layer] if tape.base else moved


def advance(old: Tensor, new: Tensor, factors: tuple[Tensor, Tensor], inputs: Tensor, errors: Tensor) -> None:
    """Set weights and momentum to what a chunk's end keeps: of its start by [M, 2, 2], of its tokens by [M, C, 2].

    [M, 2 I, O], inputs [M, C, I], errors [M, C, O] -> [M, 2 I, O]. For a single token equations 13 and 14 as they
    stand take the fewest passes over memory: S_t = eta S - theta x d', M_t = (1 - alpha) M + S_t.
    """
    (weight, momentum), (target, below), (carry, pair) = old.chunk(2, dim=1), new.chunk(2, dim=1), factors
    keep, push, _, last = carry.reshape(-1, 4, 1, 1).unbind(1)  # [M, 1, 1] each; weights are never momentum
    torch.mul(momentum, last, out=below)
    if inputs.shape[1] == 1:
        below.addcmul_((inputs * pair[..., 1:]).mT, errors, value=-1)
        torch.addcmul(below, weight, keep, out=target)
    else:
        torch.mul(weight, keep, out=target).addcmul_(momentum, push)
        torch.baddbmm(new, twice(inputs, pair).mT, errors, alpha=-1, out=new)


def write(tape: Tape, chunk: int, met: Met) -> None:
    """Let the memory learn a chunk's keys and values: fill the next border of `fast`, and what led to it."""
    depth, keys = len(tape.fast), tape.keys[chunk]
    layers = [weights(tape, number, chunk) for number in range(depth)]
    for number, hidden in enumerate(tape.hidden):
        torch.bmm(met.inputs[number], layers[number], out=hidden[chunk])
        torch.ops.aten.silu.out(hidden[chunk], out=met.inputs[number + 1])
    found = surprise(met.inputs[-1] @ layers[-1], keys, tape.values[chunk], tape.loss)
    met.errors[-1].copy_(found[0])
    tape.soft[chunk].copy_(found[1])
    for number in reversed(range(depth)):
        old, new = tape.fast[number][chunk : chunk + 2]
        factors = tape.mixing.carry[chunk], tape.mixing.write[chunk]
        advance(old, new, factors, met.inputs[number], met.errors[number])
        if number:
            blame, hidden = tape.blame[number - 1][chunk], tape.hidden[number - 1][chunk]
            torch.bmm(met.errors[number], layers[number].mT, out=blame)
            torch.ops.aten.silu_backward.grad_input(blame, hidden, grad_input=met.errors[number - 1])


def errors(tape: Tape, layer: int, chunks: slice = slice(None)) -> Tensor:
    """Return the error at a layer's outputs, for the keys of some chunks: [n, M, C, O]."""
    if layer == len(tape.blame):
        return tape.error[chunks]
    return bend(tape.blame[layer][chunks], tape.hidden[layer][chunks])


def read(tape: Tape, chunks: slice, met: Met) -> None:
    """Answer queries by the memory as it was right after each token (equation 15): fill `asked` for some chunks."""
    queries, within, pair = (
        part[chunks].flatten(0, 1) for part in (tape.queries, tape.mixing.within, tape.mixing.read)
    )
    for layer, (fast, asked) in enumerate(zip(tape.fast, tape.asked, strict=True)):
        answers = asked[chunks].flatten(0, 1)  # [n M, C, O]
        if within.shape[1] == 1:  # what a single token sees is the border behind it
            torch.bmm(queries, fast[1:][chunks].flatten(0, 1)[:, : queries.shape[-1]], out=answers)
        else:
            inputs, errors = met.inputs[layer].flatten(0, 1), met.errors[layer].flatten(0, 1)
            torch.bmm(twice(queries, pair), fast[:-1][chunks].flatten(0, 1), out=answers)
            seen = torch.bmm(queries, inputs.mT).mul_(within)  # [n M, C, C]
            torch.baddbmm(answers, seen, errors, alpha=-1, out=answers)
        if tape.base:
            parts = (part.chunk(max(1, len(tape.keys[chunks]))) for part in (answers, queries))
            for answer, query in zip(*parts, strict=True):
                torch.baddbmm(answer, query, tape.base[layer], out=answer)
        if layer < len(tape.hidden):
            queries = F.silu(answers)


def together(keys: Tensor) -> int:
    """Return how many of the chunks [N, M, C, I] are read at once; elsewhere than on a CPU as many as there are."""
    return max(1, TOGETHER // max(1, keys.shape[1]) if keys.device.type == "cpu" else len(keys))


def run(
    inputs: tuple[Tensor, Tensor, Tensor], mixing: Mixing, loss: Loss, fast: Sequence[Tensor], base: Sequence[Tensor]
) -> Tape:
    """Write and read all chunks: queries, keys and values [N, M, C, I], weights above momentum [M, 2 I, O] -> Tape."""
    queries, keys, values = inputs
    borders = [start.new_empty(len(keys) + 1, *start.shape) for start in fast]
    for border, start in zip(borders, fast, strict=True):
        border[0] = start
    asked = [values.new_empty(*keys.shape[:-1], start.shape[-1]) for start in fast]
    hidden, blame = ([torch.empty_like(part) for part in asked[:-1]] for _ in range(2))
    error, soft = torch.empty_like(values), values.new_empty(*values.shape[:-1], 1)
    tape = Tape(queries, keys, values, mixing, loss, base, borders, hidden, blame, error, soft, asked)
    several = together(keys)
    bright, blamed = ([part.new_empty(several, *part.shape[1:]) for part in parts] for parts in (hidden, blame))
    for first in range(0, len(keys), several):
        chunks = slice(first, min(len(keys), first + several))
        size = chunks.stop - first
        met = Met([keys[chunks], *(part[:size] for part in bright)], [*(part[:size] for part in blamed), error[chunks]])
        for chunk in range(first, chunks.stop):
            write(tape, chunk, Met(*([part[chunk - first] for part in parts] for parts in met)))
        read(tape, chunks, met)
    return tape
