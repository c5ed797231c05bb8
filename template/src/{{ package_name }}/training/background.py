"""A tracker in a thread of its own: one that raises, hangs or cannot be reached costs a warning, never the run."""

import atexit
import logging
import re
from collections.abc import Callable
from pathlib import Path
from queue import Full, Queue
from threading import Thread
from typing import Any

logger = logging.getLogger(__name__)
Line = dict[str, Any]  # of the journal: step, split, seconds, values
LONGEST_QUEUE, PATIENCE = 1000, 10.0  # lines that may wait for a tracker; seconds that a run waits for it at its end


class Background:
    """Hands lines to `write(folder, line)` in a thread, then calls `end()`; after the first failure it does neither."""

    def __init__(self, name: str, write: Callable[[Path, Line], None], end: Callable[[], None] = lambda: None) -> None:
        self.name, self.write, self.end, self.failed = name, write, end, False
        self.lines: Queue[tuple[Path, Line] | None] = Queue(LONGEST_QUEUE)
        self.thread = Thread(target=self.work, name=name, daemon=True)

    def __call__(self, folder: Path, line: Line) -> None:
        """Take a line without waiting for anybody."""
        if self.failed:
            return
        if not self.thread.ident:
            self.thread.start()
            atexit.register(self.close)
        try:
            self.lines.put_nowait((folder.absolute(), line))
        except Full:
            self.give_up(f"{LONGEST_QUEUE} lines wait for it")

    def work(self) -> None:
        """Write line after line, to the end of the process."""
        try:
            for folder, line in iter(self.lines.get, None):
                if self.failed:
                    return
                self.write(folder, line)
            self.end()
        except (Exception, SystemExit) as error:  # noqa: BLE001 (whatever a tracker raises, the run goes on)
            self.give_up(words(error))

    def give_up(self, why: str) -> None:
        """Say once that the tracker is left out from now on."""
        self.failed = True
        logger.warning("%s is left out from now on: %s; metrics.jsonl has every line", self.name, why)

    def close(self) -> None:
        """Wait a while for what has not been written yet."""
        if not self.failed and not self.lines.full():
            self.lines.put(None)
            self.thread.join(PATIENCE)
        if not self.failed and self.thread.is_alive():
            self.give_up(f"it did not end within {PATIENCE:.0f} s")


def words(error: BaseException) -> str:
    """Return what an error says, in one line, without the name and the password that an address may hold."""
    text = re.sub(r"://[^/\s]\S*@", "://…@", f"{type(error).__name__}: {error}")
    return " ".join(text.split())[:300]
