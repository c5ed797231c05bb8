"""A transformer over the cells of a puzzle, whose heads begin with a look along rows, columns and boxes."""

from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from ..types import STRICT, Batch, Carry, Fraction, StepOutput
from .cells import solve

Look = Literal["row", "column", "box", "cell", "above", "below", "left", "right"]
# What a head adds to the scores of the cells that it begins to look at: at 3 each counts as e^3 others. One neighbour
# among many cells needs more to be heard than a line does; a cell itself is also heard without attention.
FOCUS: dict[Look, float] = {"row": 3, "column": 3, "box": 3, "cell": 3, "above": 6, "below": 6, "left": 6, "right": 6}
LOOKS = tuple(FOCUS)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PuzzleTransformerConfig:
    """Settings of the transformer: `depth` blocks on a token for each cell."""

    kind: Literal["puzzle_transformer"] = "puzzle_transformer"
    size: PositiveInt = 6  # rows and columns of the grid
    box: tuple[PositiveInt, PositiveInt] = (2, 3)  # rows and columns of a box; the grid's where there are none
    vocab_size: PositiveInt = 7  # tokens of a cell, the open one among them
    dim: PositiveInt = 64
    depth: PositiveInt = 4
    heads: Annotated[tuple[Look, ...], Field(min_length=1)] = ("row", "column", "box", "cell")  # where each looks first
    dropout: Fraction = 0.0
    passes: PositiveInt = 1  # in which an answer is filled, the surest cells first; training takes one

    def __post_init__(self) -> None:
        if self.dim % len(self.heads):
            raise ValueError(f"dim {self.dim}: want a multiple of the {len(self.heads)} heads")
        if self.size % self.box[0] or self.size % self.box[1]:
            raise ValueError(f"box {[*self.box]} must divide size {self.size}")

    def build(self) -> "PuzzleTransformer":
        """Make the model."""
        return PuzzleTransformer(self)


def places(config: PuzzleTransformerConfig) -> Tensor:
    """Return each cell's row, column and box, all numbered through: [3, L]."""
    (high, wide), size = config.box, config.size
    row, column = torch.arange(size**2) // size, torch.arange(size**2) % size
    return torch.stack([row, size + column, 2 * size + row // high * (size // wide) + column // wide])


def relations(config: PuzzleTransformerConfig) -> Tensor:
    """Return which cells each cell [L] finds at each of its looks: [R, L, L], 1 or 0."""
    units = places(config)
    row, column, box = (unit[None, :] == unit[:, None] for unit in units)  # [L, L] each
    down, right = (unit[None, :] - unit[:, None] for unit in units[:2])
    near = (down == -1) & column, (down == 1) & column, (right == -1) & row, (right == 1) & row
    return torch.stack([row, column, box, row & column, *near]).float()


class Block(nn.Module):
    """Attention whose scores depend on where cells lie, then two linear layers, each after a norm."""

    def __init__(self, config: PuzzleTransformerConfig) -> None:
        super().__init__()
        dim, self.num_heads, self.dropout = config.dim, len(config.heads), config.dropout
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2))
        self.project, self.mix = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.wide, self.narrow = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        focus = [[FOCUS[look] * (look == head) for look in LOOKS] for head in config.heads]
        self.bias = nn.Parameter(torch.tensor(focus, dtype=torch.float))  # [H, R]; Shaw et al. 2018, for relations

    def forward(self, cells: Tensor, related: Tensor) -> Tensor:
        """Let cells [B, L, D] hear from those that they are related to by [R, L, L]."""
        parts = self.project(self.norms[0](cells)).unflatten(2, (3, self.num_heads, -1))  # [B, L, 3, H, K]
        queries, keys, values = parts.permute(2, 0, 3, 1, 4)  # [B, H, L, K] each
        scores = torch.einsum("hr,rij->hij", self.bias, related)
        heard = F.scaled_dot_product_attention(queries, keys, values, attn_mask=scores)
        cells = cells + F.dropout(self.mix(heard.transpose(1, 2).flatten(2)), self.dropout, self.training)
        hidden = F.gelu(self.wide(self.norms[1](cells)))
        return cells + F.dropout(self.narrow(hidden), self.dropout, self.training)


class PuzzleTransformer(nn.Module):
    """Tokens with learned positions of row, column and box, pre-norm blocks, a linear head for each cell."""

    related: Tensor
    places: Tensor

    def __init__(self, config: PuzzleTransformerConfig) -> None:
        super().__init__()
        self.passes, dim = config.passes, config.dim
        self.register_buffer("related", relations(config), persistent=False)
        self.register_buffer("places", places(config), persistent=False)
        self.tokens = nn.Embedding(config.vocab_size, dim)
        self.positions = nn.Parameter(torch.empty(int(self.places.max()) + 1, dim).normal_(std=0.5))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, config.vocab_size)

    def read(self, tokens: Tensor) -> Tensor:
        """Return logits for the cells of grids [B, L] -> [B, L, V]."""
        cells = self.tokens(tokens) + self.positions[self.places].sum(0)  # [B, L, D]
        for block in self.blocks:
            cells = block(cells, self.related)
        logits: Tensor = self.head(self.norm(cells))
        return logits

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Answer puzzles [B, L] with logits [B, L, V]; it carries nothing."""
        return solve(self.read, batch, 1 if self.training else self.passes)
