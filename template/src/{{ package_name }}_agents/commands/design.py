"""Designs of models: begun from the template, and checked before anybody builds them."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from .. import designs
from ..outcome import outcome, project_root
from ..tasks import today

HELP = "designs of models: begin one; check that it is approved"


def add_arguments(parser: ArgumentParser) -> bool:
    """Say what the command takes; it does not take the options of a run."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    new = actions.add_parser("new", help="begin a design and its specification in docs/designs")
    new.add_argument("name", metavar="NAME")
    check = actions.add_parser("check", help="exit 1 unless a design is approved, filled in and specified")
    check.add_argument("file", type=Path, nargs="?", metavar="FILE", help="a design; otherwise all of docs/designs")
    return False


def main(action: str, *, name: str = "", file: Path | None = None) -> dict[str, Any]:
    """Begin or check designs in the project above the current folder."""
    root = project_root()
    if action == "new":
        return {"written": [str(path.relative_to(root)) for path in designs.new(name, root, today())]}
    files = [file] if file else designs.all_designs(root)
    problems = [line for path in files for line in designs.check(path)]
    return outcome(problems, designs={str(path): status(path) for path in files})


def status(path: Path) -> str:
    """Return the status of a design that may have no readable one."""
    try:
        return designs.status(path)
    except ValueError:
        return "unreadable"
