# copier: filter replace("my_project", package_name)
"""A model to begin with: blocks of one of four families, between a way in and a way out that the task decides."""

from typing import Any, Literal

import torch
from pydantic import PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from my_project.types import STRICT, Batch, Carry, Fraction, StepOutput, classify


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ModelTemplateConfig:
    """Settings of the model: `depth` blocks on features [B, L, dim]."""

    kind: Literal["model_template"] = "model_template"
    input_shape: tuple[PositiveInt, PositiveInt] = (8, 8)  # places and numbers of a place: [L, F]
    num_classes: PositiveInt = 10
    dim: PositiveInt = 64
    depth: PositiveInt = 2
    num_heads: PositiveInt = 4
    dropout: Fraction = 0.1

    def __post_init__(self) -> None:
        if self.dim % self.num_heads:
            raise ValueError(f"num_heads {self.num_heads} must divide dim {self.dim}")

    def build(self) -> "ModelTemplate":
        """Make the model."""
        return ModelTemplate(self)


class MlpBlock(nn.Module):
    """Two layers with normalisation before them and a way past them, for each place by itself."""

    def __init__(self, config: ModelTemplateConfig) -> None:
        super().__init__()
        inner, outer = nn.Linear(config.dim, 2 * config.dim), nn.Linear(2 * config.dim, config.dim)
        self.layers = nn.Sequential(nn.LayerNorm(config.dim), inner, nn.GELU(), nn.Dropout(config.dropout), outer)

    def forward(self, features: Tensor) -> Tensor:
        """Add to features [B, L, D]."""
        added: Tensor = self.layers(features)
        return features + added


class CnnBlock(nn.Module):
    """A convolution over the places with normalisation before it and a way past it; channels stand last."""

    def __init__(self, config: ModelTemplateConfig) -> None:
        super().__init__()
        self.norm, self.dropout = nn.LayerNorm(config.dim), nn.Dropout(config.dropout)
        self.convolution = nn.Conv1d(config.dim, config.dim, kernel_size=3, padding=1)
        self.mix = nn.Linear(config.dim, config.dim)

    def forward(self, features: Tensor) -> Tensor:
        """Add to features [B, L, D] what lies around each place."""
        around = self.convolution(self.norm(features).movedim(-1, 1)).movedim(1, -1)
        added: Tensor = self.dropout(self.mix(F.gelu(around)))
        return features + added


class TransformerBlock(nn.Module):
    """Attention, then two layers, each with normalisation before it and a way past it (Vaswani et al. 2017)."""

    def __init__(self, config: ModelTemplateConfig) -> None:
        super().__init__()
        sizes = (config.dim, config.num_heads, 2 * config.dim, config.dropout)
        self.layer = nn.TransformerEncoderLayer(*sizes, activation="gelu", batch_first=True, norm_first=True)

    def forward(self, features: Tensor) -> Tensor:
        """Let places of [B, L, D] look at each other; sines say where each one is (section 3.5 of the same)."""
        length, dim = features.shape[1:]
        places, rates = (torch.arange(count, device=features.device) for count in (length, dim))
        turns = places[:, None] / 10_000 ** (rates / dim)  # [L, D]
        seen: Tensor = self.layer(features + turns.sin())
        return seen


class RecurrentBlock(nn.Module):
    """A gated recurrence over the places, all at once (minGRU: Feng et al. 2024, in the log space of appendix B)."""

    def __init__(self, config: ModelTemplateConfig) -> None:
        super().__init__()
        self.norm, self.dropout = nn.LayerNorm(config.dim), nn.Dropout(config.dropout)
        self.gates, self.mix = nn.Linear(config.dim, 2 * config.dim), nn.Linear(config.dim, config.dim)

    def forward(self, features: Tensor) -> Tensor:
        """Add to features [B, L, D] what was read up to each place: h = (1 - z) h + z g, with gate z and value g."""
        gate, value = self.gates(self.norm(features)).float().chunk(2, dim=-1)
        left = -F.softplus(gate).cumsum(1)  # [B, L, D] the logarithm of what the gates leave of the first place
        value = torch.where(value >= 0, (value.relu() + 0.5).log(), -F.softplus(-value))  # the logarithm of g
        read = (left + torch.logcumsumexp(value - F.softplus(-gate) - left, dim=1)).exp()
        added: Tensor = self.dropout(self.mix(read))
        return features + added


BLOCKS = {"mlp": MlpBlock, "cnn": CnnBlock, "transformer": TransformerBlock, "recurrent": RecurrentBlock}


class ModelTemplate(nn.Module):
    """A linear layer into the features, blocks, the mean over the places, a linear head."""

    def __init__(self, config: ModelTemplateConfig, family: str = "transformer") -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(config.input_shape[-1], config.dim), nn.Linear(config.dim, config.num_classes)
        self.blocks = nn.ModuleList(BLOCKS[family](config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.dim)

    def read(self, inputs: Any) -> Tensor:
        """Return features [B, L, D] of inputs [B, L, F]."""
        features: Tensor = self.embed(inputs)
        return features

    def answer(self, features: Tensor, batch: Batch) -> StepOutput:
        """Answer features [B, L, D] with logits [B, C] and their loss."""
        return classify(self.head(features.mean(1)), batch, label_smoothing=0.0)

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Read a batch, pass it through the blocks and answer it; nothing is carried."""
        features = self.read(batch.inputs)
        for block in self.blocks:
            features = block(features)
        return self.answer(self.norm(features), batch)
        # copier: endfilter
