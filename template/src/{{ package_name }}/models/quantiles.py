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


def check(name: str, steps: int, values: Tensor) -> None:
    """Refuse a model for other windows than those with values [N, steps, 2]."""
    if values.shape[1] != steps:
        raise ValueError(f"model.{name} {steps}, data.{name} {values.shape[1]}: want the same; set both")


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

    def forward(self, features: Tensor, batch: Batch, every: int = 1) -> StepOutput:
        """Answer features [B, P, D] of the last P steps, or every so many, with quantiles [B, H, Q] after the last.

        All P make the loss: a step's truths are the H values after it, in the rest of the history and in the targets.
        """
        raw = self.linear(features).unflatten(-1, (self.horizon, len(LEVELS)))  # [B, P, H, Q]
        values, marks = torch.cat([batch.inputs, batch.targets], dim=1).unbind(-1)  # [B, L+H]
        steps = slice(every - 1 - every * features.shape[1], None, every)
        ahead, known = (part.unfold(1, self.horizon, 1)[:, steps] for part in (values, marks > 0))  # [B, P, H]
        last = batch.inputs[:, steps, :1]  # [B, P, 1]
        loss = pinball(raw, (ahead - last) / self.scale, known)
        ordered = raw[:, -1].sort(dim=-1).values  # quantiles may not cross: Chernozhukov et al. (2010)
        return StepOutput(loss, ordered * self.scale + last[:, -1:], {})
