"""What generated puzzles share: numbers from a seed, splits that no symmetry crosses, rows taken a batch at a time."""

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..types import Batch, Split

OPEN = 0  # the token of a cell that an answer must fill, in every kind of puzzle; the others are given
SHARES: tuple[Split, ...] = ("train", "train", "val", "test")  # a puzzle's key, modulo 4, says where it belongs
AT_ONCE, PATIENCE = 256, 20_000  # candidates made together; after so many that bring nothing new there are no more
GOLDEN = -0x61C8864680B583EB  # SplitMix64's step: 2^64 by the golden ratio
FINE = 2**24  # as many numbers as fp32 tells apart below 1
Integers = TypeVar("Integers", Tensor, np.ndarray)
Made = tuple[np.ndarray, np.ndarray, np.ndarray]  # puzzles [N, L], solutions [N, L], keys [N]
Rows = tuple[Tensor, Tensor]  # puzzles and solutions [N, L]
Move = Callable[[Tensor, Tensor, Tensor], Rows]  # puzzles and solutions [B, L], random numbers [B]: both, moved alike
PuzzleConfig = Any  # settings of a kind of puzzle: what `SudokuConfig` and `MazeConfig` have in common


def mixed(bits: Integers) -> Integers:
    """Turn integers [...] of 64 bits into others that look random, no two into one (SplitMix64)."""
    for shift, factor in ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15), (31, 1)):
        bits = (bits ^ (bits >> shift & (1 << 64 - shift) - 1)) * factor  # the mask: >> copies the sign
    return bits


def draws(bits: Tensor, num: int) -> Tensor:
    """Return `num` random numbers of 64 bits for each of the integers: [B] -> [B, num]."""
    return mixed(bits[:, None] + torch.arange(1, num + 1) * GOLDEN)


def collect(make: Callable[[Tensor], Made], wanted: Mapping[Split, int], seed: int) -> dict[Split, Rows]:
    """Fill each split with the first puzzles that are its own among a seed's candidates 0, 1, 2, ..., one to a key."""
    rows: dict[Split, dict[int, tuple[np.ndarray, np.ndarray]]] = {split: {} for split in wanted}
    latest = 0  # the last candidates that brought something new
    for start in count(0, AT_ONCE):
        short = [split for split in wanted if len(rows[split]) < wanted[split]]
        if not short:
            break
        if start - latest > PATIENCE:
            found = ", ".join(f"{len(rows[split])} of {wanted[split]} for {split}" for split in short)
            raise ValueError(f"there are too few different puzzles: found {found}; want fewer rows or other puzzles")
        numbers = torch.arange(start, start + AT_ONCE) * GOLDEN + mixed(torch.tensor(seed))
        for puzzle, solution, key in zip(*make(mixed(numbers)), strict=True):
            own = rows[split] if (split := SHARES[key % len(SHARES)]) in short else None
            if own is not None and key not in own and len(own) < wanted[split]:
                own[key], latest = (puzzle, solution), start
    return {split: stacked(list(own.values())) for split, own in rows.items()}


def stacked(found: list[tuple[np.ndarray, np.ndarray]]) -> Rows:
    """Return pairs of cells [L] as puzzles and solutions [N, L]."""
    puzzles, solutions = (torch.from_numpy(np.stack(cells).astype(np.int64)) for cells in zip(*found, strict=True))
    return puzzles, solutions


def shown(inputs: Tensor, targets: Tensor, bits: Tensor, most: float) -> Tensor:
    """Fill some open cells of puzzles [B, L]: a share up to `most`, drawn with the cells by random numbers [B]."""
    chances = (draws(bits, 1 + inputs.shape[1]) & FINE - 1) / FINE  # [B, 1 + L], below 1
    return torch.where((inputs == OPEN) & (chances[:, 1:] < most * chances[:, :1]), targets, inputs)


class Puzzles:
    """Puzzles [N, L] and their solutions [N, L] in memory, taken a whole batch at a time."""

    def __init__(self, config: PuzzleConfig, rows: Rows, move: Move | None) -> None:
        self.inputs, self.targets = rows
        self.config, self.move = config, move

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, key: tuple[Tensor, int]) -> Batch:
        index, seed = key
        inputs, targets = self.inputs.index_select(0, index), self.targets.index_select(0, index)
        if self.move:
            inputs, targets = self.move(inputs, targets, mixed(index * GOLDEN + seed))
        return Batch(inputs, targets, index)
