"""What each answer adds to a project: files, lines, dependencies, and the seconds that its own tests take.

    uv run python scripts/options.py                    # files, lines and dependencies of all
    uv run python scripts/options.py --tests own_data   # of one, and its tests are run

A project is rendered with the answer off and with it on; the difference is what is printed, as a Markdown table.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import pytest
from packaging.requirements import Requirement

from tests.answers import BACKBONES, FAMILIES, QUESTIONS, choices
from tests.harness import render, snapshot

HEAD = "| answer | files | lines | dependencies | its tests |\n|---|---:|---:|---|---:|"


@dataclass(frozen=True)
class Contents:
    """What a rendered project holds: the lines of each file, and what it depends on."""

    lines: dict[str, int]
    needs: set[str]

    @classmethod
    def of(cls, folder: Path) -> Contents:
        """Read a project; a file that is no text has no lines."""
        lines = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name != ".copier-answers.yml":
                data = path.read_bytes()
                lines[path.relative_to(folder).as_posix()] = 0 if b"\0" in data else data.count(b"\n")
        table = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        groups = {"": table["project"]["dependencies"], **table["project"].get("optional-dependencies", {})}
        groups |= table["dependency-groups"]
        return cls(lines, {Requirement(line).name for lines in groups.values() for line in lines})


def switches() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Name every answer that adds something, with the answers that are without it and with it."""
    found: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    for name, question in QUESTIONS.items():
        if question["type"] == "bool":
            found[name] = ({name: False}, {name: True})
    for name in ("tracker", "ci"):
        for value in choices(QUESTIONS[name]):
            if value != "none":
                found[f"{name}={value}"] = ({name: "none"}, {name: value})
    for family, values in BACKBONES.items():
        for value in values[1:]:
            off = {**FAMILIES[family], "pretrained": "none"}
            found[f"pretrained={value}"] = (off, {**off, "pretrained": value})
    return found


def run_tests(project: Path, files: list[str]) -> str:
    """Run these tests of a project; return the seconds they took."""
    environment = os.environ | {"PYTHONPATH": str(project / "src"), "OMP_NUM_THREADS": "1"}
    argv = [sys.executable, "-m", "pytest", "-q", "--no-cov", "-p", "no:cacheprovider", *files]
    started = time.perf_counter()
    done = subprocess.run(argv, cwd=project, env=environment, check=False, capture_output=True, text=True)  # noqa: S603
    if done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED:
        return "skipped here"  # a library that only this answer brings is missing
    if done.returncode:
        raise SystemExit(f"the tests {' '.join(files)} failed:\n{done.stdout[-2000:]}")
    return f"{time.perf_counter() - started:.0f} s"


def row(name: str, off: Contents, on: Contents, seconds: str) -> str:
    """Return a line of the table."""
    files = sorted(on.lines.keys() - off.lines.keys())
    lines = sum(on.lines.values()) - sum(off.lines.values())
    needs = ", ".join(sorted(on.needs - off.needs)) or "none"
    return f"| `{name}` | {len(files)} | {lines:,} | {needs} | {seconds} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="*", help="an answer, as in the table; all if none is given")
    parser.add_argument("--tests", action="store_true", help="run the tests that an answer brings, too")
    options = parser.parse_args()
    rows = switches()
    if unknown := {*options.name} - {*rows}:
        parser.error(f"unknown answer {', '.join(sorted(unknown))}: want some of {', '.join(rows)}")
    print(HEAD)
    with tempfile.TemporaryDirectory() as temporary:
        template = snapshot(Path(temporary, "template"))
        for number, name in enumerate(options.name or rows):
            folders = [Path(temporary, f"{number}-{side}") for side in ("off", "on")]
            for folder, given in zip(folders, rows[name], strict=True):
                render(template, folder, given)
            off, on = map(Contents.of, folders)
            added = on.lines.keys() - off.lines.keys()
            tests = sorted(path for path in added if Path(path).name.startswith("test_"))
            print(row(name, off, on, run_tests(folders[1], tests) if options.tests and tests else ""), flush=True)


if __name__ == "__main__":
    main()
