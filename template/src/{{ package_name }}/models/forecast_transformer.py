"""A transformer over a history, whose causal mask hides from every token what follows it (Vaswani et al. 2017)."""

from typing import Any, Literal

import torch
from pydantic import NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from ..types import STRICT, Batch, Carry, Fraction, StepOutput
from .quantiles import Quantiles, check, check_patches


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ForecastTransformerConfig:
    """Settings of the transformer: `depth` blocks on a token [dim] for every `patch_size` steps."""

    kind: Literal["forecast_transformer"] = "forecast_transformer"
    history: PositiveInt = 104  # steps that it sees: data.history
    horizon: PositiveInt = 52  # steps that it forecasts: data.horizon
    patch_size: PositiveInt = 4  # steps that make a token; it must divide history and burn_in
    reach: PositiveInt = 52  # steps that a token sees: its patch and some before it
    burn_in: NonNegativeInt = 52  # steps of a history from which nothing is learnt yet
    dim: PositiveInt = 32
    depth: PositiveInt = 2
    num_heads: PositiveInt = 4
    dropout: Fraction = 0.1

    def __post_init__(self) -> None:
        if self.dim % self.num_heads:
            raise ValueError(f"num_heads {self.num_heads} must divide dim {self.dim}")
        check_patches(self.history, self.burn_in, self.patch_size, self.reach)

    def build(self) -> "ForecastTransformer":
        """Make the model."""
        return ForecastTransformer(self)


class ForecastTransformer(nn.Module):
    """Patches (Nie et al. 2023) at learned positions, pre-norm blocks; each after the burn-in learns to forecast."""

    def __init__(self, config: ForecastTransformerConfig) -> None:
        super().__init__()
        self.history, self.patch_size, self.reach = config.history, config.patch_size, config.reach
        self.burn_in, length = (steps // config.patch_size for steps in (config.burn_in, config.history))  # tokens
        dim = config.dim
        self.patches = nn.Conv1d(3, dim, config.reach, stride=config.patch_size)
        self.positions = nn.Parameter(torch.empty(length, dim).normal_(std=0.02))
        self.head = Quantiles(dim, config.horizon)
        sizes = (dim, config.num_heads, 4 * dim, config.dropout)
        layer = nn.TransformerEncoderLayer(*sizes, activation="gelu", batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, config.depth, nn.LayerNorm(dim), enable_nested_tensor=False)
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        self.register_buffer("mask", mask, persistent=False)

    def prepare(self, dataset: Any) -> None:
        """Take the scale of differences from the windows that it is trained on."""
        check("history", self.history, dataset.inputs)
        self.head.prepare(dataset)

    def features(self, inputs: Tensor) -> Tensor:
        """Return for each patch of histories [B, L, 2] features [B, L / patch_size, D] of what its end knows."""
        padded = F.pad(self.head.relative(inputs).transpose(1, 2), (self.reach - self.patch_size, 0))
        tokens = self.patches(padded).transpose(1, 2) + self.positions  # [B, P, D]
        features: Tensor = self.blocks(tokens, mask=self.mask, is_causal=True)
        return features

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Answer histories [B, L, 2] with quantiles [B, H, Q]; it carries nothing."""
        features = self.features(batch.inputs)[:, self.burn_in if self.training else -1 :]
        output: StepOutput = self.head(features, batch, self.patch_size)
        return output
