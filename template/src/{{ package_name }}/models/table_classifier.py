"""A network that tells the class of a row of a table."""

from typing import Any, Literal

from pydantic import PositiveInt
from pydantic.dataclasses import dataclass
from torch import nn

from ..types import STRICT, Batch, Carry, Fraction, StepOutput, classify
from .tabular import LAYERS, Standardise


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TableClassifierConfig:
    """Settings of a classifier of rows [B, F]; a category has an input for each of its values."""

    kind: Literal["table_classifier"] = "table_classifier"
    num_inputs: PositiveInt = 26
    num_classes: PositiveInt = 4
    layers: Literal["plain", "residual"] = "plain"
    dim: PositiveInt = 128
    depth: PositiveInt = 3  # hidden layers, or residual blocks
    dropout: Fraction = 0.1
    label_smoothing: Fraction = 0.0

    def build(self) -> "TableClassifier":
        """Make the model."""
        return TableClassifier(self)


class TableClassifier(nn.Module):
    """Layers over standardised rows."""

    def __init__(self, config: TableClassifierConfig) -> None:
        super().__init__()
        sizes = (config.num_inputs, config.num_classes)
        self.standardise, self.label_smoothing = Standardise(config.num_inputs), config.label_smoothing
        self.layers = LAYERS[config.layers](sizes, config.dim, config.depth, config.dropout)

    def prepare(self, dataset: Any) -> None:
        """Take means and deviations from the rows that it is to be trained on."""
        self.standardise.fit(dataset.inputs)

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Answer rows [B, F] with logits [B, C]; it carries nothing."""
        return classify(self.layers(self.standardise(batch.inputs)), batch, self.label_smoothing)
