"""Faults of a tracker: TensorBoard's writer, which both sides use, raises, hangs, exits, or cannot write."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from .hooks import FOREVER
from .system import obey_permissions

NOBODY = "nobody answers"


def on_scalar(step: int, action: Callable[[], object]) -> None:
    """Act before every figure from a step on."""
    add = SummaryWriter.add_scalar

    def hooked(self: Any, tag: str, value: Any, global_step: int | None = None, *rest: Any, **options: Any) -> None:
        if (global_step or 0) >= step:
            action()
        add(self, tag, value, global_step, *rest, **options)

    setattr(SummaryWriter, "add_scalar", hooked)  # noqa: B010 (its types are narrower than its use)


def refuse() -> None:
    """Do what a tracker does whose server is gone."""
    raise ConnectionError(NOBODY)


def raises(step: int) -> None:
    """Raise from a step on."""
    on_scalar(step, refuse)


def hangs(step: int) -> None:
    """Hang from a step on."""
    on_scalar(step, lambda: time.sleep(FOREVER))


def ends(step: int) -> None:
    """Call sys.exit, as a library does that takes itself for a program."""
    on_scalar(step, lambda: sys.exit(NOBODY))


def cannot_begin() -> None:
    """Raise where the tracker is opened."""
    setattr(SummaryWriter, "__init__", lambda *_, **__: refuse())  # noqa: B010


def read_only() -> None:
    """Make the tracker's folder one that cannot be written."""
    begin: Any = getattr(SummaryWriter, "__init__")  # noqa: B009

    def hooked(self: Any, log_dir: str | Path, *rest: Any, **options: Any) -> None:
        Path(log_dir).mkdir(parents=True, exist_ok=True)
        Path(log_dir).chmod(0o555)
        begin(self, log_dir, *rest, **options)

    setattr(SummaryWriter, "__init__", hooked)  # noqa: B010
    obey_permissions()
