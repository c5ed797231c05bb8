"""TensorBoard: `tensorboard/` in a run folder holds the journal's figures; `tensorboard --logdir runs` shows them."""

import threading
from importlib import import_module
from pathlib import Path
from typing import Any

from .background import Background, Line

writers: dict[Path, Any] = {}  # by run folder
say = threading.excepthook


def write(folder: Path, line: Line) -> None:
    """Write the figures of a line, each as `<split>/<name>`."""
    if folder not in writers:  # hides what an earlier process wrote from this step on; the import takes a second
        threading.excepthook = leave_out_its_own
        module = import_module("torch.utils.tensorboard")
        writers[folder] = module.SummaryWriter(folder / "tensorboard", purge_step=line["step"])
    for name, value in line.items():
        if isinstance(value, float) and name != "seconds":
            writers[folder].add_scalar(f"{line['split']}/{name}", value, line["step"])
    writers[folder].flush()


def leave_out_its_own(failure: Any) -> None:
    """Print what a thread has raised, but for TensorBoard's, which raises it again in the next call."""
    if not type(failure.thread).__module__.startswith("tensorboard."):
        say(failure)


track = Background("tensorboard", write)
