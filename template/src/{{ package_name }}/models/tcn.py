"""A temporal convolutional network: dilated convolutions that never look ahead (Bai, Kolter and Koltun 2018)."""

from typing import Any, Literal

from pydantic import NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from ..types import STRICT, Batch, Carry, Fraction, StepOutput
from .quantiles import Quantiles


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TcnConfig:
    """Settings of the convolutional network; block n reaches 2^n times as far back as the first one."""

    kind: Literal["tcn"] = "tcn"
    horizon: PositiveInt = 52  # steps that it forecasts: data.horizon
    burn_in: NonNegativeInt = 52  # steps of a history from which nothing is learnt yet; fewer than data.history
    dim: PositiveInt = 32
    depth: PositiveInt = 5
    kernel_size: PositiveInt = 3
    dropout: Fraction = 0.1

    def build(self) -> "Tcn":
        """Make the model."""
        return Tcn(self)


class CausalBlock(nn.Module):
    """Two dilated convolutions with a way past them; steps are normalised one by one: a mean over time looks ahead."""

    def __init__(self, config: TcnConfig, dilation: int) -> None:
        super().__init__()
        dim, self.padding = config.dim, (config.kernel_size - 1) * dilation
        self.norm, self.dropout = nn.LayerNorm(dim), nn.Dropout(config.dropout)
        self.first, self.second = (nn.Conv1d(dim, dim, config.kernel_size, dilation=dilation) for _ in range(2))

    def forward(self, features: Tensor) -> Tensor:
        """Add to features [B, L, D] what lies at and before each step."""
        added = self.norm(features).transpose(1, 2)  # [B, D, L]
        for convolution in (self.first, self.second):
            added = self.dropout(F.gelu(convolution(F.pad(added, (self.padding, 0)))))
        whole: Tensor = features + added.transpose(1, 2)
        return whole


class Tcn(nn.Module):
    """Causal blocks over the history; every step after the burn-in learns to forecast."""

    def __init__(self, config: TcnConfig) -> None:
        super().__init__()
        self.burn_in, self.inputs = config.burn_in, nn.Linear(3, config.dim)
        self.blocks = nn.ModuleList(CausalBlock(config, 2**number) for number in range(config.depth))
        self.norm, self.head = nn.LayerNorm(config.dim), Quantiles(config.dim, config.horizon)

    def prepare(self, dataset: Any) -> None:
        """Take the scale of differences from the windows that it is trained on."""
        if self.burn_in >= dataset.inputs.shape[1]:
            raise ValueError(f"model.burn_in {self.burn_in}: want less than data.history {dataset.inputs.shape[1]}")
        self.head.prepare(dataset)

    def features(self, inputs: Tensor) -> Tensor:
        """Return for each step of histories [B, L, 2] features [B, L, D] of what lies at and before it."""
        features = self.inputs(self.head.relative(inputs))
        for block in self.blocks:
            features = block(features)
        normed: Tensor = self.norm(features)
        return normed

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Answer histories [B, L, 2] with quantiles [B, H, Q]; it carries nothing."""
        features = self.features(batch.inputs)
        output: StepOutput = self.head(features[:, self.burn_in if self.training else -1 :], batch)
        return output
