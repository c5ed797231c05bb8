"""What a run leaves on the disk: its folder, its journal, its checkpoints; the only reader of the clock."""

import hashlib
import json
import logging
import os
import platform
import random
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module, metadata
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

logger = logging.getLogger(__name__)
FORMAT_VERSION = 2
PARTS = {"format_version", "config", "model", "optimization", "scaler", "trainer", "carries", "recent", "rng"}
TRACKERS = [import_module(f".{f.stem}", __package__).track for f in Path(__file__).parent.glob("track_*.py")]
fcntl = import_module("fcntl") if os.name == "posix" else None  # elsewhere nothing is locked


def new_run_folder(name: str, out: str) -> Path:
    """Make `out`, or else the next free `runs/<name>-<n>`; a folder in use is never taken."""
    folder = Path(out) if out else next(p for n in count(1) if not (p := Path(f"runs/{name}-{n}")).exists())
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"train.out: {folder} is not empty; name another, or --resume it")
    folder.mkdir(parents=True, exist_ok=bool(out))
    return folder


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run folder for this process, to its end; raises OSError with the number of one that holds it already."""
    with (folder / "lock").open("ab+", buffering=0) as file:
        try:
            if fcntl:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise OSError(f"{folder} is in use by process {file.read().decode()}; wait for it or stop it") from None
        file.truncate(0)
        file.write(b"%d" % os.getpid())
        yield


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON file for people and programs; it replaces the old one in one move."""
    temporary, now = path.with_suffix(".tmp"), datetime.now(UTC).isoformat(timespec="seconds")
    temporary.write_text(json.dumps({"written": now, **values}, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)


def describe_run(data: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return what one must know to repeat a run: code, data, environment, seed."""
    text = b"".join(f.read_bytes() for f in sorted(Path(__file__).parents[1].rglob("*.py")) if f.is_file())
    git = ["git", "status", "--porcelain=v2", "--branch"]  # nothing where there is no git or no repository
    told = subprocess.run(git, capture_output=True, text=True, check=False).stdout if shutil.which("git") else ""  # noqa: S603
    commit, changed = (re.search(line, told, re.MULTILINE) for line in (r"^# branch.oid (\w+)$", "^[^#]"))
    code = {"commit": commit[1] if commit else "", "changed": bool(changed), "sha256": hashlib.sha256(text).hexdigest()}
    files = {key: data.get(key) for key in ("name", "licence", "rows", "files")}
    system = {"python": platform.python_version(), "platform": platform.platform(), "torch": torch.__version__}
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    packages = sorted(f"{d.metadata['Name']} {d.version}" for d in metadata.distributions())
    more = {"cuda": torch.version.cuda, "gpu": gpu, "num_threads": torch.get_num_threads(), "packages": packages}
    return {"command": sys.argv, "seed": seed, "code": code, "data": files, "environment": {**system, **more}}


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch on every device."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 (libraries may draw from the global generator)
    torch.manual_seed(seed)


class Journal:
    """One line of JSON a measurement; a progress bar where a person watches."""

    def __init__(self, folder: Path, num_steps: int, *, resume_at: int = 0, quiet: bool = False) -> None:
        self.path, self.num_steps, self.started = folder / "metrics.jsonl", num_steps, time.perf_counter()
        kept = [json.dumps(line) + "\n" for line in read_journal(folder) if line["step"] <= resume_at]
        if not quiet:
            self.path.write_text("".join(kept), encoding="utf-8")
        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())  # rich loads 8 MB more for columns of text
        self.bar = Progress(*columns, console=Console(stderr=True), disable=quiet or not sys.stderr.isatty())
        self.task = self.bar.add_task("training", total=num_steps, completed=resume_at)

    def write(self, step: int, split: str, values: Mapping[str, Any]) -> None:
        """Add a line and say it; figures are rounded to what float32 holds."""
        figures = {key: float(f"{value:.7g}") for key, value in values.items() if isinstance(value, float)}
        line = {"step": step, "split": split, "seconds": round(time.perf_counter() - self.started, 3)}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**line, **values, **figures}) + "\n")
        self.bar.update(self.task, completed=step)
        for track in TRACKERS:
            track(self.path.parent, {**line, **values})
        shown = "  ".join(f"{key} {value:.4g}" for key, value in figures.items() if "/" not in key)
        level = logging.DEBUG if split == "train" else logging.INFO
        logger.log(level, "step %d of %d  %s  %s", step, self.num_steps, split, shown or values.get("what"))


def read_journal(folder: Path) -> list[dict[str, Any]]:
    """Return a run's measurements; a line that was cut off is left out; raises OSError where one is damaged."""
    lines = path.read_text("utf-8", "replace").splitlines() if (path := folder / "metrics.jsonl").exists() else []
    try:
        return [json.loads(line) for line in lines if line.endswith("}")]
    except json.JSONDecodeError as error:
        raise OSError(f"{path} has a damaged line, {error.doc[:60]!r}: take it out, or bring the file back") from None


def migrate_1(state: dict[str, Any]) -> dict[str, Any]:
    """Format 1 held torch.optim.AdamW, by numbers of parameters."""
    adamw, keys = state["optimization"]["adamw"], {"exp_avg": "exp_avg", "exp_avg_sq": "exp_avg_sq", "counts": "step"}
    names = {n: name for g in adamw["param_groups"] for n, name in zip(g["params"], g["param_names"], strict=True)}
    moments = {new: {name: adamw["state"][n][old] for n, name in names.items()} for new, old in keys.items()}
    return {**state, "optimization": {**state["optimization"], **moments}}


MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: migrate_1}  # from a format to the next


def save_checkpoint(path: Path, state: dict[str, Any], *, best: bool = False) -> None:
    """Write a checkpoint beside its place, flush, then move it there; the old one is previous.pt, this one best.pt."""
    temporary = path.with_suffix(".tmp")
    try:
        with temporary.open("wb") as file:
            torch.save({"format_version": FORMAT_VERSION, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            link(path, path.with_name("previous.pt"))
        if best:
            link(temporary, path.with_name("best.pt"))
        temporary.replace(path)  # last: a run that dies before goes on from the old one, and does the same again
        logger.debug("wrote %s", path)
    except (OSError, RuntimeError) as error:  # torch says of a full disk that a position is unexpected
        raise OSError(f"could not write {path}: {error.__context__ or error}; is there space?") from error
    finally:
        temporary.unlink(missing_ok=True)
    if os.name == "posix":  # make the move last as well
        os.fsync(folder := os.open(path.parent, os.O_RDONLY))
        os.close(folder)


def link(path: Path, name: Path) -> None:
    """Give a file a second name, which it keeps when the first goes to another file."""
    temporary = name.with_suffix(".link")
    temporary.unlink(missing_ok=True)
    try:
        temporary.hardlink_to(path)
    except OSError:  # a file system without links
        shutil.copyfile(path, temporary)
    temporary.replace(name)
    temporary.unlink(missing_ok=True)  # a move between two names of one file moves nothing


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint to the CPU, without running code; OSError if damaged, ValueError if its format is unknown."""
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
        state: dict[str, Any] = dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # noqa: BLE001 (whatever a foreign file makes torch raise, it is damaged)
        broken = type(error).__name__
    if broken:
        before = path.with_name("previous.pt")
        hint = f"; go on from the one before: train --resume {before}" if before.exists() and before != path else ""
        raise OSError(f"{path} is damaged or no checkpoint ({broken}){hint}")
    while (version := state.get("format_version")) in MIGRATIONS:
        state = {**MIGRATIONS[version](state), "format_version": version + 1}
    if version != FORMAT_VERSION:
        raise ValueError(f"{path}: got format version {version}, want {FORMAT_VERSION} or older; update this project")
    if missing := ", ".join(sorted(PARTS - state.keys())):
        raise ValueError(f"{path} lacks {missing}; it is not a checkpoint of a run")
    return state
