"""A small convolutional network: each stage halves the image and widens the channels."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, PositiveInt
from pydantic.dataclasses import dataclass
from torch import nn

from ..types import STRICT, Batch, Carry, Fraction, StepOutput, classify


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CnnConfig:
    """Settings of the convolutional network, for grey images [B, height, width] of any size."""

    kind: Literal["cnn"] = "cnn"
    num_classes: PositiveInt = 10
    dim: Annotated[PositiveInt, Field(multiple_of=8)] = 32  # channels of the first stage; each later one doubles them
    depth: PositiveInt = 3  # number of stages
    dropout: Fraction = 0.1
    label_smoothing: Fraction = 0.0

    def build(self) -> "Cnn":
        """Make the model."""
        return Cnn(self)


class Cnn(nn.Module):
    """Stages of convolution, GELU and group normalisation (Wu and He 2018: no row sees another), then their mean."""

    def __init__(self, config: CnnConfig) -> None:
        super().__init__()
        dims, layers = [1, *(config.dim * 2**stage for stage in range(config.depth))], list[nn.Module]()
        for old, new in pairwise(dims):
            layers += [nn.Conv2d(old, new, 3, stride=1 if old == 1 else 2, padding=1), nn.GroupNorm(8, new), nn.GELU()]
        self.stages, self.dropout = nn.Sequential(*layers), nn.Dropout(config.dropout)
        self.head, self.label_smoothing = nn.Linear(dims[-1], config.num_classes), config.label_smoothing

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Answer images [B, height, width] with logits [B, C]; it carries nothing."""
        features = self.stages(batch.inputs.unsqueeze(1)).mean(dim=(2, 3))  # [B, D, h, w] -> [B, D]
        return classify(self.head(self.dropout(features)), batch, self.label_smoothing)
