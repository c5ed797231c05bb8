"""An image encoder and a text encoder that put what belongs together side by side: CLIP (Radford et al. 2021)."""

from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass
from torch import nn
from torch.nn import functional as F

from ..types import STRICT, Batch, Carry, Fraction, StepOutput
from .contrastive import Contrast
from .text_tower import Layers, pool


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ImageTextConfig:
    """Settings of the encoders, for grey images [B, height, width] and texts [B, L] of word numbers."""

    kind: Literal["image_text"] = "image_text"
    vocab_size: PositiveInt = 64
    channels: Annotated[PositiveInt, Field(multiple_of=8)] = 24  # of the first stage; each later one doubles them
    stages: PositiveInt = 3  # of convolutions, each of which halves the image
    dim: PositiveInt = 64  # of the embeddings
    dropout: Fraction = 0.1
    temperature: PositiveFloat = 0.07  # to begin with; it is learned

    def build(self) -> "ImageText":
        """Make the model."""
        return ImageText(self)


class ImageText(nn.Module):
    """Convolutions over the image, the mean of the words, each with a head to embeddings of length 1."""

    def __init__(self, config: ImageTextConfig) -> None:
        super().__init__()
        dims, layers = [1, *(config.channels * 2**stage for stage in range(config.stages))], list[nn.Module]()
        for old, new in pairwise(dims):  # group normalisation: no row sees another (Wu and He 2018)
            convolution = nn.Conv2d(old, new, kernel_size=3, stride=1 if old == 1 else 2, padding=1)
            layers += [convolution, nn.GroupNorm(8, new), nn.GELU()]
        self.stages = nn.Sequential(*layers)
        self.image_head = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(dims[-1], config.dim))
        self.words = nn.Embedding(config.vocab_size, config.dim, padding_idx=0)
        self.text_head = Layers(config.dim, 2 * config.dim, config.dropout)
        self.contrast = Contrast(config.temperature)

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Answer images [B, height, width] and texts [B, L] with embeddings [B, 2, D]; it carries nothing."""
        images, texts = batch.inputs["image"], batch.inputs["text"]
        seen = self.image_head(self.stages(images.unsqueeze(1)).mean(dim=(2, 3)))  # [B, D]
        said = self.text_head(pool(self.words(texts), (texts > 0).to(self.words.weight.dtype)))  # [B, D]
        output: StepOutput = self.contrast(F.normalize(torch.stack([seen, said], dim=1), dim=2), batch.targets)
        return output
