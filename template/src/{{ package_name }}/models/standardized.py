"""Any model behind a scaler: inputs in means and deviations of the training rows, which are part of the checkpoint."""

from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, PlainValidator, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from ..types import STRICT, Batch, Carry, StepOutput
from .nested import make_base

ROWS = 1024  # rows that are looked at together
Base = Annotated[Any, PlainValidator(partial(make_base, __package__))]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class StandardizedConfig:
    """Settings of the scaler in front of a model."""

    kind: Literal["standardized"] = "standardized"
    base: Base = Field("", validate_default=True)  # the model, as in '{kind: mlp}'
    input_shape: tuple[PositiveInt, ...] | None = None  # numbers with a scale each; '[]': one for all

    def build(self) -> "Standardized":
        """Make the model."""
        shape = getattr(self.base, "input_shape", ()) if self.input_shape is None else self.input_shape
        return Standardized(self.base.build(), tuple(shape))


class Standardized(nn.Module):
    """A base on (inputs - mean) / deviation; nothing but the training split decides these, then and ever after."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, base: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.base = base
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("deviation", torch.ones(shape))

    def prepare(self, dataset: Any) -> None:
        """Take mean and deviation of the training rows, some at a time; what is constant keeps its unit."""
        parts = [*torch.arange(len(dataset)).split(ROWS)]
        axes = [*range(1 + len(dataset[parts[0][:1], 0].inputs.shape[1:]) - self.mean.ndim)]
        count = len(dataset) * dataset[parts[0][:1], 0].inputs.numel() / self.mean.numel()
        sums = (dataset[rows, 0].inputs.double().sum(axes) for rows in parts)
        mean = sum(sums, start=torch.zeros((), dtype=torch.double)) / count
        squares = ((dataset[rows, 0].inputs.double() - mean).square().sum(axes) for rows in parts)
        deviation = (sum(squares, start=torch.zeros((), dtype=torch.double)) / count).sqrt()
        self.mean.copy_(mean)
        self.deviation.copy_(torch.where(deviation > 0, deviation, 1.0))
        if prepare := getattr(self.base, "prepare", None):
            prepare(dataset)

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Answer inputs [B, ...] as the base answers scaled ones."""
        output: StepOutput = self.base(replace(batch, inputs=(batch.inputs - self.mean) / self.deviation), carry)
        return output
