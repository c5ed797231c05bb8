"""Windows of a series of numbers in time: weekly carbon dioxide at Mauna Loa lies in the package."""

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor

from ..types import STRICT, Batch, Split
from .loader import read_arrays, read_manifest
from .timeline import Clock, disorder, on_steps, read_csv

SPLITS: tuple[Split, ...] = ("train", "val", "test")  # in the order of time


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SeriesConfig:
    """Settings of a series and its windows."""

    task = "forecasting"
    kind: Literal["series"] = "series"
    folder: str = ""  # folder with <name>.npz, <name>_test.npz and manifest.json; empty: the package's own
    history: PositiveInt = 104  # steps that a model sees: more than the period of the series
    horizon: PositiveInt = 52  # steps after them that it forecasts
    batch_size: PositiveInt = 32
    workers: NonNegativeInt = 0  # processes that prepare batches; 0 prepares them in the training process

    @property
    def root(self) -> Path:
        """The folder with the data files and their manifest."""
        return Path(self.folder or Path(__file__).parent / "co2_weekly")

    def build(self, split: Split, *, augment: bool = False, num_rows: int | None = None) -> "Windows":
        """Open the windows whose targets lie in a split, or the first of them; test rows have a file of their own."""
        clock, rows = read_clock(self.root), read_rows(self.root, SPLITS[: SPLITS.index(split) + 1])
        times = {name: own for name, (own, _) in rows.items()}
        if wrong := disorder(times, clock):
            raise ValueError(f"{self.root}: {wrong[0]}")
        origin = times["train"][0]
        begin, end, train_end = (int(t - origin) // clock.step for t in (*times[split][[0, -1]], times["train"][-1]))
        places = range(max(begin, self.history), end + 2 - self.horizon)  # where the targets of each window begin
        if not places or self.history <= clock.period:
            need = f"a history of more than {clock.period} steps, and windows that fit into {split}"
            raise ValueError(f"data.history {self.history}, data.horizon {self.horizon}: {self.root} needs {need}")
        own, values = (np.concatenate(parts) for parts in zip(*rows.values(), strict=True))
        series = on_steps(own, values, clock)
        windows = series.unfold(0, self.history + self.horizon, 1).transpose(1, 2)  # a view: [.., L+H, 2]
        windows = windows[places.start - self.history : places.stop - self.history][:num_rows]
        names = [clock.name(origin + place * clock.step) for place in places[:num_rows]]
        parts = windows[:, : self.history], windows[:, self.history :]
        return Windows(*parts, names, clock.period, series[: train_end + 1])

    def read(self, path: Path) -> Tensor:
        """Read the end of a history [1, L, 2] from a .csv file: a column of values, perhaps after one of times."""
        times, values = read_csv(path, clock := read_clock(self.root))
        first = int((~np.isnan(values)).argmax()) if len(values) else 0  # nothing can stand for what comes before it
        times = np.arange(len(values)) * clock.step if times is None else times
        series = on_steps(times[first:], values[first:], clock)
        if len(series) < self.history or np.isnan(values[first]):
            raise ValueError(f"{path}: found {len(series)} steps from its first value on, want {self.history} or more")
        return series[-self.history :].unsqueeze(0)

    def times_after(self, path: Path) -> list[str] | None:
        """Return the times of the steps that follow a user's file, if it has a column of times."""
        times, _ = read_csv(path, clock := read_clock(self.root))
        steps = range(1, self.horizon + 1)
        return None if times is None else [clock.name(times[-1] + step * clock.step) for step in steps]


def read_clock(root: Path) -> Clock:
    """Return what the manifest of a folder says of time."""
    try:
        return Clock(**read_manifest(root)["time"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{root}/manifest.json: want time with unit, step and period ({error})") from error


def read_rows(root: Path, splits: tuple[Split, ...]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return times and values [N] of splits; the file of the test split is opened only where that is one of them."""
    names = [name for name in read_manifest(root)["files"] if "test" in splits or not name.endswith("_test.npz")]
    arrays = {key: array for name in names for key, array in read_arrays(root, name).items()}
    return {split: (arrays[f"{split}_inputs"].astype(np.int64), arrays[f"{split}_targets"]) for split in splits}


def problems(root: Path) -> list[str]:
    """Return one line for each way in which the splits of a folder are not in the order of time."""
    return disorder({name: times for name, (times, _) in read_rows(root, SPLITS).items()}, read_clock(root))


class Windows:
    """Histories and what followed each of them: values, and 1 where they were measured; by whole batches."""

    def __init__(self, inputs: Tensor, targets: Tensor, names: list[str], period: int, training: Tensor) -> None:
        self.inputs, self.targets, self.names = inputs, targets, names  # [N, L, 2], [N, H, 2]; when targets begin [N]
        self.period, self.training = period, training  # steps in a season; the training split [T, 2]: figures' unit

    def after(self, count: int) -> "Windows":
        """Return the windows after the first `count`."""
        if count >= len(self):
            raise ValueError(
                f"{len(self)} windows, {count} of them look back on what was trained on: want longer folds"
            )
        parts = (self.inputs[count:], self.targets[count:], self.names[count:])
        return Windows(*parts, self.period, self.training)

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, key: tuple[Tensor, int]) -> Batch:
        index, _ = key
        return Batch(self.inputs.index_select(0, index), self.targets.index_select(0, index), index)
