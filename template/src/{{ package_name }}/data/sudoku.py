"""Sudoku of 4, 6 or 9 digits, generated from a seed: one solution each, no symmetry leads from split to split."""

from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor

from ..types import STRICT, Split
from .generated import Folder
from .puzzles import GOLDEN, OPEN, SHARES, Puzzles, Rows, collect, draws, mixed, shown
from .sudoku_rules import BOXES, broken_units, guess, judge, make, orbit_keys

CLUES = {4: (4, 8), 6: (8, 12), 9: (26, 32)}  # unless the settings say otherwise
BOUNDS = {4: (4, 4), 6: (8, 10), 9: (17, 24)}  # the fewest there can be; the fewest that random puzzles often reach
# Where puzzles are few: how many a split can have with the fewest clues, one more, ..., symmetric ones counted once.
ORBITS: dict[int, dict[Split, tuple[int, ...]]] = {
    4: {
        "train": (4, 42, 196, 348, 527, 496, 390, 196, 101, 26, 10, 1),
        "val": (5, 27, 90, 180, 248, 259, 188, 106, 45, 9, 4, 1),
        "test": (4, 27, 90, 183, 252, 225, 194, 112, 44, 21, 5, 0),
    }
}


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SudokuConfig:
    """Settings of Sudoku: each digit once in every row, column and box of 2x2, 2x3 (size 6) or 3x3 cells."""

    task, difficulty = "reasoning", "clues"
    kind: Literal["sudoku"] = "sudoku"
    size: PositiveInt = 6  # number of digits: 4, 6 or 9
    clues: tuple[PositiveInt, PositiveInt] | None = None  # fewest and most given cells; by size [4,8] [8,12] [26,32]
    hard: bool = False  # leave out what is solved by filling cells that only one digit fits: the baseline must guess
    reveal: Annotated[float, Field(ge=0, le=1)] = 0.0  # training fills up to this share of the open cells, at random
    num_train: PositiveInt = 1000
    num_val: PositiveInt = 250
    num_test: PositiveInt = 500
    seed: Annotated[NonNegativeInt, Field(lt=2**63)] = 0  # of the puzzles themselves
    batch_size: PositiveInt = 64
    workers: NonNegativeInt = 0  # processes that prepare batches; 0 prepares them in the training process

    def __post_init__(self) -> None:
        if self.size not in BOXES:
            raise ValueError(f"size {self.size}: want 4, 6 or 9")
        (low, high), (least, lowest) = self.num_clues, BOUNDS[self.size]
        if not (least <= low <= high and lowest <= high < self.size**2):
            raise ValueError(
                f"clues {low} to {high}: want {least} or more as the fewest, {lowest} to {self.size**2 - 1} as the most"
            )
        if self.hard and self.size in ORBITS:
            raise ValueError(f"hard: cells that only one digit fits solve every puzzle of size {self.size}")
        for split, orbits in ORBITS.get(self.size, {}).items():
            if (num := self.wanted[split]) > (most := sum(orbits[low - least : high - least + 1])):
                raise ValueError(f"num_{split} {num}: want at most {most}, all that have {low} to {high} clues")

    @property
    def num_clues(self) -> tuple[int, int]:
        """The fewest and the most given cells."""
        return self.clues or CLUES[self.size]

    @property
    def wanted(self) -> dict[Split, int]:
        """The number of puzzles of each split."""
        return {"train": self.num_train, "val": self.num_val, "test": self.num_test}

    @property
    def title(self) -> str:
        """What tells these puzzles from others."""
        low, high = self.num_clues
        return f"Sudoku {self.size}x{self.size}, {low} to {high} clues{', hard' * self.hard}, from seed {self.seed}"

    @property
    def box(self) -> tuple[int, int]:
        """Rows and columns of a box."""
        return BOXES[self.size]

    @property
    def symbols(self) -> str:
        """The characters of a cell's token, which is its target too; 0, an open cell, is never a target."""
        return ".123456789"[: self.size + 1]

    @property
    def root(self) -> Any:
        """The data folder, whose files are made when they are read."""
        return Folder(self)

    @property
    def rows(self) -> dict[Split, Rows]:
        """The puzzles and solutions of all splits: generated once a process."""
        return generate(self.size, self.num_clues, self.hard, tuple(self.wanted.items()), self.seed)

    def build(self, split: Split, *, augment: bool = False, num_rows: int | None = None) -> Puzzles:
        """Generate one split, or its first rows: tokens [N, size * size], 0 where a cell is open, and the solutions."""
        inputs, targets = self.rows[split]
        move = partial(moved, size=self.size, reveal=self.reveal) if augment else None
        return Puzzles(self, (inputs[:num_rows], targets[:num_rows]), move)

    def judge(self, puzzles: np.ndarray, solutions: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Say what is wrong with puzzles and solutions [N, L]: rows [N] by fault; and keys [N] of their orbits."""
        return judge(puzzles, solutions, self.size)

    def hardness(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the number of given cells of puzzles [N, L] -> [N]."""
        return (inputs != OPEN).sum(1)

    def violations(self, answers: Tensor) -> Tensor:
        """Return how many rows, columns and boxes of answers [N, L] -> [N] do not have each digit once."""
        return torch.from_numpy(broken_units(answers.numpy(), self.size))

    def baselines(self, inputs: Tensor) -> dict[str, Tensor]:
        """Answer puzzles [N, L] -> [N, L] by guessing the most constrained cell; what cannot be filled stays 0."""
        return {"most constrained cell": torch.from_numpy(guess(inputs.numpy(), self.size))}

    def read(self, path: Path) -> Tensor:
        """Read puzzles [N, L] from a text file: a line each, its cells row by row, 0 or . where one is open."""
        lines = path.read_text("utf-8", "replace").replace("0", ".").splitlines() if path.is_file() else []
        puzzles, want = [line.strip() for line in lines if line.strip()], f"{self.size**2} of {self.symbols}"
        if not puzzles:
            raise ValueError(f"{path}: found no puzzle, want a text file with {want} in each line")
        for number, puzzle in enumerate(puzzles, start=1):
            if len(puzzle) != self.size**2 or not {*puzzle} <= {*self.symbols}:
                raise ValueError(f"{path}: puzzle {number} is {puzzle!r:.90}, want {want}")
        return torch.tensor([[self.symbols.index(cell) for cell in puzzle] for puzzle in puzzles])


@cache
def generate(
    size: int, clues: tuple[int, int], hard: bool, wanted: tuple[tuple[Split, int], ...], seed: int
) -> dict[Split, Rows]:
    """Return the puzzles and solutions of all splits; each is the same whatever number the others want."""
    return collect(partial(make, size=size, clues=clues, hard=hard), dict(wanted), seed)


def lines(bits: Tensor, band: int) -> Tensor:
    """Order lines at random within bands, and the bands: random numbers [B, size // band + size] -> [B, size]."""
    num_bands = bits.shape[1] // (band + 1)
    first = bits[:, :num_bands].argsort(dim=1) * band
    within = bits[:, num_bands:].view(-1, num_bands, band).argsort(dim=2)
    return (first[:, :, None] + within).flatten(1)


def moved(inputs: Tensor, targets: Tensor, bits: Tensor, size: int, reveal: float = 0.0) -> Rows:
    """Show puzzles and solutions [B, L] under symmetries that random numbers [B] choose among all of Sudoku's.

    Digits change names; bands, stacks and the lines in each change places; where boxes are square, half are transposed.
    """
    high, wide = BOXES[size]
    widths = [size // high + size, size // wide + size, size, 1]
    by_row, by_column, by_digit, flip = draws(bits, sum(widths)).split(widths, dim=1)
    rows, columns = lines(by_row, high), lines(by_column, wide)
    source = rows[:, :, None] * size + columns[:, None, :]  # [B, size, size]: where each cell comes from
    if high == wide:
        source = torch.where(flip[:, :, None] < 0, source.transpose(1, 2), source)
    names = torch.nn.functional.pad(by_digit.argsort(dim=1) + 1, (1, 0))  # [B, size + 1]: open stays open
    places = source.flatten(1)
    puzzles, solutions = (names.gather(1, tokens.gather(1, places)) for tokens in (inputs, targets))
    return revealed(puzzles, solutions, mixed(bits + GOLDEN), size, reveal) if reveal else puzzles, solutions


def revealed(inputs: Tensor, targets: Tensor, bits: Tensor, size: int, most: float) -> Tensor:
    """Fill open cells of training puzzles [B, L], but none whose filled form a symmetry joins with held-out puzzles."""
    filled = shown(inputs, targets, bits, most)
    keys = orbit_keys(1 << (targets.numpy().T - 1), filled.numpy().T > 0, size)
    own = torch.tensor([SHARES[key % len(SHARES)] == "train" for key in keys])
    return torch.where(own[:, None], filled, inputs)
