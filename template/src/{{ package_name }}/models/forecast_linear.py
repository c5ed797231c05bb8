"""A linear forecast of all steps ahead from the history: NLinear (Zeng et al. 2023), with quantiles."""

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt
from pydantic.dataclasses import dataclass
from torch import nn

from ..types import STRICT, Batch, Carry, StepOutput
from .quantiles import Quantiles, check


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ForecastLinearConfig:
    """Settings of the linear forecast."""

    kind: Literal["forecast_linear"] = "forecast_linear"
    history: Annotated[int, Field(ge=2)] = 104  # steps that it sees: data.history
    horizon: PositiveInt = 52  # steps that it forecasts: data.horizon

    def build(self) -> "ForecastLinear":
        """Make the model."""
        return ForecastLinear(self)


class ForecastLinear(nn.Module):
    """One linear layer from the history's changes: sums of them are its differences to the last value."""

    def __init__(self, config: ForecastLinearConfig) -> None:
        super().__init__()
        self.history, self.head = config.history, Quantiles(config.history - 1, config.horizon)

    def prepare(self, dataset: Any) -> None:
        """Take the scale of differences from the windows that it is trained on."""
        check("history", self.history, dataset.inputs)
        self.head.prepare(dataset)

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Answer histories [B, L, 2] with quantiles [B, H, Q]; it carries nothing."""
        changes = batch.inputs[..., 0].diff(dim=1) / self.head.scale  # [B, L-1]
        output: StepOutput = self.head(changes.unsqueeze(1), batch)
        return output
