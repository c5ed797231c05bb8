"""The command that writes a run as files which answer without this project."""

import json
import logging
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from ..evaluation.budgets import FILE, read_budgets
from ..serving.export import export

HELP = "write a run as torch.export's program and as ONNX; exit 1 where answers, size or latency are off"

logger = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> bool:
    """Say what the command takes; it does not take the options of a run."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder, runs/<preset>-<n>, or a checkpoint")
    parser.add_argument("--budgets", type=Path, metavar="FILE", help="YAML with the most that may be spent")
    return False


def main(run: Path, *, budgets: Path | None) -> dict[str, Any]:
    """Write RUN/export; all of it is there also where SystemExit(1) says that something is off."""
    record = export(run, read_budgets(budgets or FILE))
    if record["failures"]:
        sys.stdout.write(json.dumps(record, indent=2) + "\n")
        logger.error("export: %s", "; ".join(record["failures"]))
        raise SystemExit(1)
    return record
