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
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

TOGETHER = 16  # memories times chunks that are read at once: more does not fit a core's cache
FLAT = 0.1  # squared length up to which a LayerNorm hardly stretches: at 0 it would be a cliff, and gradients explode


class Mixing(NamedTuple):
    """What the gates of a chunk's tokens come to: the factors of the sum above."""

    read: Tensor  # [N, M, C, 2] a_i and g_i: how much of weights and momentum token i still sees
    within: Tensor  # [N, M, C, C] G_ij: how much token i sees of what token j wrote
    write: Tensor  # [N, M, C, 2] what the chunk's end keeps of token j, in the weights and in the momentum
    carry: Tensor  # [N, M, 3] the chunk's end: weights from weights, weights from momentum, momentum from momentum


class Loss(NamedTuple):
    """What a memory minimises when it learns: see `surprise`."""

    scale: Tensor | None  # [M, 1, O] of the LayerNorm, where the memory has a residual
    limit: float  # where the loss turns from square to linear


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


class Ratios(torch.autograd.Function):
    """Products of the factors after token j, up to token i, times the step of token j; 0 where j > i.

    Each sum of logarithms is taken by itself, as in Dao and Gu 2024 (arXiv 2405.21060, listing 1): as differences of
    sums from the chunk's start small ones would be lost beside the large ones before them. In powers of two, as
    `exp2` is several times faster than `exp` where much comes to 0.
    """

    @staticmethod
    def forward(ctx: Any, log_factor: Tensor, log_step: Tensor | None) -> Tensor:
        """Take logarithms to the base 2: [..., C], [..., C] -> [..., C, C]."""
        ones = log_factor.new_ones(log_factor.shape[-1:] * 2)
        sums = (log_factor.unsqueeze(-1) * ones.tril(-1)).cumsum_(-2)
        sums.add_(torch.full_like(ones, -torch.inf).triu_(1))
        found = (sums if log_step is None else sums.add_(log_step.unsqueeze(-2))).exp2_()
        ctx.save_for_backward(found)
        ctx.has_step = log_step is not None
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor | None]:
        """Sum the slopes of all products that a factor, or a step, is part of: [..., C, C] -> [..., C] each."""
        (found,) = ctx.saved_tensors
        slope = (slope * found).mul_(math.log(2))
        by_step = slope.sum(-2)
        by_factor = (slope.sum(-1) - by_step).flip(-1).cumsum(-1).flip(-1)
        return by_factor, by_step if ctx.has_step else None


def mix(log_keep: Tensor, log_momentum: Tensor, log_step: Tensor) -> Mixing:
    """Unroll the gates log(1 - alpha), log(eta) and log(theta) of chunks: [N, M, C] each -> Mixing.

    A_ij is the product of (1 - alpha) over the tokens j+1 to i, E_ij that of eta, times theta_j; G = A E.
    """
    keep, momentum, step = ((log / math.log(2)) for log in (log_keep, log_momentum, log_step))
    ratios: Any = Ratios.apply
    kept, pushed = ratios(keep, None), ratios(momentum, step)
    within = kept @ pushed  # [N, M, C, C]
    faded, lasting = keep.cumsum(-1).exp2(), momentum.cumsum(-1).exp2()  # [N, M, C]
    seen = (kept @ lasting.unsqueeze(-1)).squeeze(-1)  # [N, M, C] g
    return Mixing(
        read=torch.stack([faded, seen], dim=-1),
        within=within,
        write=torch.stack([within[..., -1, :], pushed[..., -1, :]], dim=-1),
        carry=torch.stack([faded[..., -1], seen[..., -1], lasting[..., -1]], dim=-1),
    )


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
    soft = (1 + missed.square().sum(-1, keepdim=True) * loss.limit**-2).rsqrt()
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


def advance(old: Tensor, carry: Tensor, new: Tensor) -> None:
    """Set weights and momentum to what a chunk's end keeps of its start: [M, 2 I, O], [M, 3] -> [M, 2 I, O]."""
    (weight, momentum), (target, below) = old.chunk(2, dim=1), new.chunk(2, dim=1)
    keep, push, last = carry[..., None, None].unbind(1)  # [M, 1, 1] each
    torch.mul(weight, keep, out=target).addcmul_(momentum, push)
    torch.mul(momentum, last, out=below)


def write(tape: Tape, chunk: int) -> None:
    """Let the memory learn a chunk's keys and values: fill the next border of `fast`, and what led to it."""
    depth, keys = len(tape.fast), tape.keys[chunk]
    layers = [weights(tape, number, chunk) for number in range(depth)]
    inputs = [keys]  # [M, C, I] of each layer
    for hidden, layer in zip(tape.hidden, layers, strict=False):
        inputs.append(F.silu(torch.bmm(inputs[-1], layer, out=hidden[chunk])))
    found = surprise(inputs[-1] @ layers[-1], keys, tape.values[chunk], tape.loss)
    error, _ = tape.error[chunk].copy_(found[0]), tape.soft[chunk].copy_(found[1])
    for number in reversed(range(depth)):
        old, new = tape.fast[number][chunk : chunk + 2]
        advance(old, tape.mixing.carry[chunk], new)
        wrote = twice(inputs[number], tape.mixing.write[chunk])  # [M, C, 2 I]
        torch.baddbmm(new, wrote.mT, error, alpha=-1, out=new)
        if number:
            torch.bmm(error, layers[number].mT, out=tape.blame[number - 1][chunk])
            error = bend(tape.blame[number - 1][chunk], tape.hidden[number - 1][chunk])


def errors(tape: Tape, layer: int, chunks: slice = slice(None)) -> Tensor:
    """Return the error at a layer's outputs, for the keys of some chunks: [n, M, C, O]."""
    if layer == len(tape.blame):
        return tape.error[chunks]
    return bend(tape.blame[layer][chunks], tape.hidden[layer][chunks])


def read(tape: Tape, chunks: slice) -> None:
    """Answer queries by the memory as it was right after each token (equation 15): fill `asked` for some chunks."""
    queries, keys, within, pair = (
        part[chunks].flatten(0, 1) for part in (tape.queries, tape.keys, tape.mixing.within, tape.mixing.read)
    )
    for layer, (fast, asked) in enumerate(zip(tape.fast, tape.asked, strict=True)):
        answers = asked[chunks].flatten(0, 1)  # [n M, C, O]
        torch.bmm(twice(queries, pair), fast[:-1][chunks].flatten(0, 1), out=answers)
        seen = torch.bmm(queries, keys.mT).mul_(within)  # [n M, C, C]
        torch.baddbmm(answers, seen, errors(tape, layer, chunks).flatten(0, 1), alpha=-1, out=answers)
        if tape.base:
            parts = (part.chunk(max(1, len(tape.keys[chunks]))) for part in (answers, queries))
            for answer, query in zip(*parts, strict=True):
                torch.baddbmm(answer, query, tape.base[layer], out=answer)
        if layer < len(tape.hidden):
            queries, keys = F.silu(answers), F.silu(tape.hidden[layer][chunks].flatten(0, 1))


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
    for first in range(0, len(keys), several):
        for chunk in range(first, min(len(keys), first + several)):
            write(tape, chunk)
        read(tape, slice(first, first + several))
    return tape
