"""What networks for tables share: columns on one scale, and plain or residual layers behind them."""

from itertools import pairwise

import torch
from torch import Tensor, nn


class Standardise(nn.Module):
    """Subtract the mean of the rows it was fitted to and divide by their deviation; a checkpoint holds both."""

    mean: Tensor  # [F], or [] of targets
    scale: Tensor

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("scale", torch.ones(shape))

    def fit(self, rows: Tensor) -> None:
        """Take both from rows [N, ...]; a column of one value, or of nothing but 0 and 1, stays as it is."""
        mean, scale = rows.double().mean(0), rows.double().std(0, correction=0)
        plain = (scale == 0) | ((rows == 0) | (rows == 1)).all(0)  # a rare category's few ones would become huge
        self.mean.copy_(torch.where(plain, 0.0, mean))
        self.scale.copy_(torch.where(plain, 1.0, scale))

    def forward(self, rows: Tensor) -> Tensor:
        """Put rows [B, ...] on the scale of those it was fitted to."""
        return (rows - self.mean) / self.scale


class Block(nn.Module):
    """Normalisation, two layers, and a way past them (Gorishniy et al. 2021, section 3.2): [B, D] -> [B, D].

    With layer instead of batch normalisation, so that no row's answer depends on the rows beside it.
    """

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        hidden = (nn.Linear(dim, 2 * dim), nn.GELU(), nn.Dropout(dropout))
        self.layers = nn.Sequential(nn.LayerNorm(dim), *hidden, nn.Linear(2 * dim, dim), nn.Dropout(dropout))

    def forward(self, features: Tensor) -> Tensor:
        """Add to features [B, D]."""
        added: Tensor = self.layers(features)
        return features + added


def plain_layers(sizes: tuple[int, int], dim: int, depth: int, dropout: float) -> nn.Sequential:
    """Return `depth` hidden layers of width `dim` between F inputs and K outputs: [B, F] -> [B, K]."""
    dims = [sizes[0], *[dim] * depth]
    hidden = [layer for a, b in pairwise(dims) for layer in (nn.Linear(a, b), nn.GELU(), nn.Dropout(dropout))]
    return nn.Sequential(*hidden, nn.Linear(dim, sizes[1]))


def residual_layers(sizes: tuple[int, int], dim: int, depth: int, dropout: float) -> nn.Sequential:
    """Return `depth` residual blocks of width `dim` between F inputs and K outputs: [B, F] -> [B, K]."""
    blocks = [Block(dim, dropout) for _ in range(depth)]
    return nn.Sequential(nn.Linear(sizes[0], dim), *blocks, nn.LayerNorm(dim), nn.Linear(dim, sizes[1]))


LAYERS = {"plain": plain_layers, "residual": residual_layers}
