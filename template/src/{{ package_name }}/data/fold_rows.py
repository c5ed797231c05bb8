"""Which rows each fold holds out: classes in equal shares, whole groups, or one stretch of time after the other."""

from typing import Literal

import numpy as np

By = Literal["stratified", "grouped", "temporal", "random"]


def stratified(targets: np.ndarray, num_folds: int, seed: int) -> np.ndarray:
    """Return the fold [N] of each row, of targets [N]: of every class, or of every K numbers in order, each its share.

    A class has in no fold more than one row more than in another, nor has any fold as a whole. Numbers are dealt in
    the order of their size, K neighbours to the K folds by lot.
    """
    draw, count = np.random.default_rng(seed), len(targets)
    order = draw.permutation(count)
    order = order[np.argsort(targets[order], kind="stable")]
    places = np.arange(count) % num_folds
    if np.issubdtype(targets.dtype, np.floating):
        places = draw.permuted(np.tile(np.arange(num_folds), (-(-count // num_folds), 1)), axis=1).flatten()[:count]
    folds = np.empty(count, np.int64)
    folds[order] = places
    return folds


def grouped(groups: np.ndarray, classes: np.ndarray, num_folds: int, seed: int) -> np.ndarray:
    """Return the fold [N] of each row: whole groups [N], the largest first, each to where rows of its classes miss."""
    draw = np.random.default_rng(seed)
    names, of_row = np.unique(groups, return_inverse=True)
    if len(names) < num_folds:
        raise ValueError(f"data.num_folds: got {num_folds}, but there are only {len(names)} groups")
    labels = np.unique(classes, return_inverse=True)[1]
    counts = np.zeros((len(names), labels.max() + 2))  # rows of each group by class, and all of them
    np.add.at(counts, (of_row, labels), 1)
    counts[:, -1] = counts[:, :-1].sum(1)
    order = draw.permutation(len(names))
    order = order[np.argsort(-counts[order, -1], kind="stable")]
    due, chosen = counts.sum(0) / num_folds, np.zeros(len(names), np.int64)
    held = np.zeros((num_folds, len(due)))
    for group in order:
        change = ((held + counts[group] - due) ** 2 - (held - due) ** 2) / due.clip(min=1)
        chosen[group] = change.sum(1).argmin()  # where the squared distance to what is due falls most
        held[chosen[group]] += counts[group]
    folds: np.ndarray = chosen[of_row]
    return folds


def temporal(times: np.ndarray, num_folds: int) -> np.ndarray:
    """Return the stretch [N] of each row, of times [N]: 0 only trains, fold k is stretch k and trains on all before.

    The stretches are as equal as can be; rows of one time stay together.
    """
    order = np.argsort(times, kind="stable")
    ordered = times[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])  # where a new time begins
    shares = np.arange(1, num_folds + 1) / (num_folds + 1)
    cuts = [int(starts[np.abs(starts - share * len(times)).argmin()]) for share in shares]
    if len({0, *cuts}) <= num_folds:
        raise ValueError(f"data.num_folds: got {num_folds}, but there are only {len(starts)} times, unevenly spread")
    folds = np.empty(len(times), np.int64)
    folds[order] = np.searchsorted(cuts, np.arange(len(times)), side="right")
    return folds


def choose(by: By, keys: np.ndarray, classes: np.ndarray, place: tuple[int, int], seed: int) -> dict[str, np.ndarray]:
    """Return the rows that train, that a fold holds out, 2 of 5 at place (2, 5), and that come later and do neither.

    `keys` [N] are what `by` goes by: targets, groups or times. Rows keep their order, those in time that of time.
    """
    fold, num_folds = place
    if len(keys) <= num_folds:
        raise ValueError(f"data.num_folds: got {num_folds}, want fewer than the {len(keys)} rows")
    if by == "temporal":
        stretch, order = temporal(keys, num_folds), np.argsort(keys, kind="stable")
        parts = {"train": stretch < fold, "val": stretch == fold, "later": stretch > fold}
        return {name: order[part[order]] for name, part in parts.items()}
    if by == "grouped":
        held = grouped(keys, classes, num_folds, seed) == fold - 1
    else:
        held = stratified(keys, num_folds, seed) == fold - 1
    return {"train": np.flatnonzero(~held), "val": np.flatnonzero(held), "later": np.arange(0)}
