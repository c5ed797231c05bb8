"""A multilayer perceptron that sees the whole grid of a puzzle at once, a one-hot vector for each cell."""

from itertools import chain, pairwise
from typing import Literal

from pydantic import PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from ..types import STRICT, Batch, Carry, Fraction, StepOutput
from .cells import solve


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PuzzleMlpConfig:
    """Settings of the perceptron: `depth` hidden layers of width `dim`."""

    kind: Literal["puzzle_mlp"] = "puzzle_mlp"
    size: PositiveInt = 6  # rows and columns of the grid
    vocab_size: PositiveInt = 7  # tokens of a cell, the open one among them
    dim: PositiveInt = 216
    depth: PositiveInt = 3
    dropout: Fraction = 0.0
    passes: PositiveInt = 1  # in which an answer is filled, the surest cells first; training takes one

    def build(self) -> "PuzzleMlp":
        """Make the model."""
        return PuzzleMlp(self)


class PuzzleMlp(nn.Module):
    """Hidden layers of linear, GELU and dropout, then one linear layer to all tokens of all cells."""

    def __init__(self, config: PuzzleMlpConfig) -> None:
        super().__init__()
        self.vocab_size, self.passes = config.vocab_size, config.passes
        cells = config.size**2 * config.vocab_size
        dims = [cells, *[config.dim] * config.depth]
        hidden = [(nn.Linear(a, b), nn.GELU(), nn.Dropout(config.dropout)) for a, b in pairwise(dims)]
        self.layers = nn.Sequential(*chain(*hidden), nn.Linear(dims[-1], cells))

    def read(self, tokens: Tensor) -> Tensor:
        """Return logits for the cells of grids [B, L] -> [B, L, V]."""
        cells = F.one_hot(tokens, self.vocab_size).float().flatten(1)  # [B, L] -> [B, L * V]
        logits: Tensor = self.layers(cells).view(*tokens.shape, self.vocab_size)
        return logits

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Answer puzzles [B, L] with logits [B, L, V]; it carries nothing."""
        return solve(self.read, batch, 1 if self.training else self.passes)
