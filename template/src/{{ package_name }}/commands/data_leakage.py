"""Does a data folder give away what is to be measured? Copies, groups, times, scalers, and splits that differ."""

import logging
from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..config import load
from ..evaluation.leakage import inspect

HELP = "look for rows, groups and times that splits share; exit 1 with a line for each finding"

logger = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> bool:
    """Say what the command takes; it does not take the options of a run."""
    parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER", help="a data folder (the package's own)")
    return False


def main(folder: Path | None) -> dict[str, Any]:
    """Inspect a data folder; return the figures. SystemExit(1) after a line for each finding."""
    folder = folder or load().data.root
    lines, figures = inspect(folder, datetime.now(UTC).date())
    for line in lines:
        logger.error("data leakage: %s", line)
    if lines:
        raise SystemExit(1)
    return {"folder": str(folder), **figures}
