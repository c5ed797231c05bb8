"""How good a model is for each group of rows, by class, column or what a file says, and the gap between groups."""

import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..data.loader import DataConfig, Dataset, read_arrays, read_manifest
from ..data.resampled import Resampled
from .importance import MOST_SECONDS

MOST_VALUES, NUM_BINS, FEW = 10, 4, 20  # numbers with more values than that are cut into quarters; rows that say little
MOST_GROUPS, MOST_WAYS = 40, 12  # in the report: values of a way to group rows; ways

logger = logging.getLogger(__name__)


def measure_groups(figures: Any, model: nn.Module, data: Dataset, names: np.ndarray) -> dict[str, Any]:
    """Return a model's figures for the rows of each group, of names [N], and the gap between those of enough rows."""
    if hasattr(data, "searches"):
        raise ValueError("groups: rows of this data are measured against one another, not each by itself")
    found = dict[str, dict[str, Any]]()
    for name in sorted({*names.tolist()}):
        rows = torch.from_numpy(np.flatnonzero(names == name))
        measured = figures.measure(model, Resampled(data, rows))
        found[name] = {"rows": len(rows), **measured.metrics}
    values = {name: line[measured.primary] for name, line in found.items() if line["rows"] >= FEW}
    gap = max(values.values()) - min(values.values()) if values else 0.0
    return {"primary": measured.primary, "gap": gap, "few": FEW, "groups": found}


def ends(found: dict[str, Any]) -> tuple[str, str]:
    """Return the groups of enough rows with the least and the greatest primary figure."""
    values = {name: line[found["primary"]] for name, line in found["groups"].items() if line["rows"] >= found["few"]}
    return min(values, key=lambda name: values[name]), max(values, key=lambda name: values[name])


def measure_all(figures: Any, model: nn.Module, data: Dataset, config: DataConfig) -> list[dict[str, Any]]:
    """Return the figures of the groups of each way to group the validation rows, the largest gap first.

    Ways that come after most of the time a section may take are left out; each costs as much as an evaluation.
    """
    if hasattr(data, "searches"):
        return []
    found, started = list[dict[str, Any]](), time.perf_counter()
    for by, values in [*ways(config, len(data)).items()][:MOST_WAYS]:
        if found and time.perf_counter() - started > MOST_SECONDS:
            logger.info("report: groups by %s are left out, others took %.0f s or more", by, MOST_SECONDS)
            continue
        names = name_groups(values, getattr(config, "labels", ()) if by == "targets" else ())
        if 1 < len({*names.tolist()}) <= MOST_GROUPS:
            found.append({"by": by, **measure_groups(figures, model, data, names)})
    return sorted(found, key=lambda one: -one["gap"])


def ways(config: DataConfig, count: int) -> dict[str, np.ndarray]:
    """Return by name what the validation rows can be grouped by [N]: arrays and columns of the data folder."""
    if not isinstance(root := config.root, Path):  # rows that are made, not read
        return {}
    known, columns = read_val(root), read_manifest(root).get("columns", ())
    names = [column["name"] for column in columns if isinstance(column, dict)]
    found = {name: array for name, array in known.items() if array.ndim == 1}
    found |= {name: known["inputs"][:, place] for place, name in enumerate(names)}
    return {name: np.asarray(values) for name, values in found.items() if len(values) == count}


def find(data: DataConfig, by: str, count: int) -> np.ndarray:
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
    if labels:
        return np.array([labels[int(value)] for value in values.tolist()])
    if not np.issubdtype(values.dtype, np.number):
        return values.astype(str)
    known = values[np.isfinite(values)]
    if len(np.unique(known)) <= MOST_VALUES:
        return np.array(["missing" if value != value else str(value) for value in values.tolist()])  # noqa: PLR0124
    ends = np.quantile(known, np.linspace(0, 1, NUM_BINS + 1))
    place = np.searchsorted(ends[1:-1], values, side="right")
    names = name_spans(ends, sorted({*place.tolist()}))
    return np.where(np.isnan(values), "missing", np.array([names[n] for n in place.tolist()]))


def name_spans(ends: np.ndarray, used: list[int]) -> dict[int, str]:
    """Return the names of the spans between ends that are used, with more digits or a number where they are alike."""
    names = dict[int, str]()
    for digits in (4, 8):
        names = {n: f"{ends[n]:.{digits}g} to {ends[n + 1]:.{digits}g}" for n in used}
        if len({*names.values()}) == len(used):
            return names
    return {n: f"{n + 1}. of {NUM_BINS}: {name}" for n, name in names.items()}
