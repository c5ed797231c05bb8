"""What is said while a run trains, kept beside it: `log.txt`, each line with its time, level and module."""

import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
MOST_BEFORE = 100  # lines that are kept for a run to come: a service never trains


class RunLog(logging.Handler):
    """Appends to the log of the run at hand; what is said before a process has one begins that of its first."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(FORMAT))
        self.folder: Path | None = None
        self.before = list[str]()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record down; one with a `run_folder` says that a run begins there."""
        with suppress(TypeError, ValueError, KeyError):  # a message that is wrongly made: other handlers complain
            self.follow(getattr(record, "run_folder", self.folder))
            if self.folder or len(self.before) < MOST_BEFORE:
                self.write(self.format(record) + "\n")

    def follow(self, folder: Path | None) -> None:
        """Write to the log of this run folder from now on."""
        self.folder = folder and folder.absolute()
        if self.folder and self.before:
            self.write("".join(self.before))
            self.before.clear()

    def write(self, text: str) -> None:
        """Append to the log; where that fails, the run goes on without."""
        if not self.folder:
            self.before.append(text)
            return
        with suppress(OSError), (self.folder / "log.txt").open("a", encoding="utf-8") as file:
            file.write(text)


LOG = RunLog()


def listen() -> None:
    """Hear what is logged, where logging is set up: alone, this handler would keep warnings from the terminal."""
    if logging.getLogger().handlers:
        logging.getLogger().addHandler(LOG)


def track(folder: Path, _line: dict[str, Any]) -> None:
    """Note which run is at hand, as each line of its journal says."""
    listen()
    LOG.follow(folder)


listen()
