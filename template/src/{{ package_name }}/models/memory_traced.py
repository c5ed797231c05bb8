"""A memory's pass over chunks without a tensor that is written twice: what an exported graph can say, for any rows.

It computes what `run` in `memory_update` does, product by product, and costs more: each border is made anew. Letters
in shapes as there.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from .memory_update import Loss, Mixing, surprise, twice


def bend(slope: Tensor, at: Tensor) -> Tensor:
    """Return a gradient behind the activation, SiLU, from the one before it: [...], [...] -> [...]."""
    share = at.sigmoid()
    return slope * share * (1 + at * (1 - share))


def advanced(old: Tensor, mixing: Mixing, inputs: Tensor, error: Tensor) -> Tensor:
    """Return weights above momentum [M, 2 I, O] after a chunk, from its inputs [M, C, I] and errors [M, C, O]."""
    weight, momentum = old.chunk(2, dim=1)
    keep, push, _, last = mixing.carry.reshape(-1, 4, 1, 1).unbind(1)
    if inputs.shape[1] == 1:
        below = momentum * last - (inputs * mixing.write[..., 1:]).mT @ error
        return torch.cat([weight * keep + below, below], dim=1)
    still = torch.cat([weight * keep + momentum * push, momentum * last], dim=1)
    return still - twice(inputs, mixing.write).mT @ error


def passed(
    pair: tuple[Tensor, Tensor], mixing: Mixing, loss: Loss, fast: Sequence[Tensor], base: Sequence[Tensor]
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Learn keys and values [M, C, I]; return inputs [M, C, I] and errors [M, C, O] of layers, and the new `fast`."""
    keys, values = pair
    moved = [part[:, : part.shape[1] // 2] for part in fast]
    layers = [part + still for part, still in zip(moved, base, strict=True)] if base else moved
    inputs, hidden = [keys], list[Tensor]()
    for layer in layers[:-1]:
        hidden.append(inputs[-1] @ layer)
        inputs.append(F.silu(hidden[-1]))
    errors = [surprise(inputs[-1] @ layers[-1], keys, values, loss)[0]]
    for layer, entered in zip(reversed(layers[1:]), reversed(hidden), strict=True):
        errors.insert(0, bend(errors[0] @ layer.mT, entered))
    after = [advanced(old, mixing, *met) for old, *met in zip(fast, inputs, errors, strict=True)]
    return inputs, errors, after


def traced(
    inputs: tuple[Tensor, Tensor, Tensor], mixing: Mixing, loss: Loss, fast: Sequence[Tensor], base: Sequence[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """Do what `scan` does: queries, keys and values [N, M, C, I], `fast` [M, 2 I, O], `base` [M, I, O]."""
    found, before = list[Tensor](), [*fast]
    for number in range(inputs[1].shape[0]):
        (asked, keys, values), gates = (part[number] for part in inputs), Mixing(*(part[number] for part in mixing))
        met, errors, after = passed((keys, values), gates, loss, before, base)
        for layer, (old, new) in enumerate(zip(before, after, strict=True)):
            queries = F.silu(asked) if layer else asked
            if keys.shape[1] == 1:  # what a single token sees is what it leaves
                asked = queries @ new[:, : queries.shape[-1]]
            else:
                seen = queries @ met[layer].mT * gates.within
                asked = twice(queries, gates.read) @ old - seen @ errors[layer]
            asked = asked + queries @ base[layer] if base else asked
        found.append(asked)
        before = after
    return torch.stack(found), before
