"""A tracker in a process of its own, beside that of the run, which its library can neither slow down nor end.

The run sends the lines of its journal through a pipe. Where they end, whatever ended the run, the process looks into
the run folder how it stands and hands over what lies there.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from queue import Queue
from subprocess import DEVNULL, PIPE, Popen, TimeoutExpired
from tempfile import TemporaryFile
from threading import Thread
from typing import IO, Any, Protocol

from .background import Background, Line, words
from .states import Record, journal, look, read

PROJECT = (__package__ or "").partition(".")[0]  # what stands over all the runs in a store
FILES = ("config.yaml", "manifest.json", "evaluation.json", "report.html")
PATIENCE, LONGEST_END = 8.0, 300.0  # seconds that a run waits for the process, and that this has, after the last line
PROGRAM = """
import runpy, sys
module, folder = sys.argv[1:]
folder in sys.path or sys.path.insert(0, folder)
runpy.run_module(module, run_name="__main__")
"""
logger = logging.getLogger(__name__)


class Store(Protocol):
    """A run as a tracker keeps it, made from a run folder and the id that it had there before, if it had one."""

    id: str

    def log(self, lines: list[Line]) -> None:
        """Take lines of the journal."""

    def close(self, state: str, figures: dict[str, float], files: list[Path]) -> None:
        """Take how the run ended, what it was evaluated with, and files of its folder."""


class Beside:
    """The run's side: starts the process of a tracker's module, and writes to it."""

    def __init__(self, module: str) -> None:
        self.module = module
        self.process: Popen[str] | None = None
        self.said: IO[bytes] | None = None

    def write(self, folder: Path, line: Line) -> None:
        """Send a line; raises RuntimeError with the last words of a process that has ended."""
        if not self.process:
            self.start()
        self.send(json.dumps({"folder": str(folder), **line}))

    def start(self) -> None:
        """Start the process, out of the reach of Ctrl-C, where it finds this package."""
        self.said = TemporaryFile()  # noqa: SIM115 (as long as the process)
        self.process = Popen(  # noqa: S603
            [sys.executable, "-P", "-c", PROGRAM, self.module, str(Path(__file__).parents[2])],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=PIPE,
            stdout=DEVNULL,
            stderr=self.said,
            text=True,
            start_new_session=True,
        )

    def send(self, text: str) -> None:
        """Write a line of text to the process."""
        assert self.process
        assert self.process.stdin
        try:
            self.process.stdin.write(text + "\n")
            self.process.stdin.flush()
        except OSError:
            said = self.last_words()
            self.forget()
            raise RuntimeError(said) from None

    def end(self) -> None:
        """Say that no line follows, and wait a while until the process is done; it goes on alone if need be."""
        if not self.process:
            return
        self.send("")  # a worker of a loader may hold the pipe as well, so that to close it would say nothing
        try:
            if self.process.wait(PATIENCE):
                raise RuntimeError(self.last_words())
        except TimeoutExpired:
            logger.warning("%s is still at work, and goes on for %.0f s at most", self.module, LONGEST_END)
        finally:
            self.forget()

    def forget(self) -> None:
        """Close what leads to the process."""
        assert self.process
        assert self.process.stdin
        assert self.said
        with suppress(OSError):
            self.process.stdin.close()
        self.said.close()

    def last_words(self) -> str:
        """Return the last line that the process has said."""
        assert self.process
        assert self.said
        status = self.process.wait()
        self.said.seek(0)
        lines = self.said.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"its process ended with status {status}"


def beside(name: str) -> Background:
    """Return the tracker whose module, `track_<name>`, serves in a process of its own."""
    process = Beside(f"{__package__}.track_{name}")
    return Background(name, process.write, process.end)


class Tracked:
    """A run folder on the side of the tracker; `<tracker>.json` in it says under which id, and how far."""

    def __init__(self, folder: Path, name: str, open_store: Callable[[Path, str], Store]) -> None:
        self.folder, self.path, self.open_store = folder, folder / f"{name}.json", open_store
        self.store: Store | None = None
        self.taken = dict[Path, int]()  # files, by when they were written

    def log(self, lines: list[Line]) -> None:
        """Hand over the lines that the store has not got yet; first those that an earlier process could not."""
        if not self.store:
            before = self.before()
            self.store = self.open_store(self.folder, before.get("id", ""))
            self.position = before["position"] if before.get("id") == self.store.id else dict[str, int]()
            lines = [*journal(self.folder), *lines]
        new = list[Line]()
        for line in lines:
            if line["step"] > self.position.get(line["split"], -1):
                self.position[line["split"]] = line["step"]
                new.append(line)
        self.store.log(new)
        (temporary := self.path.with_suffix(".tmp")).write_text(
            json.dumps({"id": self.store.id, "position": self.position}) + "\n", "utf-8"
        )
        temporary.replace(self.path)

    def before(self) -> Record:
        """Return what an earlier process kept of the run; what is damaged counts as not there."""
        try:
            return read(self.path)
        except ValueError:
            return {}

    def close(self) -> None:
        """Hand over how the run stands and its files, again if one was written since."""
        files = {path: path.stat().st_mtime_ns for name in FILES if (path := self.folder / name).exists()}
        if files == self.taken:
            return
        if not self.store:
            self.log([])
        assert self.store
        found = look(self.folder)
        self.store.close(found["state"], figures(found["evaluation.json"]), [*files])
        self.store, self.taken = None, files


def serve(name: str, open_store: Callable[[Path, str], Store]) -> None:
    """Be the process: hand what comes to the stores of its runs; ends in one line where that fails."""
    lines, tracked = Queue[Line | None](), dict[Path, Tracked]()
    Thread(target=listen, args=(lines,), daemon=True).start()
    try:
        if hasattr(os, "nice"):
            os.nice(5)  # the run comes first
        for batch in batches(lines):
            for folder, group in groupby(batch, lambda line: Path(line["folder"])):
                for other in tracked.values():
                    if other.folder != folder:  # a study trains one run after the other
                        other.close()
                tracked.setdefault(folder, Tracked(folder, name, open_store)).log([*group])
        for each in tracked.values():
            each.close()
    except Exception as error:  # noqa: BLE001 (whatever a library raises, the run says it in one line)
        sys.exit(words(error))


def listen(lines: "Queue[Line | None]") -> None:
    """Take lines from the run until it says that none follows, or is gone; then see to it that this ends as well."""
    try:
        while (text := sys.stdin.readline()).endswith("\n") and text.strip():
            lines.put(json.loads(text))
    finally:
        lines.put(None)
        time.sleep(LONGEST_END)
        os._exit(1)


def batches(lines: "Queue[Line | None]") -> Iterator[list[Line]]:
    """Return what has come, all of it at once, until None comes."""
    batch = list[Line]()
    while (line := lines.get()) is not None:
        batch.append(line)
        if lines.empty():
            yield batch
            batch = []
    yield batch


def scalars(line: Line) -> dict[str, float]:
    """Return the figures of a line, each as `<split>/<name>`."""
    return {f"{line['split']}/{k}": v for k, v in line.items() if isinstance(v, float) and k != "seconds"}


def figures(evaluation: Record) -> dict[str, float]:
    """Return the figures of evaluation.json that tables of runs show."""
    if not evaluation:
        return {}
    bars = {f"evaluation/baseline {name}": value for name, value in evaluation["baselines"].items()}
    return {f"evaluation/{evaluation['primary']}": evaluation["value"], "evaluation/gap": evaluation["gap"], **bars}


def title(folder: Path) -> str:
    """Return the name of a run: its folder, inside a study with that of the study."""
    parts = folder.relative_to(here).parts if folder.is_relative_to(here := Path.cwd()) else (folder.name,)
    return "/".join(parts[1:] if parts[0] == "runs" else parts)


def flat(values: Record, before: str = "") -> dict[str, Any]:
    """Return nested mappings as one, with dots in its keys."""
    found = dict[str, Any]()
    for key, value in values.items():
        found |= flat(value, f"{before}{key}.") if isinstance(value, dict) else {f"{before}{key}": value}
    return found


def origin(folder: Path) -> dict[str, str]:
    """Return what a run comes from: folder, seed, commit, checksums of code and data."""
    manifest = read(folder / "manifest.json")
    code, data = manifest["code"], manifest["data"]
    about = {"run_folder": folder, "seed": manifest["seed"], "command": " ".join(manifest["command"])}
    about |= {"git.commit": code["commit"], "git.changed": code["changed"], "code.sha256": code["sha256"]}
    about |= {"data.name": data["name"], **{f"data.{name}": checksum for name, checksum in data["files"].items()}}
    return {name: str(value) for name, value in about.items()}
