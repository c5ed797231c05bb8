"""A transformer over the patches of an image: ViT (Dosovitskiy et al. 2021)."""

from typing import Literal

import torch
from pydantic import PositiveInt
from pydantic.dataclasses import dataclass
from torch import nn

from ..types import STRICT, Batch, Carry, Fraction, StepOutput, classify


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TransformerConfig:
    """Settings of the transformer, for square grey images [B, size, size]: `depth` blocks on tokens [B, L, dim]."""

    kind: Literal["transformer"] = "transformer"
    image_size: PositiveInt = 8
    patch_size: PositiveInt = 2
    num_classes: PositiveInt = 10
    dim: PositiveInt = 64
    depth: PositiveInt = 3
    num_heads: PositiveInt = 4
    dropout: Fraction = 0.1
    label_smoothing: Fraction = 0.0

    def __post_init__(self) -> None:
        for part, whole in (("patch_size", "image_size"), ("num_heads", "dim")):
            if getattr(self, whole) % getattr(self, part):
                raise ValueError(f"{part} {getattr(self, part)} must divide {whole} {getattr(self, whole)}")

    def build(self) -> "Transformer":
        """Make the model."""
        return Transformer(self)


class Transformer(nn.Module):
    """Patches as tokens with learned positions, pre-norm blocks, the mean over tokens, a linear head."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.label_smoothing, dim, patch = config.label_smoothing, config.dim, config.patch_size
        self.patches = nn.Conv2d(1, dim, kernel_size=patch, stride=patch)
        self.positions = nn.Parameter(torch.empty((config.image_size // patch) ** 2, dim).normal_(std=0.02))
        sizes = (dim, config.num_heads, 4 * dim, config.dropout)
        layer = nn.TransformerEncoderLayer(*sizes, activation="gelu", batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, config.depth, nn.LayerNorm(dim), enable_nested_tensor=False)
        self.head = nn.Linear(dim, config.num_classes)

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Answer images [B, size, size] with logits [B, C]; it carries nothing."""
        patches = self.patches(batch.inputs.unsqueeze(1))  # [B, D, h, w]
        tokens = patches.flatten(2).transpose(1, 2) + self.positions  # [B, L, D]
        return classify(self.head(self.blocks(tokens).mean(dim=1)), batch, self.label_smoothing)
