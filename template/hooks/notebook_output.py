#!/usr/bin/env python3
"""Finds notebooks with output in them, or counts of executions: they differ at every run, and may show secrets."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from io import TextIOWrapper
from pathlib import Path

CELL = re.compile(r'(?<!\\)"cell_type"\s*:')  # within a text the quote would be escaped


def check(name: str) -> list[str]:
    """Return a line for each cell with output; one where the file is no notebook."""
    if not Path(name).is_file():
        return [f"{name}:1: cannot be read (no such file); name a file"]
    try:
        text = Path(name).read_text("utf-8-sig")
        cells = json.loads(text)["cells"]
        ran = [(number, cell) for number, cell in enumerate(cells, 1) if left(cell)]
    except OSError as error:
        return [f"{name}:1: cannot be read ({error.strerror}); name a file"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else 1
        return [f"{name}:{line}: no notebook of version 4 ({type(error).__name__}); save it anew, or leave it out"]
    lines = [text.count("\n", 0, match.start()) + 1 for match in CELL.finditer(text)]
    lines = lines if len(lines) == len(cells) else [1] * len(cells)
    todo = f"clear it: uvx nbstripout {name}"
    return [f"{name}:{lines[number - 1]}: cell {number} has {left(cell)}; {todo}" for number, cell in ran]


def left(cell: dict[str, object]) -> str:
    """Say what a run has left in a cell; nothing where it is clean."""
    if cell.get("outputs"):
        return "output"
    return "a count of executions" if cell.get("execution_count") is not None else ""


def tracked() -> list[str]:
    """Return the notebooks that git knows; SystemExit(2) where this is no repository."""
    command = ["git", "ls-files", "-z", "*.ipynb"]
    try:
        done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 (our own words)
    except OSError as error:
        sys.stderr.write(f"git cannot be started ({error.strerror}); install it, or put it on PATH\n")
        raise SystemExit(2) from None
    if done.returncode:
        sys.stderr.write(f"{done.stderr.decode(errors='replace').strip()}; want file names or a git repository\n")
        raise SystemExit(2)
    return [name for name in done.stdout.decode("utf-8", "surrogateescape").split("\0") if Path(name).is_file()]


def main() -> int:
    """Print a line for each finding; return 1 where there are any."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="Exit status: 0 nothing found, 1 findings, 2 wrong use."
    )
    parser.add_argument("names", nargs="*", metavar="FILE", help="notebooks (all that git knows)")
    names = parser.parse_args().names or tracked()
    found = [line for name in names for line in check(name)]
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be no text at all
    sys.stdout.write("".join(f"{line}\n" for line in found))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
