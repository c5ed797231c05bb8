"""What forecasters share: the quantiles they answer with, how values are scaled, and the loss."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..types import Batch, StepOutput

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)  # the middle is the forecast, the others are the ends of its intervals


def pinball(quantiles: Tensor, truths: Tensor, known: Tensor) -> Tensor:
    """Return the mean loss [] of quantiles [..., Q] of known truths [...] (Koenker and Bassett 1978); 0 if none is."""
    missing, levels = truths.unsqueeze(-1) - quantiles, quantiles.new_tensor(LEVELS)
    losses = torch.maximum(levels * missing, (levels - 1) * missing).mean(-1)
    return (losses * known).sum() / known.sum().clamp(min=1)


def ordered(raw: Tensor) -> Tensor:
    """Return quantiles [..., Q] in their order: they may not cross (Chernozhukov et al. 2010)."""
    return raw.sort(dim=-1).values


def check(name: str, steps: int, values: Tensor) -> None:
    """Refuse a model for other windows than those with values [N, steps, 2]."""
    if values.shape[1] != steps:
        raise ValueError(f"model.{name} {steps}, data.{name} {values.shape[1]}: want the same; set both")


def check_patches(history: int, burn_in: int, patch_size: int, reach: int) -> None:
    """Refuse tokens of `patch_size` steps, each made from `reach`, that do not fit a history and its burn-in."""
    if burn_in >= history:
        raise ValueError(f"burn_in {burn_in} must be less than history {history}")
    if history % patch_size or burn_in % patch_size:
        raise ValueError(f"patch_size {patch_size} must divide history {history}, burn_in {burn_in}")
    if reach < patch_size:
        raise ValueError(f"reach {reach} must be patch_size {patch_size} or more")


class Quantiles(nn.Module):
    """One linear layer from features to the quantiles of all steps ahead, told as differences to the last value.

    Subtracting the last value is the NLinear of Zeng et al. (2023, section 4.2). The root mean squares of differences
    and of changes from step to step in the training split are part of the weights (`prepare`).
    """

    scale: Tensor  # [] of differences
    change: Tensor  # [] of changes

    def __init__(self, dim: int, horizon: int) -> None:
        super().__init__()
        self.linear, self.horizon = nn.Linear(dim, horizon * len(LEVELS)), horizon
        for name in ("scale", "change"):
            self.register_buffer(name, torch.ones(()))

    def prepare(self, dataset: Any) -> None:
        """Take both scales from the windows that the model is trained on."""
        check("horizon", self.horizon, dataset.targets)
        targets, known = dataset.targets[..., 0], dataset.targets[..., 1] > 0
        differences = (targets - dataset.inputs[:, -1:, 0])[known]
        changes = targets.diff(dim=1)[known[:, 1:] & known[:, :-1]]
        for buffer, values in ((self.scale, differences), (self.change, changes)):
            size = values.double().square().mean().sqrt()
            buffer.copy_(size if size > 0 else torch.ones(()))  # NaN, of a horizon of one step, is not above 0

    def relative(self, inputs: Tensor) -> Tensor:
        """Turn histories [B, L, 2] into differences to the first value, changes from step to step, marks [B, L, 3]."""
        values, marks = inputs.unbind(-1)
        changes = F.pad(values.diff(dim=1), (1, 0)) / self.change
        return torch.stack([(values - values[:, :1]) / self.scale, changes, marks], dim=-1)

    def raw(self, features: Tensor) -> Tensor:
        """Return quantiles [B, P, H, Q] of differences to the last value, over their scale; features [B, P, D]."""
        raw: Tensor = self.linear(features).unflatten(-1, (self.horizon, len(LEVELS)))
        return raw

    def ahead(self, batch: Batch, count: int, every: int = 1) -> Tensor:
        """Return what the last `count` steps, or every so many, forecast: differences over scale, marks [B, P, H, 2].

        A step's truths are the H values after it, in the rest of the history and in the targets.
        """
        whole = torch.cat([batch.inputs, batch.targets], dim=1)  # [B, L+H, 2]
        steps = slice(every - 1 - every * count, None, every)
        values, marks = whole.unfold(1, self.horizon, 1).unbind(2)  # [B, L+1, H]
        differences = (values[:, steps] - batch.inputs[:, steps, :1]) / self.scale
        return torch.stack([differences, marks[:, steps]], dim=-1)

    def forward(self, features: Tensor, batch: Batch, every: int = 1) -> StepOutput:
        """Answer features [B, P, D] of the last P steps, or every so many, with quantiles [B, H, Q] after the last.

        All P make the loss: a step's truths are the H values after it, in the rest of the history and in the targets.
        """
        raw, (truths, marks) = self.raw(features), self.ahead(batch, features.shape[1], every).unbind(-1)
        return StepOutput(pinball(raw, truths, marks > 0), self.absolute(ordered(raw[:, -1]), batch.inputs), {})

    def absolute(self, quantiles: Tensor, inputs: Tensor) -> Tensor:
        """Return quantiles [B, H, Q] of differences over their scale as those of values; histories [B, L, 2]."""
        return quantiles * self.scale + inputs[:, -1:, :1]
