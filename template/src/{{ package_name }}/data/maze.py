"""Mazes generated from a seed: one shortest way each, no symmetry leads from split to split."""

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
from .maze_rules import WAY, is_maze, judge, make, stray_cells, symmetries, walk
from .puzzles import GOLDEN, Puzzles, Rows, collect, mixed, shown


@dataclass(frozen=True, kw_only=True, config=STRICT)
class MazeConfig:
    """Settings of mazes: rooms at odd rows and columns, a tree of openings that joins them, a few openings more."""

    task, difficulty = "reasoning", "steps"
    symbols = ".#SGo"  # the characters of a cell's token: open, wall, start, goal, way; an open cell's target is # or o
    kind: Literal["maze"] = "maze"
    size: Annotated[PositiveInt, Field(ge=7, le=15)] = 11  # rows and columns, with the border's walls: an odd number
    openings: NonNegativeInt = 4  # walls opened beyond the tree that joins the rooms: each closes a ring
    reveal: Annotated[float, Field(ge=0, le=1)] = 0.0  # training fills up to this share of the open cells, at random
    num_train: PositiveInt = 1000
    num_val: PositiveInt = 250
    num_test: PositiveInt = 500
    seed: Annotated[NonNegativeInt, Field(lt=2**63)] = 0  # of the mazes themselves
    batch_size: PositiveInt = 64
    workers: NonNegativeInt = 0  # processes that prepare batches; 0 prepares them in the training process

    def __post_init__(self) -> None:
        if self.size % 2 == 0:
            raise ValueError(f"size {self.size}: want an odd number from 7 to 15")
        if self.openings > (most := (self.size // 2 - 1) ** 2 // 2):
            raise ValueError(f"openings {self.openings}: want {most} at most in a maze of size {self.size}")

    @property
    def wanted(self) -> dict[Split, int]:
        """The number of mazes of each split."""
        return {"train": self.num_train, "val": self.num_val, "test": self.num_test}

    @property
    def title(self) -> str:
        """What tells these mazes from others."""
        return f"Mazes {self.size}x{self.size}, {self.openings} openings, from seed {self.seed}"

    @property
    def box(self) -> tuple[int, int]:
        """Rows and columns of a box: the whole maze is one."""
        return self.size, self.size

    @property
    def root(self) -> Any:
        """The data folder, whose files are made when they are read."""
        return Folder(self)

    @property
    def rows(self) -> dict[Split, Rows]:
        """The mazes and solutions of all splits: generated once a process; ValueError where there are too few mazes."""
        return generate(self.size, self.openings, tuple(self.wanted.items()), self.seed)

    def build(self, split: Split, *, augment: bool = False, num_rows: int | None = None) -> Puzzles:
        """Generate one split, or its first rows: tokens [N, size * size], 0 where a cell is open, and the solutions.

        A solution puts the way's token on the shortest way, and walls up what is open beside it.
        """
        inputs, targets = self.rows[split]
        move = partial(moved, size=self.size, reveal=self.reveal) if augment else None
        return Puzzles(self, (inputs[:num_rows], targets[:num_rows]), move)

    def judge(self, puzzles: np.ndarray, solutions: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Say what is wrong with mazes and solutions [N, L]: rows [N] by fault; and keys [N] of their orbits."""
        return judge(puzzles, solutions, self.size)

    def hardness(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the number of steps of the shortest ways [N, L] -> [N]."""
        return (targets == WAY).sum(1) + 1

    def violations(self, answers: Tensor) -> Tensor:
        """Return how many cells of the way in answers [N, L] -> [N] do not lead on from start to goal."""
        return torch.from_numpy(stray_cells(answers.numpy(), self.size))

    def baselines(self, inputs: Tensor) -> dict[str, Tensor]:
        """Answer mazes [N, L] -> [N, L] by a walk that always steps nearest to the goal and never back."""
        return {"greedy walk": torch.from_numpy(walk(inputs.numpy(), self.size))}

    def read(self, path: Path) -> Tensor:
        """Read mazes [N, L] from a text file: a line for each row of cells, `.` free, `#` wall, `S` start, `G` goal."""
        cells = "".join(path.read_text("utf-8", "replace").split()) if path.is_file() else ""
        each, want = self.size**2, f"{self.size} by {self.size} mazes of {self.symbols[:WAY]}"
        if not cells or len(cells) % each or not {*cells} <= {*self.symbols[:WAY]}:
            raise ValueError(f"{path}: found {len(cells)} cells of {''.join(sorted({*cells})):.9}, want {want}")
        mazes = torch.tensor([self.symbols.index(cell) for cell in cells]).view(-1, each)
        if not (fine := is_maze(mazes.numpy(), self.size)).all():
            raise ValueError(f"{path}: maze {fine.argmin() + 1} has not walls all around, one start S and one goal G")
        return mazes


@cache
def generate(size: int, openings: int, wanted: tuple[tuple[Split, int], ...], seed: int) -> dict[Split, Rows]:
    """Return the mazes and solutions of all splits; each is the same whatever number the others want."""
    return collect(partial(make, size=size, openings=openings), dict(wanted), seed)


def moved(inputs: Tensor, targets: Tensor, bits: Tensor, size: int, reveal: float = 0.0) -> Rows:
    """Show mazes and solutions [B, L] turned and reflected as random numbers [B] choose among the square's symmetries.

    One that is filled in part is no maze of any split: it has fewer free cells than all of them, or cells of a way.
    """
    places = torch.from_numpy(symmetries(size))[bits & 7]  # [B, L]
    mazes, solutions = inputs.gather(1, places), targets.gather(1, places)
    return shown(mazes, solutions, mixed(bits + GOLDEN), reveal), solutions
