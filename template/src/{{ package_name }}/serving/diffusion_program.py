"""What is exported of a model that draws: one look of its network; the loop of `sample` around it stays outside."""

import copy
from typing import Any

from torch import Tensor, nn

from ..types import Batch
from .program import Form


class Program(nn.Module):
    """The velocity of noisy images. How many steps a drawing takes, and how strongly it is guided, stays free."""

    def __init__(self, model: Any, _: Batch) -> None:
        super().__init__()
        self.model = model.eval()

    def tensors(self, batch: Batch) -> dict[str, Tensor]:
        """Return what goes in for the rows of a batch, by name: levels go through all there are."""
        level = 1 + batch.index * 37 % self.model.config.num_steps
        return {"noisy": batch.inputs * 2 - 1, "level": level, "classes": batch.targets}

    def forward(self, noisy: Tensor, level: Tensor, classes: Tensor) -> Tensor:
        """Answer images [B, h, w] of -1 to 1, their levels of noise [B] and classes [B] with velocities [B, h, w]."""
        velocity: Tensor = self.model.velocity(noisy, level, classes)
        return velocity

    def answered_by(self, form: Form) -> nn.Module:
        """Return the model for evaluation, but with the velocities of another form of it."""
        other: nn.Module = copy.copy(self.model)
        vars(other)["velocity"] = form
        return other
