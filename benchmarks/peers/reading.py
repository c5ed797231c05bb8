"""How many small rows a second the template's loader reads, beside torch's default one."""

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.peers import jobs
from benchmarks.peers.figures import Ratio
from benchmarks.peers.jobs import Data
from benchmarks.peers.ours import Rows
from my_project.data.digits import DigitsConfig
from my_project.data.loader import train_batches

NUM_ROWS, WIDTH, ROUNDS = 200_000, 8, 9
BATCH_SIZES = (64, 256)  # the goal is for the last


class Reading(NamedTuple):
    """Rows a second of CPU time."""

    place: str
    batch_size: int
    ours: float
    default: float
    ratio: Ratio


def mapped(data: Data, folder: Path) -> Data:
    """Return the same rows, memory-mapped from files."""
    parts = []
    for number, part in enumerate(data):
        np.save(folder / f"{number}.npy", part.numpy())
        parts.append(torch.from_numpy(np.load(folder / f"{number}.npy", mmap_mode="c")))
    return Data(*parts)


def rate(batches: Iterator[Any], batch_size: int, num_rows: int) -> float:
    """Return the rows a second of CPU time at which an iterator gives so many."""
    next(batches)
    start, count = time.process_time(), num_rows // batch_size - 1
    read = sum(1 for _ in islice(batches, count))
    return read * batch_size / (time.process_time() - start)


def compare(place: str, data: Data, batch_size: int) -> Reading:
    """Read with both loaders in turn."""
    config, rates = DigitsConfig(batch_size=batch_size), list[tuple[float, float]]()
    for _ in range(ROUNDS):
        ours = iter(train_batches(Rows(data), config, seed=jobs.SEED))
        default = iter(DataLoader(TensorDataset(*data), batch_size=batch_size, shuffle=True))
        rates.append((rate(ours, batch_size, NUM_ROWS), rate(default, batch_size, NUM_ROWS // 10)))
    ours_rate, default_rate = (median(column) for column in zip(*rates, strict=True))
    return Reading(place, batch_size, ours_rate, default_rate, Ratio.of([[one / other for one, other in rates]]))


def measure() -> list[Reading]:
    """Compare the loaders on rows in memory and in a mapped file."""
    data = Data(torch.randn(NUM_ROWS, WIDTH), torch.randint(jobs.NUM_CLASSES, (NUM_ROWS,)))
    with TemporaryDirectory() as folder:
        places = {"in memory": data, "memory-mapped": mapped(data, Path(folder))}
        return [compare(place, rows, size) for place, rows in places.items() for size in BATCH_SIZES]
