"""Networks that predict a number for each row of a table, one or several together, with an interval or without."""

from math import log, pi
from typing import Any, Literal

import torch
from pydantic import PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from ..types import STRICT, Batch, Carry, Fraction, StepOutput
from .tabular import LAYERS, Standardise

LEVELS = (0.05, 0.5, 0.95)  # shares of the targets that lie below low end, answer and high end
WIDTH = 1.6449  # standard deviations from a normal distribution's mean to the ends of such an interval
LEAST, TIP = 1e-4, 0.1  # least variance, and half the width of the loss's rounded tip, both for standardised targets


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RegressorConfig:
    """Settings of a regressor of rows [B, F]."""

    kind: Literal["regressor"] = "regressor"
    num_inputs: PositiveInt = 8
    layers: Literal["plain", "residual"] = "plain"
    dim: PositiveInt = 128
    depth: PositiveInt = 3  # hidden layers, or residual blocks
    head: Literal["mean", "quantiles", "gaussian"] = "mean"  # a number; or an interval too, by quantiles or a variance
    num_members: PositiveInt = 1  # networks that answer together: Lakshminarayanan et al. (2017)
    dropout: Fraction = 0.1

    def build(self) -> "Regressor":
        """Make the model."""
        return Regressor(self)


class Regressor(nn.Module):
    """Members over standardised rows; they learn from the same batches, and differ by the weights they begin with."""

    def __init__(self, config: RegressorConfig) -> None:
        super().__init__()
        self.head, sizes = config.head, (config.num_inputs, NUM_OUTPUTS[config.head])
        make = LAYERS[config.layers]
        members = (make(sizes, config.dim, config.depth, config.dropout) for _ in range(config.num_members))
        self.inputs, self.targets, self.members = Standardise(config.num_inputs), Standardise(), nn.ModuleList(members)

    def prepare(self, dataset: Any) -> None:
        """Take means and deviations from the rows that it is to be trained on."""
        self.inputs.fit(dataset.inputs)
        self.targets.fit(dataset.targets)

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Answer rows [B, F] in the targets' unit with [B, 1], or with low end, answer and high end [B, 3].

        A target that nobody knows is NaN: its row has no loss. It carries nothing.
        """
        rows, targets = self.inputs(batch.inputs), self.targets(batch.targets)
        raw = torch.stack([member(rows) for member in self.members]).float()  # [M, B, K]
        known = targets.isfinite()
        losses = LOSSES[self.head](raw, torch.where(known, targets, 0.0)) * known  # [M, B]
        loss = losses.sum() / (len(raw) * known.sum()).clamp(min=1)
        return StepOutput(loss, ANSWERS[self.head](raw) * self.targets.scale + self.targets.mean, {})


def squared_error(raw: Tensor, targets: Tensor) -> Tensor:
    """Return the squared errors [M, B] of answers [M, B, 1] to targets [B]."""
    return (raw[..., 0] - targets).square()


def pinball(quantiles: Tensor, targets: Tensor) -> Tensor:
    """Return the pinball loss [...], a mean over the levels, of quantiles [..., B, 3] (Koenker and Bassett 1978)."""
    missing = targets[..., None] - quantiles
    return (weights(missing) * missing.abs()).mean(-1)


def smooth_pinball(quantiles: Tensor, targets: Tensor) -> Tensor:
    """Return the same [...], its tip rounded, where gradients shrink (Dabney et al. 2018, equation 10, over TIP)."""
    missing = targets[..., None] - quantiles
    distance = F.huber_loss(missing, torch.zeros_like(missing), reduction="none", delta=TIP) / TIP
    return (weights(missing) * distance).mean(-1)


def weights(missing: Tensor) -> Tensor:
    """Return what being off by [..., 3] costs: a quantile that is too low its level, one that is too high the rest."""
    levels = missing.new_tensor(LEVELS)
    return torch.where(missing < 0, 1 - levels, levels)


def unlikelihood(raw: Tensor, targets: Tensor) -> Tensor:
    """Return the negative log-likelihood [M, B] of outputs [M, B, 2] (Lakshminarayanan et al. 2017, equation 1)."""
    means, variances = moments(raw)
    return (variances.log() + (targets - means).square() / variances + log(2 * pi)) / 2


def moments(raw: Tensor) -> tuple[Tensor, Tensor]:
    """Return means and variances [M, B] of outputs [M, B, 2]: softplus makes a variance of any number."""
    return raw[..., 0], F.softplus(raw[..., 1]) + LEAST


def average(raw: Tensor) -> Tensor:
    """Answer [B, 1] with the members' mean of [M, B, 1]."""
    return raw.mean(0)


def ordered(raw: Tensor) -> Tensor:
    """Answer [B, 3] with the members' mean quantiles of [M, B, 3], sorted: none cross (Chernozhukov et al. 2010)."""
    return raw.mean(0).sort(dim=-1).values


def mixture(raw: Tensor) -> Tensor:
    """Answer [B, 3] with mean and interval of the members' mixture, of [M, B, 2] (section 2.4 of the same)."""
    means, variances = moments(raw)
    mean = means.mean(0)
    ends = WIDTH * (variances.mean(0) + (means - mean).square().mean(0)).sqrt()
    return torch.stack([mean - ends, mean, mean + ends], dim=-1)


NUM_OUTPUTS = {"mean": 1, "quantiles": len(LEVELS), "gaussian": 2}
LOSSES = {"mean": squared_error, "quantiles": smooth_pinball, "gaussian": unlikelihood}
ANSWERS = {"mean": average, "quantiles": ordered, "gaussian": mixture}
