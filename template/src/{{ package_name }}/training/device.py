"""What the training runs on: the device, its memory, its signals."""

import ctypes
import logging
import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from math import isqrt
from threading import current_thread, main_thread
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

logger = logging.getLogger(__name__)


def choose_device(name: str, *, deterministic: bool = False) -> torch.device:
    """Return the device of that name, set up; raises OSError where a named one is missing."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device in there if there[device])
        logger.info("training on %s", name)
    if not there[name]:
        raise OSError(f"train.device: {name} is not there; use auto or cpu")
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(mode=True)
    with suppress(OSError, AttributeError):  # glibc keeps what is freed for the next step; elsewhere nothing happens
        for option, value in ((-3, 2**25), (-1, 2**31 - 1)):  # M_MMAP_THRESHOLD, its largest value; M_TRIM_THRESHOLD
            ctypes.CDLL("libc.so.6").mallopt(option, value)
    return torch.device(name)


def recompute(module: nn.Module) -> None:
    """Let a model's blocks keep only what enters them, and compute the rest again in the backward pass."""
    if isinstance(module, nn.ModuleList):
        for block in module:
            vars(block)["forward"] = partial(checkpoint, block.forward, use_reentrant=False)
    elif isinstance(module, nn.Sequential):  # pieces of equal length, as many as each is long
        vars(module)["forward"] = partial(checkpoint_sequential, [*module], isqrt(len(module)), use_reentrant=False)
    else:
        for child in module.children():
            recompute(child)


@contextmanager
def batch_errors(batches: Iterable[Any] = (), usual: Any = None) -> Iterator[None]:
    """Raise MemoryError for what torch raises where memory ran out, OSError where a batch is unlike a usual one."""
    try:
        yield
    except RuntimeError as error:
        if "out of memory" not in str(error) and "allocate memory" not in str(error):
            for batch in batches:
                kinds = [rows.map(lambda part: f"{part.dtype} {[*part.shape[1:]]}") for rows in (batch, usual or batch)]
                what = f"{kinds[0]}, rows {batch.index.tolist()}"
                if kinds[0] != kinds[1]:
                    raise OSError(f"a batch is unlike those before: {what}: {error}") from error
                error.add_note(what)
            raise
        raise MemoryError("out of memory; lower --data.batch-size, or try --train.recompute") from error


@contextmanager
def signals() -> Iterator[list[int]]:
    """Collect SIGINT, SIGTERM and SIGUSR1 as exit statuses; a second one ends the process at once."""
    heard: list[int] = []

    def hear(number: int, _: object) -> None:
        heard.append(130 if number == signal.SIGINT else 143)
        if len(heard) > 1:
            raise SystemExit(heard[-1])

    names = ("SIGINT", "SIGTERM", "SIGUSR1") if current_thread() is main_thread() else ()
    old = {number: signal.signal(number, hear) for name in names if (number := getattr(signal, name, None))}
    try:
        yield heard
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
