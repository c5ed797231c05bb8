"""Loss and judgement of answers of many tokens: stable-max cross entropy, and which rows are right as a whole."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ..types import UNKNOWN


def precise(x: Tensor) -> Tensor:
    """Return a tensor [...] in fp32 at least."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def total(values: Tensor) -> Tensor:
    """Add up what each row holds, [B, ...] -> [B]."""
    return values.reshape(values.shape[0], math.prod(values.shape[1:])).sum(dim=1)


def scores(logits: Tensor) -> Tensor:
    """Bend logits [..., V] so that softmax of them is stable-max (Prieto et al. 2025, eq. 5).

    s(x) = x + 1 for x >= 0 and 1 / (1 - x) below is the exponential of sign(x) log(1 + |x|): no overflow in fp32, and
    written so that the derivative at 0 is 1, as it is from both sides.
    """
    logits = precise(logits)
    below = logits < 0
    bent = torch.where(below, -logits, logits).log1p()
    return torch.where(below, -bent, bent)


def stablemax_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the loss [N] of logits [N, V]; 0 where a target [N] is unknown."""
    return F.cross_entropy(scores(logits), targets.long(), ignore_index=UNKNOWN, reduction="none")


def answer_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the loss []: the mean over a row's known targets, and of that the mean over the rows that have any.

    logits [B, ..., V], targets [B, ...].
    """
    each = stablemax_cross_entropy(logits.flatten(0, -2), targets.flatten()).view_as(targets)
    asked = total(targets != UNKNOWN)
    return (total(each) / asked.clamp(min=1)).sum() / (asked > 0).sum().clamp(min=1)


def judge(logits: Tensor, targets: Tensor, halt_target: str) -> tuple[Tensor, Tensor]:
    """Return how far rows are right [B], and which have a known target [B]; logits [B, ..., V], targets [B, ...].

    By "row" that is 1 where all known targets are met, else 0; by "tokens" the share of them that are met.
    """
    given = targets != UNKNOWN
    met, asked = total((logits.argmax(dim=-1) == targets) & given), total(given)
    return ((met == asked).float() if halt_target == "row" else met / asked.clamp(min=1)), asked > 0
