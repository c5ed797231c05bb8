"""The run folder and what is written into it while a run goes on; the only reader of the clock."""

import json
import logging
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from itertools import count
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress

logger = logging.getLogger(__name__)


def new_run_folder(name: str, out: str) -> Path:
    """Make `out`, or else the next free `runs/<name>-<n>`; a folder in use is never taken."""
    free = (Path(f"runs/{name}-{number}") for number in count(1))
    folder = Path(out) if out else next(path for path in free if not path.exists())
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"train.out: {folder} is not empty; name another, or --resume it")
    folder.mkdir(parents=True, exist_ok=bool(out))
    return folder


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON file for people and programs; it replaces the old one in one move."""
    temporary = path.with_suffix(".tmp")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    temporary.write_text(json.dumps({"written": now, **values}, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)


def git(*words: str) -> str:
    """Return what git prints about the working folder; nothing where there is no git or no repository."""
    if not shutil.which("git"):
        return ""
    return subprocess.run(["git", *words], capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603, S607


def describe_run(data: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return what one must know to repeat a run: code, data, environment, seed."""
    packages = sorted(f"{d.metadata['Name']} {d.version}" for d in metadata.distributions())
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    environment: dict[str, Any] = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "torch": torch.__version__,
    }
    environment |= {"cuda": torch.version.cuda, "gpu": gpu, "num_threads": torch.get_num_threads()}
    return {
        "command": sys.argv,
        "seed": seed,
        "code": {"commit": git("rev-parse", "HEAD"), "changed": bool(git("status", "--porcelain"))},
        "data": {key: data.get(key) for key in ("name", "licence", "rows", "files")},
        "environment": {**environment, "packages": packages},
    }


class Journal:
    """One line of JSON a measurement; a progress bar where a person watches."""

    def __init__(self, folder: Path, num_steps: int, *, resume_at: int | None = None) -> None:
        self.folder, self.path, self.num_steps = folder, folder / "metrics.jsonl", num_steps
        self.started = time.perf_counter()
        if resume_at is not None:
            kept = [json.dumps(line) + "\n" for line in read_journal(folder) if line["step"] <= resume_at]
            self.path.write_text("".join(kept), encoding="utf-8")
        self.bar = Progress(console=Console(stderr=True), disable=not sys.stderr.isatty())
        self.task = self.bar.add_task("training", total=num_steps, completed=resume_at or 0)

    def write(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """Add a line and say it; figures are rounded to what float32 holds."""
        line = {"step": step, "split": split, "seconds": round(time.perf_counter() - self.started, 3)}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line | {key: float(f"{value:.7g}") for key, value in values.items()}) + "\n")
        self.bar.update(self.task, completed=step)
        shown = "  ".join(f"{key} {value:.4g}" for key, value in values.items() if "/" not in key)
        level = logging.DEBUG if split == "train" else logging.INFO
        logger.log(level, "step %d of %d  %s  %s", step, self.num_steps, split, shown)


def read_journal(folder: Path) -> list[dict[str, Any]]:
    """Return a run's measurements; a line that was cut off is left out."""
    path = folder / "metrics.jsonl"
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]
