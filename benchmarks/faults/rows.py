"""Faults in the rows that a loader fetches for training, in the process of the run or in a worker's."""

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.data import get_worker_info

from my_project.types import Batch

from .hooks import FOREVER, change_data

# What fetches rows on either side, where it is loaded.
DATASETS = (("my_project.data.digits", "Digits"), ("benchmarks.faults.lightning_job", "DigitRows"))


def on_rows(action: Callable[[list[int], int, Any], Any]) -> None:
    """Let `action(rows, number of rows fetched by this process, item)` change what is fetched for training."""
    change_data(lambda data: vars(data).update(faulty=True))
    for module, name in DATASETS:
        if module in sys.modules:
            hook(getattr(sys.modules[module], name), action)


def hook(dataset: Any, action: Callable[[list[int], int, Any], Any]) -> None:
    """Wrap a data set's `__getitem__`, whose key is a row's number, or many of them and a seed."""
    fetch, fetched = dataset.__getitem__, [0]

    def hooked(self: Any, key: Any) -> Any:
        item = fetch(self, key)
        if not getattr(getattr(self, "data", self), "faulty", False):
            return item
        rows = torch.as_tensor(key[0] if isinstance(key, tuple) else key).flatten().tolist()
        fetched[0] += len(rows)
        return action(rows, fetched[0], item)

    dataset.__getitem__ = hooked


def worker_dies(after: int) -> None:
    """Let the loader's worker be killed once it has fetched so many rows."""

    def act(_: list[int], fetched: int, item: Any) -> Any:
        if fetched > after and get_worker_info():
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    on_rows(act)


def worker_hangs(after: int) -> None:
    """Let the loader's worker hang once it has fetched so many rows."""

    def act(_: list[int], fetched: int, item: Any) -> Any:
        if fetched > after and get_worker_info():
            time.sleep(FOREVER)
        return item

    on_rows(act)


def signal_in_wait(number: int, after: int, seconds: float) -> None:
    """Let the loader's worker send the run a signal while the run waits `seconds` for its next batch."""
    sent: list[bool] = []

    def act(_: list[int], fetched: int, item: Any) -> Any:
        if fetched > after and get_worker_info() and not sent:
            sent.append(True)
            time.sleep(seconds / 2)
            os.kill(os.getppid(), number)
            time.sleep(seconds / 2)
        return item

    on_rows(act)


def signal_at_rows(number: int, after: int) -> None:
    """Let the run send itself a signal as it fetches rows."""
    sent: list[bool] = []

    def act(_: list[int], fetched: int, item: Any) -> Any:
        if fetched > after and not sent:
            sent.append(True)
            os.kill(os.getpid(), number)
        return item

    on_rows(act)


def bad_row(row: int, how: str) -> None:
    """Spoil one row: `raise` where it is decoded, or give it another `shape` or `dtype` (and the batch it is in)."""

    def act(rows: list[int], _: int, item: Any) -> Any:
        if row not in rows:
            return item
        if how == "raise":
            raise ValueError(f"cannot decode row {row}")
        inputs = item.inputs if isinstance(item, Batch) else item[0]
        inputs = inputs[..., :-1] if how == "shape" else inputs.double()
        return Batch(inputs, item.targets, item.index) if isinstance(item, Batch) else (inputs, *item[1:])

    on_rows(act)
