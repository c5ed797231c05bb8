"""A multilayer perceptron over flattened inputs; with depth 0 it is logistic regression."""

from itertools import chain, pairwise
from math import prod
from typing import Literal

from pydantic import NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass
from torch import nn

from ..types import STRICT, Batch, Carry, Fraction, StepOutput, classify


@dataclass(frozen=True, kw_only=True, config=STRICT)
class MlpConfig:
    """Settings of the perceptron: `depth` hidden layers of width `dim`."""

    kind: Literal["mlp"] = "mlp"
    input_shape: tuple[PositiveInt, ...] = (8, 8)  # shape of one input row
    num_classes: PositiveInt = 10
    dim: PositiveInt = 128
    depth: NonNegativeInt = 2
    dropout: Fraction = 0.1
    label_smoothing: Fraction = 0.0

    def build(self) -> "Mlp":
        """Make the model."""
        return Mlp(self)


class Mlp(nn.Module):
    """Hidden layers of linear, GELU and dropout, then one linear layer to the classes."""

    def __init__(self, config: MlpConfig) -> None:
        super().__init__()
        self.label_smoothing, dims = config.label_smoothing, [prod(config.input_shape), *[config.dim] * config.depth]
        hidden = [(nn.Linear(a, b), nn.GELU(), nn.Dropout(config.dropout)) for a, b in pairwise(dims)]
        self.layers = nn.Sequential(nn.Flatten(), *chain(*hidden), nn.Linear(dims[-1], config.num_classes))

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Answer inputs [B, ...] with logits [B, C]; it carries nothing."""
        return classify(self.layers(batch.inputs), batch, self.label_smoothing)
