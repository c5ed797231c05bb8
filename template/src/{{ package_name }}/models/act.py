"""Adaptive computation: when a recursive model stops at a row, and what it learns from that.

The rule is TRM's (Jolicoeur-Martineau 2025, section 4.6 and figure 3): a logit says whether the whole row is right by
now, trained by that very question; the row is done where the logit is positive. Graves (2016) and PonderNet (Banino et
al. 2021) weigh the answers of all steps instead; of theirs there are the distribution over steps and the ponder cost.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from ..types import STRICT
from .stablemax import precise

Probability = Annotated[float, Field(ge=0, le=1)]
Metrics = dict[str, Tensor]
FIRST_LOGIT = -5.0  # a new head halts nowhere
TINY = 1e-8  # under the root of a variance: its gradient stays finite where all rows are alike


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Halting:
    """Settings of the head; the comments stand beside the options of `TrmConfig`, which has the same ones."""

    max_steps: PositiveInt
    exploration: Probability
    halt_weight: NonNegativeFloat
    ponder_weight: NonNegativeFloat
    diversity_weight: NonNegativeFloat
    least_std: NonNegativeFloat
    halt_target: Literal["row", "tokens"]
    halt_pool: Literal["mean", "first"]


class ActHead(nn.Module):
    """Reads from the answer whether it is right; a second output, HRM's "go on", is kept and never read, as in TRM."""

    def __init__(self, dim: int, settings: Halting) -> None:
        super().__init__()
        self.settings, self.linear = settings, nn.Linear(dim, 2)
        nn.init.zeros_(self.linear.weight)
        nn.init.constant_(self.linear.bias, FIRST_LOGIT)

    def forward(self, answer: Tensor, there: Tensor | None = None) -> Tensor:
        """Return the halting logits [B] of answers [B, N, D], of which some positions [B, N] may not count."""
        pooled = mean_of(answer, there) if self.settings.halt_pool == "mean" else answer[:, 0]  # [B, D]
        logits: Tensor = self.linear(pooled)
        return logits[:, 0]

    def compute_act_loss(self, halt_logits: Tensor, correct: Tensor, known: Tensor) -> tuple[Tensor, Metrics]:
        """Return the halting loss [] of logits [B], mean over the `known` rows [B] (bool), and its figures.

        `correct` [B] is how far each row is right, from 0 to 1; the logits learn it by binary cross entropy. The
        ponder cost is the chance of going on. The diversity term is a hinge on the standard deviation of the logits
        across the batch: where all rows get one logit, all halt at one step, whatever they are. A variance would do
        nothing there, its gradient goes to 0 with it; the standard deviation's does not. The hinge wants `least_std`
        where half of the rows are right, less where they are more alike, nothing where all are right or all wrong.
        """
        share = known / known.sum().clamp(min=1)  # [B]
        logits, target = precise(halt_logits), precise(correct)
        entropy = (F.binary_cross_entropy_with_logits(logits, target.to(logits), reduction="none") * share).sum()
        std = (variance(logits, share) + TINY).sqrt()
        lack = (self.settings.least_std * 2 * variance(target, share).sqrt() - std).clamp(min=0)
        ponder = (torch.sigmoid(-logits) * share).sum()
        weights = self.settings.halt_weight, self.settings.ponder_weight, self.settings.diversity_weight
        loss = weights[0] * entropy + weights[1] * ponder + weights[2] * lack
        hits, right, count = decisions(halt_logits, correct, known)
        return loss, {"halt_std": std.detach(), **quality(hits, right, count)}

    def decide(self, halt_logits: Tensor, steps: Tensor) -> Tensor:
        """Return where rows [B] halt after `steps` [B]: at a positive logit, or at the last step.

        While it trains, a row may not halt before a random step, with the probability `exploration`: the model has to
        see what comes after an answer that it thinks right.
        """
        last = self.settings.max_steps
        sure = halt_logits > 0
        if self.training:
            least = torch.randint_like(steps, 2, max(2, last) + 1)
            explores = torch.rand_like(halt_logits, dtype=torch.float32) < self.settings.exploration
            sure &= ~explores | (steps >= least)
        return sure | (steps >= last)


def halting_distribution(halt_logits: Tensor) -> Tensor:
    """Return the chance [B, S] that a row halts at each step, from the logits [B, S] of all steps (PonderNet, eq. 2).

    The last step takes what is left, so that a row's chances add up to 1.
    """
    going = F.logsigmoid(-halt_logits[:, :-1]).cumsum(dim=1)  # [B, S-1] log chance of being there after each step
    begins = F.pad(going, (1, 0))  # [B, S] before each step
    return (begins + F.pad(F.logsigmoid(halt_logits[:, :-1]), (0, 1))).exp()


def mean_of(values: Tensor, there: Tensor | None) -> Tensor:
    """Return the mean over the positions that are there [B, N], or over all: [B, N, D] -> [B, D]."""
    if there is None:
        return values.mean(dim=1)
    shares = there / there.sum(dim=1, keepdim=True).clamp(min=1)
    return (values * shares.to(values).unsqueeze(-1)).sum(dim=1)


def variance(values: Tensor, share: Tensor) -> Tensor:
    """Return the variance [] of values [B] that have these weights [B]."""
    return ((values - (values * share).sum()).square() * share).sum()


def decisions(halt_logits: Tensor, correct: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Count in `rows` [B] (bool) the right decisions, those where halting is right, and all; logits, correct [B]."""
    right = correct > 0.5  # noqa: PLR2004 (more right than not)
    return (((halt_logits > 0) == right) & rows).sum(), (right & rows).sum(), rows.sum()


def quality(hits: Tensor, right: Tensor, count: Tensor) -> Metrics:
    """Return the accuracy of the halting decisions, and that of always deciding alike, from counts [] each."""
    return {"halt_accuracy": hits / count, "halt_base_rate": torch.maximum(right, count - right) / count}


def spread(steps: Tensor, rows: Tensor) -> Metrics:
    """Return mean and variance of the steps [B] after which `rows` [B] (bool) halted; NaN where there are none."""
    share = rows / rows.sum()
    return {"steps": (steps * share).sum(), "steps_variance": variance(steps, share)}
