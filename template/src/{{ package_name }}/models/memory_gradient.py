"""The gradient of a memory's pass over chunks, by hand: what autograd would find, from a third of what it would keep.

Reading (equation 15) is undone for many chunks at once; writing (equations 13, 14 and 16) from the last chunk to the
first, as each chunk starts from what the one before it wrote. Letters in shapes as in `memory_update`.
"""

from collections.abc import Sequence
from itertools import islice, pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from .memory_traced import traced
from .memory_update import Loss, Mixing, Tape, bend, errors, run, surprise, together, twice, weights


class Slopes(NamedTuple):
    """Gradients by what went into a pass; the lists have an entry per layer."""

    queries: Tensor  # [N, M, C, I]
    keys: Tensor  # [N, M, C, I]
    values: Tensor  # [N, M, C, O]
    mixing: Mixing
    scale: Tensor | None  # [M, 1, O]
    base: list[Tensor]  # [M, I, O]
    fast: list[Tensor]  # [M, 2 I, O] at the border that is reached


class Layer(NamedTuple):
    """What a layer of the memory met in some chunks, and the gradients known so far; n M chunks and memories."""

    inputs: Tensor  # [n M, C, I] for the keys
    errors: Tensor  # [n M, C, O] that reached its outputs
    by_inputs: Tensor  # [n M, C, I]
    by_errors: Tensor  # [n M, C, O]
    by_fast: Tensor  # [n M, 2 I, O] by its weights and momentum at the chunk's start


def untwice(slope: Tensor, inputs: Tensor, pair: Tensor) -> tuple[Tensor, Tensor]:
    """Undo `twice`: [..., C, 2 I] -> the gradients by its inputs [..., C, I] and its factors [..., C, 2]."""
    first, second = slope.chunk(2, dim=-1)
    factors = torch.stack([(first * inputs).sum(-1), (second * inputs).sum(-1)], dim=-1)
    return torch.addcmul(first * pair[..., :1], second, pair[..., 1:]), factors


def curve(slope: Tensor, at: Tensor) -> Tensor:
    """Return a slope times SiLU's second derivative, s (1 - s) (2 + z (1 - 2 s)), s = sigmoid(z): [...] -> [...]."""
    sigmoid = at.sigmoid()
    bow = torch.addcmul(sigmoid, sigmoid, sigmoid, value=-1)
    return torch.addcmul(at, at, sigmoid, value=-2).add_(2).mul_(bow).mul_(slope)


def unread(tape: Tape, chunks: slice, slope: Tensor, into: Slopes) -> list[Layer]:
    """Undo `read` for some chunks, from the gradient by their answers [n M, C, O]; what is left goes to writing."""

    def cut(tensor: Tensor) -> Tensor:
        """Take these chunks: [N, M, ...] -> [n M, ...]."""
        return tensor[chunks].flatten(0, 1)

    layers, within, pair = [], cut(tape.mixing.within), cut(tape.mixing.read)
    for layer in reversed(range(len(tape.fast))):
        queries = F.silu(cut(tape.asked[layer - 1])) if layer else cut(tape.queries)
        inputs = F.silu(cut(tape.hidden[layer - 1])) if layer else cut(tape.keys)
        found = errors(tape, layer, chunks).flatten(0, 1)
        alike, less = queries @ inputs.mT, slope @ found.mT  # [n M, C, C]
        by_errors = ((alike * within).mT @ slope).neg_()
        cut(into.mixing.within).addcmul_(less, alike, value=-1)
        by_alike = less.mul_(within).neg_()
        fast = tape.fast[layer][:-1]
        by_queries, factors = untwice(slope @ cut(fast).mT, queries, pair)
        cut(into.mixing.read).add_(factors)
        by_queries = torch.baddbmm(by_queries, by_alike, inputs)
        layers.append(Layer(inputs, found, by_alike.mT @ queries, by_errors, twice(queries, pair).mT @ slope))
        if tape.base:
            base, count = tape.base[layer], len(tape.keys[chunks])
            by_queries.baddbmm_(slope, base.mT.repeat(count, 1, 1))
            into.base[layer].add_((queries.mT @ slope).unflatten(0, (count, len(base))).sum(0))
        slope = bend(by_queries, cut(tape.asked[layer - 1])) if layer else by_queries
    cut(into.queries).copy_(slope)
    return layers[::-1]


def retreat(end: Tensor, carry: Tensor, start: Tensor) -> None:
    """Undo `advance`: add the gradient by a chunk's end [M, 2 I, O], times the factors [M, 2, 2], to its start's."""
    (weight, momentum), (target, below) = end.chunk(2, dim=1), start.chunk(2, dim=1)
    keep, push, _, last = carry.reshape(-1, 4, 1, 1).unbind(1)  # [M, 1, 1] each
    target.addcmul_(weight, keep)
    below.addcmul_(weight, push).addcmul_(momentum, last)


def unlearn(tape: Tape, chunk: int, layers: list[Layer], reached: list[Tensor], into: Slopes) -> None:
    """Undo a chunk's update: the gradients by its end [M, 2 I, O] go on to its start, its inputs and its errors."""
    pair, carry = tape.mixing.write[chunk], tape.mixing.carry[chunk]
    for layer, fast, end in zip(layers, tape.fast, reached, strict=True):
        gram = end.unflatten(1, (2, -1)).flatten(2) @ fast[chunk].unflatten(1, (2, -1)).flatten(2).mT  # [M, 2, 2]
        into.mixing.carry[chunk].add_(gram)  # also for the factor that is always 0, where it ends
        retreat(end, carry, layer.by_fast)
        layer.by_errors.baddbmm_(twice(layer.inputs, pair), end, alpha=-1)
        by_inputs, factors = untwice(layer.errors @ end.mT, layer.inputs, pair)
        layer.by_inputs.sub_(by_inputs)
        into.mixing.write[chunk].sub_(factors)


def unsurprise(tape: Tape, chunk: int, slope: Tensor, outputs: Tensor, into: Slopes) -> tuple[Tensor, Tensor | None]:
    """Undo `surprise`: its gradient [M, C, O] -> those by the MLP's outputs and, with a residual, by the keys."""
    if tape.loss.scale is None or into.scale is None:
        error, soft = tape.error[chunk], tape.soft[chunk]
        along = (error * slope).sum(-1, keepdim=True) * (tape.loss.limit**-2 / -4)
        by_outputs = torch.addcmul(slope, error, along).mul_(2 * soft)
        torch.neg(by_outputs, out=into.values[chunk])
        return by_outputs, None
    with torch.enable_grad():
        given = (outputs, tape.keys[chunk], tape.values[chunk], tape.loss.scale)
        leaves = [part.detach().requires_grad_() for part in given]
        missing, keys, values, scale = leaves
        error, _ = surprise(missing, keys, values, Loss(scale, tape.loss.limit))
        by_outputs, by_keys, by_values, by_scale = torch.autograd.grad(error, leaves, slope)
    into.values[chunk] = by_values
    into.scale.add_(by_scale)
    return by_outputs, by_keys


def unwrite(tape: Tape, chunk: int, layers: list[Layer], reached: list[Tensor], into: Slopes) -> list[Tensor]:
    """Undo `write`: gradients by the border behind a chunk, [M, 2 I, O] each -> those by the border before it."""
    unlearn(tape, chunk, layers, reached, into)
    forward = [weights(tape, number, chunk) for number in range(len(layers))]
    bows, by_weights = [], [torch.zeros_like(forward[0])]
    for number, (layer, above) in enumerate(pairwise(layers)):
        hidden, blame = tape.hidden[number][chunk], tape.blame[number][chunk]
        bows.append(curve(layer.by_errors, hidden).mul_(blame))
        by_blame = bend(layer.by_errors, hidden)
        above.by_errors.baddbmm_(by_blame, forward[number + 1])
        by_weights.append(by_blame.mT @ above.errors)
    outputs = layers[-1].inputs @ forward[-1] if tape.loss.scale is not None else layers[-1].errors
    slope, by_keys = unsurprise(tape, chunk, layers[-1].by_errors, outputs, into)
    for number in reversed(range(len(layers))):
        layer, by_weight = layers[number], by_weights[number].baddbmm_(layers[number].inputs.mT, slope)
        layer.by_fast.chunk(2, dim=1)[0].add_(by_weight)
        if tape.base:
            into.base[number].add_(by_weight)
        by_inputs = layer.by_inputs.baddbmm_(slope, forward[number].mT)
        slope = bend(by_inputs, tape.hidden[number - 1][chunk]).add_(bows[number - 1]) if number else by_inputs
    into.keys[chunk] = slope if by_keys is None else slope + by_keys
    return [layer.by_fast for layer in layers]


def undo(tape: Tape, slope: Tensor, reached: list[Tensor]) -> Slopes:
    """Undo a pass: gradients by its answers [N, M, C, O] and by what it left behind, [M, 2 I, O] each -> Slopes."""
    parts = (tape.queries, tape.keys, tape.values, *tape.mixing)
    queries, keys, values, *zeros = (torch.zeros_like(part, memory_format=torch.contiguous_format) for part in parts)
    scale = None if tape.loss.scale is None else torch.zeros_like(tape.loss.scale)
    base = [torch.zeros_like(part) for part in tape.base]
    into = Slopes(queries, keys, values, Mixing(*zeros), scale, base, reached)
    count, memories = tape.keys.shape[:2]
    several = together(tape.keys)
    for first in reversed(range(0, count, several)):
        layers = unread(tape, slice(first, first + several), slope[first : first + several].flatten(0, 1), into)
        for chunk in reversed(range(first, min(count, first + several))):
            rows = slice((chunk - first) * memories, (chunk - first + 1) * memories)
            reached = unwrite(tape, chunk, [Layer(*(part[rows] for part in layer)) for layer in layers], reached, into)
    return into._replace(fast=reached)


def answer(
    inputs: tuple[Tensor, Tensor, Tensor], mixing: Mixing, loss: Loss, fast: Sequence[Tensor], base: Sequence[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """Do what `scan` does, and keep nothing for a gradient: a few chunks at a time."""
    answers, several, reached = torch.empty_like(inputs[2]), together(inputs[1]), [*fast]
    for first in range(0, len(answers), several):
        queries, keys, values, *gates = (part[first : first + several] for part in (*inputs, *mixing))
        tape = run((queries, keys, values), Mixing(*gates), loss, reached, base)
        answers[first : first + several] = tape.asked[-1]
        reached = [border[-1] for border in tape.fast]
    return answers, [border.clone() for border in reached]


class Scan(torch.autograd.Function):
    """A pass of memories over chunks that knows its own gradient: see `scan`."""

    @staticmethod
    def forward(ctx: Any, limit: float, depth: int, *tensors: Any) -> tuple[Tensor, ...]:
        """Write and read all chunks: the answers [N, M, C, O], and weights above momentum [M, 2 I, O] of each layer."""
        still: list[Any] = [part if part is None else part.detach() for part in tensors]  # an export looks inside here
        queries, keys, values, *mixing, scale = still[:8]
        fast, base = still[8 : 8 + depth], still[8 + depth :]
        tape = run((queries, keys, values), Mixing(*mixing), Loss(scale, limit), fast, base)
        ctx.limit, ctx.depth, ctx.num_base = limit, depth, len(base)
        lists = (*tape.base, *tape.fast, *tape.hidden, *tape.blame, *tape.asked[:-1])
        ctx.save_for_backward(*tape[:3], *tape.mixing, scale, tape.error, tape.soft, *lists)
        return tape.asked[-1], *(border[-1].clone() for border in tape.fast)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Any, ...]:
        """Turn gradients by the answers and by what is left behind into those by everything that went in."""
        saved, depth = ctx.saved_tensors, ctx.depth  # only once: where activations are recomputed they are gone then
        queries, keys, values, *mixing, scale, error, soft = saved[:10]
        rest = iter(saved[10:])
        base, fast, hidden, blame, asked = (
            list(islice(rest, size)) for size in (ctx.num_base, depth, *[depth - 1] * 3)
        )
        loss, found = Loss(scale, ctx.limit), (base, fast, hidden, blame, error, soft, asked)
        tape = Tape(queries, keys, values, Mixing(*mixing), loss, *found)
        with torch.autocast(slopes[0].device.type, enabled=False):
            into = undo(tape, slopes[0].contiguous(), [slope.contiguous() for slope in slopes[1:]])
        return None, None, *into[:3], *into.mixing, into.scale, *into.fast, *into.base


def scan(
    inputs: tuple[Tensor, Tensor, Tensor],
    mixing: Mixing,
    loss: Loss,
    fast: Sequence[Tensor],
    base: Sequence[Tensor] = (),
) -> tuple[Tensor, list[Tensor]]:
    """Let memories learn and answer, chunk after chunk, by equations 13 to 16.

    Takes queries, keys and values [N, M, C, I], the unrolled gates, the loss, weights (less the base) above momentum
    [M, 2 I, O] of each layer, and the base [M, I, O] that weights decay to, none for 0. Returns the last layer's
    answers [N, M, C, O], and weights above momentum after the last chunk.
    """
    if torch.compiler.is_exporting():
        return traced(inputs, mixing, loss, fast, base)
    if not torch.is_grad_enabled():
        return answer(inputs, mixing, loss, fast, base)
    apply: Any = Scan.apply
    answers, *reached = apply(loss.limit, len(fast), *inputs, *mixing, loss.scale, *fast, *base)
    return answers, reached
