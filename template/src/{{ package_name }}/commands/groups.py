"""The command that measures a run for each group of validation rows, and fails where the gap is too large."""

import logging
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from .. import run as commands
from ..evaluation.groups import FEW, ends, find, measure_groups, name_groups
from ..training.storage import write_json

HELP = "measure a run for each group of rows; exit 1 where the gap between groups is too large"

logger = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> bool:
    """Say what the command takes; it does not take the options of a run."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder, runs/<preset>-<n>")
    parser.add_argument("--by", default="targets", metavar="NAME", help="targets, groups, a column, or a .npy file")
    parser.add_argument("--max-gap", type=float, metavar="X", help="largest difference between groups of enough rows")
    return False


def main(run: Path, *, by: str, max_gap: float | None) -> dict[str, Any]:
    """Measure a run's best weights on the validation rows of each group; SystemExit(1) where the gap is too large."""
    config, model, path = commands.open_run(run)
    data, figures = config.data.build("val"), commands.task(config)
    names = name_groups(find(config.data, by, len(data)), getattr(config.data, "labels", ()) if by == "targets" else ())
    logger.info("measuring %d groups", len({*names.tolist()}))
    record = {"by": by, "split": "val", **measure_groups(figures, model, data, names)}
    found, gap, primary = record["groups"], record["gap"], record["primary"]
    write_json(path.with_name("groups.json"), record)
    for name, line in found.items():
        little = "" if line["rows"] >= FEW else " (few)"
        logger.info("%-20s %5d rows  %s %.4f%s", name, line["rows"], primary, line[primary], little)
    if max_gap is not None and gap > max_gap:
        low, high = ends(record)
        logger.error("groups: %s differs by %.4f between %s and %s, at most %g", primary, gap, low, high, max_gap)
        raise SystemExit(1)
    return record
