"""TensorBoard: `tensorboard/` in a run folder holds the journal's figures; `tensorboard --logdir runs` shows them."""

import os
import socket
import time
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

from .background import Background, Line


class Board:
    """A file of events; it hides those from its first step on that an earlier process wrote.

    TensorBoard's own writer has a thread, and from Python 3.12 on none can start while a process ends: a short run,
    which ends before the import is done, would lose its lines.
    """

    numbers = count()

    def __init__(self, folder: Path, step: int) -> None:
        self.events = import_module("tensorboard.compat.proto.event_pb2")
        self.summaries = import_module("tensorboard.compat.proto.summary_pb2")
        self.records = import_module("tensorboard.summary.writer.record_writer")
        folder.mkdir(exist_ok=True)
        place = f"{socket.gethostname()}.{os.getpid()}.{next(self.numbers)}"
        self.path = folder / f"events.out.tfevents.{int(time.time()):010}.{place}"
        start = self.events.SessionLog(status=self.events.SessionLog.START)
        self.add(step, {"file_version": "brain.Event:2"}, {"session_log": start})

    def add(self, step: int, *events: dict[str, Any]) -> None:
        """Write events of a step."""
        with self.path.open("ab") as file:
            writer = self.records.RecordWriter(file)
            for event in events:
                writer.write(self.events.Event(wall_time=time.time(), step=step, **event).SerializeToString())

    def summary(self, name: str, value: float) -> dict[str, Any]:
        """Return a figure as what an event holds."""
        return {"summary": self.summaries.Summary(value=[self.summaries.Summary.Value(tag=name, simple_value=value)])}


boards: dict[Path, Board] = {}  # by run folder


def write(folder: Path, line: Line) -> None:
    """Write the figures of a line, each as `<split>/<name>`."""
    if folder not in boards:
        boards[folder] = Board(folder / "tensorboard", line["step"])
    figures = {name: value for name, value in line.items() if isinstance(value, float) and name != "seconds"}
    board = boards[folder]
    board.add(line["step"], *(board.summary(f"{line['split']}/{name}", value) for name, value in figures.items()))


track = Background("tensorboard", write)
