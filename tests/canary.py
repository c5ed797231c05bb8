"""Renders projects with the newest or the lowest dependencies that they allow, installs, checks, tests and trains them.

A command of its own, as it downloads gigabytes: uv run python tests/canary.py newest, and the same with lowest.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
ANSWERS = {  # together they have every dependency that an answer brings
    "default": [],
    "everything": ["scope=full", "tracker=tensorboard", "pretrained=timm"],
    "texts": ["variant=text", "pretrained=transformers", "tracker=mlflow", "agents=false"],
    "tables": ["variant=tabular", "tracker=wandb", "agents=false"],
}
RESOLUTIONS = {"newest": "highest", "lowest": "lowest-direct"}  # uv's words
SHOWN = 4000  # letters of what a failed step printed


def copy_of_the_tree(folder: Path) -> Path:
    """Copy what git has or would have of this repository, without its history."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listing, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0"):
        if name and (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    return folder


def steps(template: Path, project: Path, data: list[str], versions: str) -> dict[str, list[str]]:
    """Name the commands, in their order; the oldest torch and NumPy lack types that mypy asks for in strict mode."""
    given = [word for pair in data for word in ("--data", pair)]
    types = {"mypy": ["uv", "run", "mypy"]} if versions == "newest" else {}
    return {
        "render": ["uvx", "copier", "copy", "--defaults", "--quiet", *given, str(template), str(project)],
        "lock": ["uv", "lock", "--upgrade"],
        "install": ["uv", "sync", "--locked"],
        "versions": ["uv", "pip", "list"],
        "ruff check": ["uv", "run", "ruff", "check"],
        "ruff format": ["uv", "run", "ruff", "format", "--check"],
        **types,
        "pytest": ["uv", "run", "pytest", "-q", "-rfE"],  # what failed stands at the end, which is shown
        "train": ["uv", "run", "my-project", "train"],
    }


def environment(resolution: str) -> dict[str, str]:
    """The variables of a fresh shell, with uv's resolution."""
    kept = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}}
    return kept | {"UV_RESOLUTION": resolution, "OMP_NUM_THREADS": "1"}


def try_out(name: str, versions: str, torch_index: str, folder: Path) -> list[str]:
    """Take all steps for one set of answers, print a line for each, return those that failed."""
    template, project = copy_of_the_tree(folder / "template"), folder / "project"
    failed, data = list[str](), [*ANSWERS[name], f"torch_index={torch_index}"]
    for step, words in steps(template, project, data, versions).items():
        started = time.monotonic()
        where = project if project.exists() else folder
        variables = environment("highest" if step == "render" else RESOLUTIONS[versions])
        done = subprocess.run(words, cwd=where, env=variables, check=False, capture_output=True, text=True)
        say(f"{versions:<7} {name:<11} {step:<12} {time.monotonic() - started:6.0f} s  exit {done.returncode}")
        if done.returncode:
            failed.append(f"{versions} {name} {step}")
            say((done.stdout + done.stderr)[-SHOWN:])
        elif step == "versions":
            say(", ".join(direct(project, done.stdout)))
        elif step == "pytest":
            say(done.stdout.strip().rpartition("\n")[2])
        elif step == "train":
            say(" ".join(done.stdout.split()))
        if done.returncode and step in {"render", "lock", "install"}:
            break
    return failed


def direct(project: Path, listing: str) -> list[str]:
    """The versions of what pyproject.toml names."""
    named = (project / "pyproject.toml").read_text(encoding="utf-8").lower()
    rows = [line.split() for line in listing.splitlines()[2:]]
    return [f"{name} {version}" for name, version, *_ in rows if f'"{name.lower()}>=' in named]


def say(text: str) -> None:
    """Write a line at once: a run takes minutes."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Try each set of answers; return 1 if a step failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("versions", choices=RESOLUTIONS)
    parser.add_argument("answers", nargs="*", default=[*ANSWERS], help=f"of {', '.join(ANSWERS)}; all without a name")
    parser.add_argument("--torch-index", default="pypi", help="the answer of that name; cpu is a smaller download")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder without it")
    given = parser.parse_args()
    if unknown := {*given.answers} - {*ANSWERS}:
        parser.error(f"answers: got {', '.join(sorted(unknown))}, want some of {', '.join(ANSWERS)}")
    failed = list[str]()
    for name in given.answers:
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            failed += try_out(name, given.versions, given.torch_index, Path(folder))
    say(f"failed: {', '.join(failed)}" if failed else "all steps passed")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
