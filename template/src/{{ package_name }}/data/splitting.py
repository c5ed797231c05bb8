"""Which rows train, validate and test: stratified by class, whole groups, or one after the other in time."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..types import Split
from .folders import SPLITS, Array

TINY = 1e-9  # what rounding makes of a share of rows that is whole
Rows = dict[Split, np.ndarray]  # numbers [N] of the rows of each split


def parse_ratios(text: str) -> tuple[float, ...]:
    """Read ratios; ValueError unless there are three above 0 that add up to 1.

    >>> parse_ratios("0.8/0.1/0.1")
    (0.8, 0.1, 0.1)
    """
    try:
        ratios = tuple(float(part) for part in text.split("/"))
    except ValueError:
        ratios = ()
    if len(ratios) != len(SPLITS) or min(ratios) <= 0 or not math.isclose(sum(ratios), 1, abs_tol=1e-6):
        wanted = "shares of train, val and test that add up to 1, as in 0.8/0.1/0.1"
        raise ValueError(f"--ratios: got {text}, want {wanted}")
    return ratios


def split_rows(count: int, ratios: Sequence[float], seed: int, *, classes: np.ndarray | None = None) -> Rows:
    """Draw splits of `count` rows; of each class [N] every split gets its share, rounded up or down.

    What rounding leaves over goes to the split that has the least of what is due to it over all classes so far.
    """
    draw, shares = np.random.default_rng(seed), np.asarray(ratios)
    labels = np.zeros(count, np.int64) if classes is None else np.unique(classes, return_inverse=True)[1]
    due, parts = np.zeros(len(shares)), [list[int]() for _ in shares]
    for label in range(labels.max(initial=-1) + 1):
        rows = draw.permutation(np.flatnonzero(labels == label))
        exact = shares * len(rows)
        sizes = np.floor(exact + TINY).astype(np.int64)
        due += exact - sizes
        for split in np.argsort(-np.where(exact - sizes > TINY, due, -np.inf))[: len(rows) - sizes.sum()]:
            sizes[split] += 1
            due[split] -= 1
        for part, own in zip(parts, np.split(rows, np.cumsum(sizes)[:-1]), strict=True):
            part.extend(own.tolist())
    return {split: draw.permutation(np.array(part, np.int64)) for split, part in zip(SPLITS, parts, strict=True)}


def split_groups(groups: np.ndarray, ratios: Sequence[float], seed: int, *, classes: np.ndarray | None = None) -> Rows:
    """Give whole groups [N] to splits, the largest first, each to where rows, of each class [N], are missing most."""
    draw, shares = np.random.default_rng(seed), np.asarray(ratios)
    labels = np.zeros(len(groups), np.int64) if classes is None else np.unique(classes, return_inverse=True)[1]
    names, of_row = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), labels.max(initial=0) + 1))  # rows by group and class
    np.add.at(counts, (of_row, labels), 1)
    total = counts.sum(0)
    order = draw.permutation(len(names))
    order = order[np.argsort(-counts[order].sum(1), kind="stable")]
    due = shares[:, None] * total  # [splits, classes]
    missing, chosen = due.copy(), np.zeros(len(names), np.int64)
    for group in order:
        change = ((missing - counts[group]) ** 2 - missing**2) / due.clip(min=1)
        chosen[group] = change.sum(1).argmin()  # where the squared distance to what is due falls most
        missing[chosen[group]] -= counts[group]
    rows = draw.permutation(len(groups))
    return {split: rows[chosen[of_row[rows]] == number] for number, split in enumerate(SPLITS)}


def split_times(times: np.ndarray, ratios: Sequence[float]) -> Rows:
    """Cut rows in the order of their times [N]; rows of one time stay together, so that splits share none."""
    order = np.argsort(times, kind="stable")
    ordered = times[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])  # where a new time begins
    cuts = [int(starts[np.abs(starts - share * len(times)).argmin()]) for share in np.cumsum(ratios)[:-1]]
    return dict(zip(SPLITS, np.split(order, cuts), strict=True))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How rows are to be split; `group` and `order` name arrays [N]."""

    ratios: tuple[float, ...]
    seed: int = 0
    group: str = ""
    order: str = ""
    classes: bool = False  # every split gets its share of each class

    def split(self, arrays: Mapping[str, Array], kept: np.ndarray) -> tuple[Rows, dict[str, Any]]:
        """Split the rows `kept` [N] of arrays; return with them what a manifest says of the split."""
        if self.order and (self.group or self.classes):
            raise ValueError("rows are split in the order of time, or by group and class, not both: leave one out")
        labels = arrays["targets"][kept] if self.classes else None
        said = "stratified by class" if self.classes else "at random"
        if self.order:
            said = "by time, train first"
            rows = split_times(arrays[self.order][kept], self.ratios)
        elif self.group:
            said = f"whole groups, {said}"
            rows = split_groups(arrays[self.group][kept], self.ratios, self.seed, classes=labels)
        else:
            rows = split_rows(len(kept), self.ratios, self.seed, classes=labels)
        entry = {"seed": None if self.order else self.seed, "method": said}
        shares = {"fractions": dict(zip(SPLITS, self.ratios, strict=True))}
        return {split: kept[own] for split, own in rows.items()}, {**entry, **shares}


def describe(arrays: Mapping[str, Array], rows: Rows, names: Sequence[str]) -> dict[str, Any]:
    """Return what the splits hold: rows and groups, and of each class how many."""
    found: dict[str, Any] = {"rows": {split: len(own) for split, own in rows.items()}}
    if "groups" in arrays:
        found["groups"] = {split: len(np.unique(arrays["groups"][own])) for split, own in rows.items()}
    if names:
        counts = {split: np.bincount(arrays["targets"][own], minlength=len(names)) for split, own in rows.items()}
        found["classes"] = {split: dict(zip(names, own.tolist(), strict=True)) for split, own in counts.items()}
    return found
