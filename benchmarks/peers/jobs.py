"""The jobs that every contender does: the same network, rows, order of rows and learning rate."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.peers.meter import Meter

SEED, NUM_CLASSES, EPOCH = 7, 10, 100  # batches of an epoch
LR, BETAS, EPS, WEIGHT_DECAY, WARMUP = 1e-3, (0.9, 0.99), 1e-8, 0.01, 50
LOG_EVERY, CLIP, EMA = 20, 1.0, 0.999
NUM_STEPS = 20_000  # where the cosine ends: no contender gets there


class Data(NamedTuple):
    """All rows of a job."""

    inputs: Tensor  # [N, ...]
    targets: Tensor  # [N]


class Transformer(nn.Module):
    """Pre-norm blocks over given tokens, then the mean over them."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(256, 4, 1024, 0.0, "gelu", batch_first=True, norm_first=True)
        self.embed, self.head = nn.Linear(32, 256), nn.Linear(256, NUM_CLASSES)
        self.blocks = nn.TransformerEncoder(layer, 6, nn.LayerNorm(256), enable_nested_tensor=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Answer tokens [B, L, 32] with logits [B, C]."""
        logits: Tensor = self.head(self.blocks(self.embed(tokens)).mean(dim=1))
        return logits


def mlp() -> nn.Module:
    """One small hidden layer: 5,000 parameters."""
    return nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.Linear(64, NUM_CLASSES))


def cnn() -> nn.Module:
    """Three stages for small grey images: 94,000 parameters."""
    layers: list[nn.Module] = []
    for old, new in ((1, 32), (32, 64), (64, 128)):
        convolution = nn.Conv2d(old, new, kernel_size=3, stride=1 if old == 1 else 2, padding=1)
        layers += [convolution, nn.GroupNorm(8, new), nn.GELU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, NUM_CLASSES))


@dataclass(frozen=True, kw_only=True)
class Job:
    """A network, its rows, and how long a look at it is."""

    name: str
    layers: Callable[[], nn.Module]
    """makes the network, from inputs [B, ...] to logits [B, C]"""
    shape: tuple[int, ...]
    """of one row"""
    batch_size: int
    checked: int
    """updates after which the weights are compared"""
    warm: int
    """updates of a round before those, while the processor's caches fill"""
    steps: int
    """updates of a round that are measured"""
    rounds: int
    """of each process"""

    def data(self) -> Data:
        """Make the rows: noise, and what a random plane says of it."""
        generator = torch.Generator().manual_seed(SEED)
        inputs = torch.randn(EPOCH * self.batch_size, *self.shape, generator=generator)
        planes = torch.randn(math.prod(self.shape), NUM_CLASSES, generator=generator)
        return Data(inputs, (inputs.flatten(1) @ planes).argmax(1))

    def net(self, meter: Meter) -> "Net":
        """Make the network; its weights follow from the seed."""
        torch.manual_seed(SEED)
        return Net(self.layers(), meter)


class Net(nn.Module):
    """A job's network, which counts its own steps."""

    def __init__(self, layers: nn.Module, meter: Meter) -> None:
        super().__init__()
        self.layers, self.meter = layers, meter

    def forward(self, inputs: Tensor) -> Tensor:
        """Answer inputs [B, ...] with logits [B, C]."""
        self.meter.tick()
        logits: Tensor = self.layers(inputs)
        return logits


JOBS = (
    Job(name="mlp", layers=mlp, shape=(64,), batch_size=32, checked=120, warm=10, steps=200, rounds=18),
    Job(name="cnn", layers=cnn, shape=(1, 28, 28), batch_size=16, checked=60, warm=1, steps=20, rounds=16),
    Job(name="transformer", layers=Transformer, shape=(16, 32), batch_size=4, checked=40, warm=1, steps=8, rounds=16),
)


def epoch_order(num_rows: int, epoch: int) -> Tensor:
    """Return the row numbers [N] of an epoch, in the order of the project's own loader."""
    seed = int(np.random.SeedSequence((SEED, epoch)).generate_state(1, np.uint64)[0]) >> 1
    return torch.randperm(num_rows, generator=torch.Generator().manual_seed(seed))


def batch_rows(data: Data) -> Iterator[Tensor]:
    """Yield the row numbers [B] of batch after batch, without end."""
    epoch, num_rows = 0, len(data.inputs)
    while True:
        yield from epoch_order(num_rows, epoch).split(num_rows // EPOCH)
        epoch += 1


def lr_scale(step: int) -> float:
    """Return the factor on the learning rate in update `step`, from 0: warm-up, then a cosine."""
    if step < WARMUP:
        return (step + 1) / WARMUP
    return (1 + math.cos(math.pi * (step - WARMUP) / (NUM_STEPS - WARMUP))) / 2


def parameter_groups(model: nn.Module) -> list[dict[str, Any]]:
    """Group the parameters: matrices decay, vectors do not."""
    parameters = list(model.parameters())
    matrices, vectors = [p for p in parameters if p.ndim > 1], [p for p in parameters if p.ndim <= 1]
    return [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}]


def adamw(model: nn.Module, *, fused: bool | None = True) -> torch.optim.AdamW:
    """Make the optimizer that all have; `fused` None leaves the choice to torch."""
    return torch.optim.AdamW(parameter_groups(model), lr=LR, betas=BETAS, eps=EPS, fused=fused)
