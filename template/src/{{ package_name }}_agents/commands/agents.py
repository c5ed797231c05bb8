"""Check the texts that agents read."""

import json
import logging
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from .. import references

HELP = "check what agents read: agents, skills, tools, paths and commands must exist; exit 1 where one does not"

logger = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> bool:
    """Say what the command takes; it takes no options of a run."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser("check", help="one pass over .claude, CLAUDE.md and AGENTS.md")
    check.add_argument("--root", type=Path, default=Path(), metavar="FOLDER", help="the project (here)")
    return False


def main(*, action: str, root: Path) -> dict[str, Any]:
    """Return what was found; SystemExit(1) after a line for each finding."""
    if not (root / "pyproject.toml").is_file():
        raise ValueError(f"--root: {root} has no pyproject.toml; name the project's folder")
    result = {"action": action, "ok": not (findings := references.check(root)), "findings": findings}
    if findings:
        for line in findings:
            logger.error("%s", line)
        sys.stdout.write(json.dumps(result, indent=2) + "\n")
        raise SystemExit(1)
    return result
