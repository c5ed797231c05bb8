"""How much rows that are not independent of each other say: copies, and rows that resemble those before them."""

from typing import Any

import numpy as np
import scipy  # its stats are loaded where they are used: that takes a second

Array = np.ndarray[Any, np.dtype[np.float64]]
BLOCK, LARGEST = 50, 0.99  # rows in which neighbours are compared; the most that these can have in common


def collisions(rows: Array) -> tuple[float, float]:
    """Return of rows [n, C] the share of pairs that are equal, and the share of the row that is most frequent."""
    counts, size = copies(rows), len(rows)
    return float((counts * (counts - 1)).sum() / max(1, size * (size - 1))), float(counts.max() / size)


def copies(rows: Array) -> Array:
    """Return how often each distinct row of rows [n, C] is there."""
    text = np.ascontiguousarray(np.nan_to_num(rows, nan=-1.5e300) + 0.0)  # -0.0 becomes 0.0
    keys = text.view(np.dtype((np.void, text.dtype.itemsize * text.shape[1])))
    return np.asarray(np.unique(keys, return_counts=True)[1], dtype=np.float64)


def worths(rows: Array, inputs: Array, pairs: float, *, ordered: bool) -> Array:
    """Return how many independent rows each column of rows [n, C] is worth, [C].

    Copies among the inputs [n, F], more than the reference's share of equal pairs makes likely, count by Kish's (1965)
    design effect; rows that came in order and resemble those just before them by what these leave of them, `memory`.
    """
    size = len(rows)
    counts = copies(inputs) if inputs.shape[1] else np.ones(size)
    copied = float((counts**2).sum()) / (size + size * (size - 1) * pairs)
    lasting = memory(rows) if ordered else np.ones(rows.shape[1])
    return np.asarray(size / np.maximum(max(1.0, copied), lasting))


def memory(rows: Array) -> Array:
    """Return how many rows of each column of rows [n, C] say as much as one independent row, 1 or more.

    That is (1 + r) / (1 - r) for the correlation r of neighbours, as of a first-order process (Bayley and Hammersley
    1946). It is taken within blocks, corrected for their length (Kendall 1954): a change that comes within the window
    and stays is not memory, and must not hide itself.
    """
    size, parts = len(rows), max(1, len(rows) // BLOCK)
    ranks = scipy.stats.rankdata(np.where(np.isnan(rows), -np.inf, rows), axis=0)
    centred = [block - block.mean(0) for block in np.array_split(ranks, parts)]
    whole = sum((block**2).sum(0) for block in centred)
    near = sum((block[1:] * block[:-1]).sum(0) for block in centred)
    found = near / np.where(whole > 0, whole, 1.0)
    found = np.where(whole > 0, found + (1 + 3 * found) * parts / size, 0.0)
    found = np.where(found > 2 / size**0.5, np.minimum(found, LARGEST), 0.0)  # less may be chance
    return np.asarray((1 + found) / (1 - found))
