# copier: filter replace("my_project", package_name)
"""Tiny recursive models and batches for the tests of them."""

from typing import Any

import torch
from torch import Tensor

from my_project.models.memory import NeuralMemoryConfig
from my_project.models.titans_mag import MagConfig
from my_project.models.trm import Trm, TrmConfig
from my_project.types import Batch

SMALL: dict[str, Any] = {
    "seq_len": 9,
    "dim": 16,
    "num_heads": 2,
    "multiple_of": 8,
    "max_steps": 4,
    "num_latent": 2,
    "exploration": 0.0,
}
KINDS: list[dict[str, Any]] = [
    {"mixer": "tokens"},
    {"mixer": "attention"},
    {"pooled": True},
    {"features": 5, "num_classes": 3, "pooled": True},
    {
        "stack": MagConfig(num_heads=2, window=4, memory=NeuralMemoryConfig(chunk_size=4)),
        "both_ways": True,
        "num_latent": 1,
    },
]


def build(**options: Any) -> Trm:
    torch.manual_seed(0)
    return TrmConfig(**{**SMALL, **options}).build()


def batch_of(size: int, model: Trm, seed: int = 0) -> Batch:
    config, random = model.config, torch.Generator().manual_seed(seed)
    inputs = torch.randint(7, (size, config.seq_len), generator=random)
    if config.features:
        inputs = torch.randn(size, config.seq_len, config.features, generator=random)
    shape = (size,) if config.pooled else (size, config.seq_len)
    classes = config.num_classes or config.vocab_size
    return Batch(inputs, torch.randint(classes, shape, generator=random), torch.arange(size))


def restless(model: Trm, seed: int = 4) -> Trm:
    """Make halting depend on the rows: some logits of the first steps are positive, some are not."""
    with torch.no_grad():
        model.act.linear.weight.copy_(
            torch.randn(2, model.config.dim, generator=torch.Generator().manual_seed(seed)) * 3
        )
        model.act.linear.bias.zero_()
    return model


def same(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=0, atol=0)
    # copier: endfilter
