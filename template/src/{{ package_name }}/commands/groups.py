"""How good a run is for each group of rows: a class, a column's values, what a file says; and the gap between them."""

import logging
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import run as commands
from ..data.loader import read_arrays, read_manifest
from ..data.resampled import Resampled
from ..training.storage import write_json

HELP = "measure a run for each group of rows; exit 1 where the gap between groups is too large"
MOST_VALUES, NUM_BINS, FEW = 10, 4, 20  # numbers with more values than that are cut into quarters; rows that say little

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
    found = dict[str, dict[str, Any]]()
    for name in sorted({*names.tolist()}):
        rows = torch.from_numpy(np.flatnonzero(names == name))
        measured = figures.measure(model, Resampled(data, rows))
        found[name] = {"rows": len(rows), **measured.metrics}
    values = {name: line[measured.primary] for name, line in found.items() if line["rows"] >= FEW}
    gap = max(values.values()) - min(values.values()) if values else 0.0
    record = {"by": by, "split": "val", "primary": measured.primary, "gap": gap, "few": FEW, "groups": found}
    write_json(path.with_name("groups.json"), record)
    for name, line in found.items():
        little = "" if line["rows"] >= FEW else " (few)"
        logger.info("%-20s %5d rows  %s %.4f%s", name, line["rows"], measured.primary, line[measured.primary], little)
    if max_gap is not None and gap > max_gap:
        low, high = min(values, key=lambda name: values[name]), max(values, key=lambda name: values[name])
        logger.error(
            "groups: %s differs by %.4f between %s and %s, at most %g", measured.primary, gap, low, high, max_gap
        )
        raise SystemExit(1)
    return record


def find(data: Any, by: str, count: int) -> np.ndarray:
    """Return what the validation rows are grouped by [N]: an array or a column of the data folder, or a .npy file."""
    if by.endswith(".npy"):
        values = np.load(by, allow_pickle=False)
    else:
        manifest, known = read_manifest(data.root), read_val(data.root)
        columns = [column["name"] for column in manifest.get("columns", ()) if isinstance(column, dict)]
        names = [name for name, array in known.items() if array.ndim == 1]
        if by not in names and by not in columns:
            raise ValueError(f"--by: got '{by}', want a .npy file or one of {', '.join([*names, *columns])}")
        values = known[by] if by in names else known["inputs"][:, columns.index(by)]
    if values.shape != (count,):
        raise ValueError(f"--by {by}: found {values.shape}, want one value for each of the {count} validation rows")
    return np.asarray(values)


def read_val(root: Path) -> dict[str, np.ndarray]:
    """Return the arrays of the validation split; the test split stays closed."""
    found = dict[str, np.ndarray]()
    for name in read_manifest(root)["files"]:
        if name.endswith(".npz") and not name.endswith("_test.npz"):
            found |= read_arrays(root, name)
        elif name.startswith("val_"):
            found[name.removesuffix(".npy")] = np.load(root / name, mmap_mode="r", allow_pickle=False)
    return {name.removeprefix("val_"): array for name, array in found.items() if name.startswith("val_")}


def name_groups(values: np.ndarray, labels: tuple[str, ...]) -> np.ndarray:
    """Return the name of each row's group [N], of values [N]; many different numbers become quarters of the rows."""
    if np.issubdtype(values.dtype, np.floating) and len(np.unique(values)) > MOST_VALUES:
        ends = np.quantile(values, np.linspace(0, 1, NUM_BINS + 1))
        place = np.searchsorted(ends[1:-1], values, side="right")
        return np.array([f"{ends[n]:.4g} to {ends[n + 1]:.4g}" for n in place.tolist()])
    return np.array([labels[int(value)] if labels else str(value) for value in values.tolist()])
