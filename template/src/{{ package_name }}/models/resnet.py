"""A residual network of basic blocks (He et al. 2016, "Deep residual learning"), with or without pre-activation."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from ..types import STRICT, Batch, Carry, Fraction, StepOutput, classify

NUM_GROUPS = 8  # of the normalisation: by groups of channels (Wu and He 2018), for no row sees another


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ResnetConfig:
    """Settings of the residual network, for grey images [B, height, width] of any size."""

    kind: Literal["resnet"] = "resnet"
    num_classes: PositiveInt = 10
    dim: Annotated[PositiveInt, Field(multiple_of=NUM_GROUPS)] = 16  # channels of the first stage; each next doubles
    num_stages: PositiveInt = 3  # each but the first halves the image
    depth: PositiveInt = 2  # blocks of a stage
    pre_activation: bool = True  # normalise before each convolution (He et al. 2016b, figure 4e), not after it
    dropout: Fraction = 0.1
    label_smoothing: Fraction = 0.0

    def build(self) -> "Resnet":
        """Make the model."""
        return Resnet(self)


def convolution(old: int, new: int, stride: int) -> nn.Conv2d:
    """Return a convolution of 3 by 3 without bias, for a normalisation follows: [B, old, h, w] -> [B, new, h', w']."""
    return nn.Conv2d(old, new, kernel_size=3, stride=stride, padding=1, bias=False)


class Block(nn.Module):
    """Two convolutions and a way past them, which is a projection where the shape changes (equations 1 and 2)."""

    def __init__(self, old: int, new: int, *, pre_activation: bool) -> None:
        super().__init__()
        stride = 1 if old == new else 2
        first, second = convolution(old, new, stride), convolution(new, new, 1)
        inner, outer = nn.GroupNorm(NUM_GROUPS, new), nn.GroupNorm(NUM_GROUPS, old if pre_activation else new)
        before = (outer, nn.ReLU(), first, inner, nn.ReLU(), second)
        after = (first, inner, nn.ReLU(), second, outer)
        self.layers = nn.Sequential(*(before if pre_activation else after))
        self.past = nn.Identity() if old == new else nn.Conv2d(old, new, kernel_size=1, stride=stride, bias=False)
        self.last = nn.Identity() if pre_activation else nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        """Add to features: [B, old, h, w] -> [B, new, h', w']."""
        total: Tensor = self.last(self.past(features) + self.layers(features))
        return total


class Resnet(nn.Module):
    """A convolution, stages of blocks, the mean over the image, a linear head: section 4.2 of the paper."""

    def __init__(self, config: ResnetConfig) -> None:
        super().__init__()
        dims = [config.dim * 2**stage for stage in range(config.num_stages) for _ in range(config.depth)]
        blocks = [Block(a, b, pre_activation=config.pre_activation) for a, b in pairwise([config.dim, *dims])]
        ends = (nn.GroupNorm(NUM_GROUPS, dims[-1] if config.pre_activation else config.dim), nn.ReLU())
        parts = [*blocks, *ends] if config.pre_activation else [*ends, *blocks]
        self.stages = nn.Sequential(convolution(1, config.dim, 1), *parts)
        self.dropout, self.head = nn.Dropout(config.dropout), nn.Linear(dims[-1], config.num_classes)
        self.label_smoothing = config.label_smoothing

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Answer images [B, height, width] with logits [B, C]; it carries nothing."""
        features = self.stages(batch.inputs.unsqueeze(1)).mean(dim=(2, 3))  # [B, D, h, w] -> [B, D]
        return classify(self.head(self.dropout(features)), batch, self.label_smoothing)
