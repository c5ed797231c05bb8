"""Two towers, one for an image and one for its caption, whose features are joined before the answer (late fusion)."""

from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from ..types import STRICT, Batch, Carry, Fraction, StepOutput, classify

NUM_GROUPS, UNKNOWN_WORD = 8, 1  # of the image's normalisation; the token of a word that is not in the vocabulary
Side = Literal["image", "words"]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FusionConfig:
    """Settings of the towers, for inputs {"image": [B, height, width], "words": [B, L]} of any size."""

    kind: Literal["fusion"] = "fusion"
    num_classes: PositiveInt = 10
    vocab_size: PositiveInt = 21  # tokens; those from here on are unknown words
    dim: Annotated[PositiveInt, Field(multiple_of=NUM_GROUPS)] = 64  # features of each tower
    num_stages: PositiveInt = 3  # of the image's tower, each but the first halves the image
    sides: Annotated[tuple[Side, ...], Field(min_length=1)] = ("image", "words")  # what it looks at
    withhold: Annotated[float, Field(ge=0, le=0.5)] = 0.1  # of the training rows see no image, as many no words
    dropout: Fraction = 0.1
    label_smoothing: Fraction = 0.0

    def build(self) -> "Fusion":
        """Make the model."""
        return Fusion(self)


class ImageTower(nn.Module):
    """Stages of convolution, group normalisation and GELU, then their mean: [B, height, width] -> [B, D]."""

    def __init__(self, config: FusionConfig) -> None:
        super().__init__()
        layers = list[nn.Module]()
        for old, new in pairwise([1, *[config.dim] * config.num_stages]):
            convolution = nn.Conv2d(old, new, kernel_size=3, stride=1 if old == 1 else 2, padding=1)
            layers += [convolution, nn.GroupNorm(NUM_GROUPS, new), nn.GELU()]
        self.stages = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        """Return features [B, D] of images [B, height, width]."""
        features: Tensor = self.stages(image.unsqueeze(1)).mean(dim=(2, 3))  # [B, D, h, w] -> [B, D]
        return features


class WordsTower(nn.Module):
    """Features of three words in a row, the largest of each over the text (Kim 2014): [B, L] -> [B, D]."""

    def __init__(self, config: FusionConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.vocab_size, config.dim, padding_idx=0)
        self.convolution = nn.Conv1d(config.dim, config.dim, kernel_size=3, padding=1)

    def forward(self, words: Tensor) -> Tensor:
        """Return features [B, D] of tokens [B, L]; a text without a word has features 0."""
        known = words.where(words < self.embedding.num_embeddings, UNKNOWN_WORD)
        features: Tensor = self.convolution(self.embedding(known).transpose(1, 2)).relu()  # [B, L, D] -> [B, D, L]
        return (features * (words > 0).unsqueeze(1)).amax(dim=2)


class Fusion(nn.Module):
    """The towers' features side by side, a hidden layer, a linear head; rows that miss a side are part of training.

    A side is missing where it is all 0. Training without one for some rows keeps the network from trusting the other
    alone, and lets it answer with either (Neverova et al. 2016, ModDrop).
    """

    def __init__(self, config: FusionConfig) -> None:
        super().__init__()
        self.withhold, self.label_smoothing = config.withhold, config.label_smoothing
        towers: dict[Side, type[nn.Module]] = {"image": ImageTower, "words": WordsTower}
        self.towers = nn.ModuleDict({side: towers[side](config) for side in config.sides})
        dim = config.dim * len(self.towers)
        hidden = (nn.Linear(dim, config.dim), nn.GELU(), nn.Dropout(config.dropout))
        self.head = nn.Sequential(nn.LayerNorm(dim), *hidden, nn.Linear(config.dim, config.num_classes))

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Answer images and their captions with logits [B, C]; it carries nothing."""
        inputs = {side: batch.inputs[side] for side in self.towers}
        if self.training and len(inputs) > 1:
            draw = torch.rand(len(batch.index), device=batch.index.device)  # one side of a row at most is missing
            for number, (side, rows) in enumerate(inputs.items()):
                kept = (draw < number * self.withhold) | (draw >= (number + 1) * self.withhold)
                inputs[side] = rows * kept.view(-1, *[1] * (rows.ndim - 1))
        features = torch.cat([tower(inputs[side]) for side, tower in self.towers.items()], dim=1)  # [B, 2D]
        return classify(self.head(features), batch, self.label_smoothing)
