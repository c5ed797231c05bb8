"""Every family of the template: rendered, trained with the network blocked, and its figures beside its baselines.

    uv run python -m benchmarks.tasks [--presets] [FAMILY ...]

It trains the default preset of each family, or of those named; `--presets` all of theirs. Every run is a process of its
own on two threads, in a network namespace without a device where the system permits that, else without `connect`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from tests.answers import ALL, FAMILIES
from tests.harness import render, snapshot

COLUMNS = ("family", "preset", "figure", "value", "baselines", "better than the best by", "seconds")
LIMIT = 180  # seconds that a default preset may take on two cores
BLOCKED = """
import socket

def refuse(self, address):
    if self.family in {socket.AF_INET, socket.AF_INET6}:
        raise ConnectionRefusedError(f"no network here, and {address} was wanted")
    return original(self, address)

original, socket.socket.connect = socket.socket.connect, refuse
"""


def offline(folder: Path) -> tuple[list[str], dict[str, str]]:
    """Return what stands before a command, and in its environment, so that it reaches no network."""
    unshare = ["unshare", "--user", "--map-root-user", "--net"]
    if shutil.which("unshare") and not subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode:
        return unshare, {}
    (folder / "sitecustomize.py").write_text(BLOCKED, encoding="utf-8")
    return [], {"PYTHONPATH": str(folder)}


def train(project: Path, preset: str, prefix: list[str], environment: dict[str, str]) -> tuple[dict[str, Any], float]:
    """Train a preset in a rendered project; return what `evaluate` wrote, and the seconds the whole command took."""
    paths = os.pathsep.join(filter(None, (str(project / "src"), environment.get("PYTHONPATH"))))
    variables = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "2"}
    started = time.perf_counter()
    argv = [*prefix, sys.executable, "-m", "my_project", "train", preset]
    done = subprocess.run(argv, cwd=project, env=variables, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{project.name} {preset}: status {done.returncode}\n{done.stderr}")
    seconds = time.perf_counter() - started
    return json.loads((project / f"runs/{preset}-1/evaluation.json").read_text(encoding="utf-8")), seconds


def cells(*words: str) -> str:
    """Return a line of a table."""
    return f"| {' | '.join(words)} |"


def row(family: str, preset: str, record: dict[str, Any], seconds: float) -> tuple[str, bool]:
    """Return a line of the table, and whether its run beat all baselines."""
    bars: dict[str, float] = record["baselines"]
    sign = 1 if record["higher_is_better"] else -1
    margin = min(sign * (record["value"] - bar) for bar in bars.values())
    others = ", ".join(f"{name} {value:.4f}" for name, value in bars.items())
    figures = (f"{record['value']:.4f}", others, f"{margin:.4f}", f"{seconds:.0f}")
    return cells(family, f"`{preset}`", record["primary"], *figures), margin > 0


def main() -> None:
    """Print the table; exit with 1 if a default preset does not beat its baselines in time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=", ".join(FAMILIES))
    parser.add_argument("--presets", action="store_true", help="all presets, not the default ones alone")
    given = parser.parse_args()
    if unknown := set(given.families) - set(FAMILIES):
        parser.error(f"unknown family {', '.join(unknown)}: want some of {', '.join(FAMILIES)}")
    print(f"torch {torch.__version__}, {os.cpu_count()} cores, two threads\n", flush=True)
    print(cells(*COLUMNS), cells(*["---"] * len(COLUMNS)), sep="\n", flush=True)
    failed = list[str]()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "template").mkdir()
        template, blocked = snapshot(folder / "template"), offline(folder)
        for family in given.families or FAMILIES:
            project, default = folder / family, ALL["families"]["default"][family]["preset"]
            render(template, project, FAMILIES[family])
            names = sorted(path.stem for path in project.glob("src/my_project/presets/*.yaml"))
            for preset in [default, *(name for name in names if name != default)] if given.presets else [default]:
                record, seconds = train(project, preset, *blocked)
                line, better = row(family, preset, record, seconds)
                print(line, flush=True)
                failed += [f"{family} {preset}"] if preset == default and not (better and seconds < LIMIT) else []
    raise SystemExit(f"not better than every baseline in {LIMIT} s: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
