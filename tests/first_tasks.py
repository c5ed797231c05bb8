"""Compares the tasks of the project in the current folder with the first steps of its own process, and with their view.

    python -m run_file tests/first_tasks.py PACKAGE

A rendered project cannot ask this of itself: its tasks are its owner's to change.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path


def main(package: str) -> int:
    """Print what differs; return 1 if anything does."""
    designs, process, tasks = (import_module(f"{package}_agents.{name}") for name in ("designs", "process", "tasks"))
    found = tasks.Store.load(Path(tasks.FILE)).book
    expected = process.first_book(designs.default_preset())
    given = [task.model_copy(update={"shown": ""}) for task in found.tasks]
    pairs = [*zip(given, expected.tasks, strict=False)] if len(given) == len(expected.tasks) else [(given, expected)]
    pairs += [(found.phases, expected.phases), (found.definition_of_done, expected.definition_of_done)]
    differing = [f"{line}\n" for line in tasks.check(Path.cwd())]
    differing += [f"got {one}, want {other}\n" for one, other in pairs if one != other]
    sys.stdout.write("".join(differing))
    return int(bool(differing))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
