"""How rows are shared out over classes and groups, in every split and between them, with limits."""

import logging
from argparse import ArgumentParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..config import load
from ..data.folders import Arrays, read_folder
from .data_split import class_names

HELP = "count the rows of classes and groups; exit 1 where a limit is broken"
NUM_BINS = 4  # of targets that are numbers: quarters of the training rows

logger = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> bool:
    """Say what the command takes; it does not take the options of a run."""
    parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER", help="a data folder (the package's own)")
    parser.add_argument("--max-ratio", type=float, default=10, metavar="X", help="largest class to smallest (10)")
    parser.add_argument("--min-rows", type=int, default=5, metavar="N", help="rows of a class in each split (5)")
    parser.add_argument("--max-shift", type=float, default=0.1, metavar="X", help="part that a split would move (0.1)")
    parser.add_argument("--max-group", type=float, default=0.5, metavar="X", help="part of the rows in one group (0.5)")
    return False


def main(folder: Path | None, *, max_ratio: float, min_rows: int, max_shift: float, max_group: float) -> dict[str, Any]:
    """Report the shares of classes and groups; SystemExit(1) after a line for each limit that is broken."""
    manifest, splits = read_folder(folder := folder or load().data.root)
    figures: dict[str, Any] = {"folder": str(folder), "rows": manifest["rows"]}
    lines = list[str]()
    if "targets" in manifest["arrays"]:
        names, counts = count_targets(splits, class_names(manifest))
        figures |= {"classes": {split: dict(zip(names, own.tolist(), strict=True)) for split, own in counts.items()}}
        figures |= {
            "ratio": ratio(counts["train"]),
            "shift": {s: shift(counts["train"], own) for s, own in counts.items()},
        }
        lines += over(names, counts, max_ratio, min_rows, max_shift)
    if "groups" in manifest["arrays"]:
        figures["groups"] = {split: largest_group(arrays) for split, arrays in splits.items()}
        wording = "group {group} has {share:.2f} of the {split} rows, at most {most}"
        big = {split: found for split, found in figures["groups"].items() if found["share"] > max_group}
        lines += [wording.format(split=split, most=max_group, **found) for split, found in big.items()]
    for line in lines:
        logger.error("data balance: %s", line)
    if lines:
        raise SystemExit(1)
    return figures


def count_targets(splits: dict[Any, Arrays], names: list[str]) -> tuple[list[str], dict[str, np.ndarray]]:
    """Return how many rows [C] each class has in each split; numbers are counted by quarters of the training rows."""
    targets = {split: arrays["targets"][:].reshape(-1) for split, arrays in splits.items()}
    if not names:
        ends = np.quantile(targets["train"], np.linspace(0, 1, NUM_BINS + 1)[1:-1])
        names = [f"{low:.4g} to {high:.4g}" for low, high in pairwise([-np.inf, *ends, np.inf])]
        targets = {split: np.searchsorted(ends, values) for split, values in targets.items()}
    return names, {split: np.bincount(own.astype(np.int64), minlength=len(names)) for split, own in targets.items()}


def ratio(counts: np.ndarray) -> float:
    """Return how many times the rows [C] of the smallest class the largest has."""
    return float(counts.max() / max(1, counts.min()))


def shift(train: np.ndarray, other: np.ndarray) -> float:
    """Return which part of a split's rows, by counts [C], would have to change class to have train's shares."""
    return float(np.abs(train / max(1, train.sum()) - other / max(1, other.sum())).sum() / 2)


def over(
    names: list[str], counts: dict[str, np.ndarray], max_ratio: float, min_rows: int, max_shift: float
) -> list[str]:
    """Return a line for each limit on the classes that is broken."""
    train, lines = counts["train"], list[str]()
    if ratio(train) > max_ratio:
        most, least = names[int(train.argmax())], names[int(train.argmin())]
        lines.append(
            f"train has {train.max()} rows of {most} and {train.min()} of {least}: more than {max_ratio:g} to 1"
        )
    few = [(split, names[c], own[c]) for split, own in counts.items() for c in np.flatnonzero(own < min_rows)]
    lines += [f"{split} has {count} rows of {name}, want {min_rows}" for split, name, count in few]
    far = {split: shift(train, own) for split, own in counts.items()}
    lines += [
        f"{s}: the shares of classes are {x:.2f} away from train, at most {max_shift:g}"
        for s, x in far.items()
        if x > max_shift
    ]
    return lines


def largest_group(arrays: Arrays) -> dict[str, Any]:
    """Return how many groups a split has, and which has the largest part of its rows."""
    names, counts = np.unique(arrays["groups"][:], return_counts=True)
    return {"count": len(names), "group": names[counts.argmax()].item(), "share": float(counts.max() / counts.sum())}
