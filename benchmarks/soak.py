"""Kills training runs at random moments and counts the differences to runs that nobody killed.

    uv run python benchmarks/soak.py [KILLS]

A run is killed (SIGKILL) after a random time, resumed, killed again, until it has ended; then every loss in its
journal and every tensor in its last checkpoint is compared bit by bit with those of an unbroken run of the same
preset. Prints how many kills there were, when they struck, and how many runs differ; exit status 1 if one does.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "working"))

import torch  # noqa: E402

from my_project import run as commands  # noqa: E402
from my_project.config import load  # noqa: E402
from my_project.training.storage import load_checkpoint, read_journal  # noqa: E402

KILLS = 100
OPTIONS: dict[str, Any] = {"train.steps": 80, "train.eval_every": 20, "train.log_every": 7, "train.accumulate": 2}
OPTIONS |= {"model.dropout": 0.2, "optim.ema_decay": 0.9, "optim.warmup_steps": 5}
PRESETS = {"linear": {}, "mlp": {"model.dim": 32}, "cnn": {"model.dim": 8}, "transformer": {"model.dim": 16}}


def start(preset: str, folder: Path) -> int:
    """Train a preset in a fork of this process, or go on in its folder; return the fork's process number."""
    pid = os.fork()
    if pid == 0:
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 2)
        config = load(preset, {**OPTIONS, **PRESETS[preset], "train.out": str(folder)})
        commands.fit(config, resume=folder if (folder / "last.pt").exists() else None)
        os._exit(0)
    return pid


def ended(pid: int, seconds: float) -> bool:
    """Wait for a process for so long, then kill it; return whether it ended by itself. Raises if it failed."""
    deadline = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            if os.waitstatus_to_exitcode(status):
                raise SystemExit(f"a run ended with status {os.waitstatus_to_exitcode(status)}")
            return True
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return False
        time.sleep(0.001)


def tensors(value: Any) -> list[torch.Tensor]:
    """All tensors in nested values, in order."""
    if isinstance(value, torch.Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [tensor for part in parts for tensor in tensors(part)]


def contents(run: Path) -> tuple[list[dict[str, Any]], list[torch.Tensor]]:
    """What a run wrote: the lines of its journal, the tensors of its last checkpoint."""
    lines = [{**line, "seconds": 0} for line in read_journal(run)]
    return lines, tensors(load_checkpoint(run / "last.pt"))


def same(first: Path, second: Path) -> bool:
    """Whether two runs wrote the same, bit by bit."""
    (lines, state), (others, other) = contents(first), contents(second)
    return lines == others and len(state) == len(other) and all(map(torch.equal, state, other))


def unbroken(preset: str, folder: Path) -> float:
    """Train a preset without harm; return the seconds it took."""
    started = time.monotonic()
    ended(start(preset, folder), 600)
    return time.monotonic() - started


def patience(chance: random.Random, seconds: float, more: bool) -> float:
    """The seconds after which a run is killed; when there were enough kills, it may end."""
    return chance.uniform(0, 1.5 * seconds) if more else 600.0


def main(kills: int) -> int:
    """Kill until there were so many kills, then let the last run end; print the counts."""
    torch.set_num_threads(1)
    chance, struck, runs, differ = random.Random(0), Counter[int](), 0, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds = {preset: unbroken(preset, folder / preset) for preset in PRESETS}
        while struck.total() < kills:
            preset, run = chance.choice([*PRESETS]), folder / "run"
            shutil.rmtree(run, ignore_errors=True)
            while not ended(start(preset, run), patience(chance, seconds[preset], struck.total() < kills)):
                there = (run / "last.pt").exists()
                struck[load_checkpoint(run / "last.pt")["trainer"]["step"] if there else -1] += 1
                if not there:
                    shutil.rmtree(run, ignore_errors=True)
            runs, differ = runs + 1, differ + (not same(folder / preset, run))
    places = ", ".join(f"{count} after step {step}" for step, count in sorted(struck.items()) if step >= 0)
    print(f"{struck.total()} kills in {runs} runs ({struck[-1]} before the first checkpoint, {places})")
    print(f"runs that differ from an unbroken one: {differ}")
    return int(differ > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else KILLS))
