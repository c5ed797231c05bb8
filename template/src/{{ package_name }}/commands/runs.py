"""All runs in one table: how each stands, its best value, seed, time and size; it reads no checkpoint."""

import logging
import os
import struct
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from ..training.states import Record, look
from ..training.storage import fcntl

HELP = "list all runs: how each stands, its best value, when, how long, how large"
MARKS = ("config.yaml", "manifest.json", "metrics.jsonl", "last.pt")  # a folder with one of them is a run
COLUMNS = ("run", "preset", "state", "best", "seed", "started", "time", "MB")

logger = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> bool:
    """Say what the command takes; it does not take the options of a run."""
    parser.add_argument("--folder", type=Path, default=Path("runs"), help="where to look, to any depth (runs)")
    return False


def main(folder: Path) -> list[Record]:
    """Return what there is to know about every run of a folder, the oldest first."""
    if not folder.is_dir():
        raise ValueError(f"--folder: {folder} is not there; want a folder of runs, which `train` makes")
    found = sorted((describe(path, folder) for path in find(folder)), key=lambda record: str(record["started"]))
    known = {kind: goal for kind, goal in (record["goal"] for record in found) if goal}
    for record in found:  # a run that was not evaluated yet has the goal of others with such data
        kind, goal = record.pop("goal")
        record.update(best(record.pop("lines"), goal or known.get(kind)))
    show(found, folder)
    return found


def find(folder: Path) -> Iterator[Path]:
    """Return the run folders in a folder, those of studies as well."""
    for path, _, names in os.walk(folder):
        if {*MARKS} & {*names}:
            yield Path(path)


def describe(run: Path, folder: Path) -> Record:
    """Return what the files of a run say; `goal` is its kind of data with its primary figure, if that is known."""
    found = look(run)
    config, manifest, evaluation = (found[name] for name in ("config.yaml", "manifest.json", "evaluation.json"))
    goal = (evaluation["primary"], evaluation["higher_is_better"]) if evaluation else None
    touched = datetime.fromtimestamp(run.stat().st_mtime, UTC).isoformat(timespec="seconds")
    if process := holder(run):
        found |= {"state": "running", "why": f"process {process}"}
    return {
        "run": run.relative_to(folder.parent).as_posix(),
        "preset": config.get("name"),
        **{name: found[name] for name in ("state", "why", "step", "steps")},
        "seed": manifest.get("seed"),
        "started": manifest.get("written", touched),
        "seconds": duration(found["lines"]),
        "bytes": size(run),
        "goal": (config.get("data", {}).get("kind"), goal),
        "lines": found["lines"],
    }


def holder(run: Path) -> int:
    """Return the number of the process that holds a run's lock, 0 if none does; it is asked for, and never taken."""
    if not fcntl or not (run / "lock").exists():
        return 0
    wanted = (fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)  # struct flock: type, whence, start, length, process
    form, order = ("qqihh", (2, 3, 4, 0, 1)) if sys.platform == "darwin" else ("hhqqi4x", (0, 1, 2, 3, 4))
    with (run / "lock").open("rb") as file:
        question = struct.pack(form, *(wanted[place] for place in order))
        answer = struct.unpack(form, fcntl.fcntl(file, fcntl.F_GETLK, question))
    kind, process = answer[order.index(0)], answer[order.index(4)]
    return 0 if kind == fcntl.F_UNLCK else int(process)


def duration(lines: list[Record]) -> float:
    """Return how long a run was trained [s]: the clock of its journal begins anew whenever it is resumed."""
    times = [line["seconds"] for line in lines]
    return float(sum(now for now, after in zip(times, [*times[1:], 0.0], strict=False) if after < now))


def size(run: Path) -> int:
    """Return how many bytes a run takes; a checkpoint with two names is there once."""
    found = [path.lstat() for path in run.rglob("*") if path.is_file()]
    return sum({stat.st_ino: stat.st_size for stat in found}.values())


def best(lines: list[Record], goal: tuple[str, bool] | None) -> Record:
    """Return the best value of the primary figure on the validation split, and its step."""
    name, higher = goal or ("", True)
    values = [(line[name], line["step"]) for line in lines if line["split"] == "val" and name in line]
    value, step = (max if higher else min)(values, key=lambda pair: pair[0], default=(None, None))
    return {"primary": name or None, "best": value, "best_step": step}


def show(found: list[Record], folder: Path) -> None:
    """Say all that as a table."""
    rows = [COLUMNS, *(row(record) for record in found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for words in rows:
        logger.info("%s", "  ".join(word.ljust(width) for word, width in zip(words, widths, strict=True)).rstrip())
    if not found:
        logger.info("no run in %s", folder)


def row(record: Record) -> tuple[str, ...]:
    """Return the words of a run's line."""
    unfinished = record["state"] in {"running", "stopped", "failed"}
    at = f" at step {record['step']} of {record['steps']}" if unfinished else ""
    why = f" ({record['why']})" if record["why"] else ""
    value = "" if record["best"] is None else f"{record['primary']} {record['best']:.4f} at {record['best_step']}"
    seed, started = "" if record["seed"] is None else str(record["seed"]), record["started"][:16].replace("T", " ")
    size = f"{record['bytes'] / 1e6:.1f}"
    return (
        record["run"],
        record["preset"] or "",
        record["state"] + at + why,
        value,
        seed,
        started,
        f"{record['seconds']:.0f} s",
        size,
    )
