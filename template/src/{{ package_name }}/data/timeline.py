"""Values in time: which times are out of order, what stands for a missing value, how a file of them is read."""

import csv
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Clock:
    """What a manifest says of time."""

    unit: str  # of numpy's datetime64: D, h, M
    step: int  # units from one value to the next
    period: int  # steps in a season; 1: there is none

    def name(self, time: int) -> str:
        """Return a time, in units since 1970, as people write it."""
        return str(np.array(time, f"datetime64[{self.unit}]"))


def disorder(times: dict[str, np.ndarray], clock: Clock) -> list[str]:
    """Return one line for each way in which times [N] of splits, first to last, are out of order or off the steps."""
    if empty := [f"{name} has no rows" for name, own in times.items() if not len(own)]:
        return empty
    found, origin = list[str](), next(iter(times.values()))[0]
    for name, own in times.items():
        for row in np.flatnonzero(np.diff(own) <= 0)[:1] + 1:
            found.append(f"{name} row {row}, {clock.name(own[row])}, does not come after the row before it")
        for row in np.flatnonzero((own - origin) % clock.step)[:1]:
            found.append(f"{name} row {row}, {clock.name(own[row])}, is off the steps of {clock.step} {clock.unit}")
    for (early, before), (late, after) in pairwise(times.items()):
        if before.max() >= after.min():
            begin, end = clock.name(after.min()), clock.name(before.max())
            found.append(f"{late} begins {begin}, before {early} ends {end}: want one split after the other in time")
    return found


def on_steps(times: np.ndarray, values: np.ndarray, clock: Clock) -> Tensor:
    """Lay values [N] out on equal steps [T, 2]: each, or the last one before a gap, and 1 where it was measured."""
    places = (times - times[0]) // clock.step
    steps = np.full(places[-1] + 1, np.nan, np.float32)
    steps[places] = values
    known = ~np.isnan(steps)
    last = np.maximum.accumulate(np.where(known, np.arange(len(steps)), 0))  # a gap is never filled from its future
    return torch.from_numpy(np.stack([steps[last], known], axis=1).astype(np.float32))


def read_csv(path: Path, clock: Clock) -> tuple[np.ndarray | None, np.ndarray]:
    """Return times [N], if the file has a column of them, and values [N] of a .csv file, NaN where a cell is empty."""
    if path.suffix != ".csv" or not path.is_file():
        raise ValueError(f"{path}: want an existing .csv file: a value a line, or a time and a value")
    rows = [*csv.reader(path.read_text("utf-8-sig").strip().splitlines())]
    rows = [row or [""] for row in rows[not is_number(rows[0][-1]) if rows else 0 :]]  # without a line of names
    widths = {len(row) for row in rows}
    if widths not in ({1}, {2}):
        raise ValueError(f"{path}: found {sorted(widths)} columns, want one of values, or two: times and values")
    if wrong := [number for number, row in enumerate(rows) if not is_number(row[-1])]:
        raise ValueError(f"{path}: found {rows[wrong[0]][-1]!r} in row {wrong[0]}, want a number, or nothing")
    values = np.array([float(row[-1] or "nan") for row in rows])
    if widths == {1}:
        return None, values
    try:
        times = np.array([row[0] for row in rows], f"datetime64[{clock.unit}]").astype(np.int64)
    except ValueError as error:
        raise ValueError(f"{path}: want times as in {clock.name(0)} in the first column ({error})") from error
    if wrong_times := disorder({f"{path}:": times}, clock):
        raise ValueError(wrong_times[0])
    return times, values


def is_number(cell: str) -> bool:
    """Say whether a cell holds a finite number or nothing."""
    try:
        return not cell.strip() or bool(np.isfinite(float(cell)))
    except ValueError:
        return False
