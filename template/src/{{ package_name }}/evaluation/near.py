"""Rows that are nearly copies: numbers by their distance, texts by the strings that they share."""

import re
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import torch

Pair = tuple[float, int, int]  # how near (0: copies), the row of one split, the row of another

NEAR = 0.2  # numbers: nearer than this share of the usual distance to a tenth neighbour in train,
CHANCE = 0.001  # and so near that chance brings two rows together in one of a thousand folders like this
ALIKE = 0.6  # texts: more than this share of their strings of LENGTH bytes (or 3 tokens) in common (Jaccard)
EVEN = 1e-9  # growth of distances from which dimensions are without number
FIFTH, TENTH, MOST_ROWS, MOST_NEIGHBOURS, CHUNK = 5, 10, 20_000, 2_000, 512
LENGTH = {"bytes": 8, "tokens": 3}
BANDS, DEPTH = 32, 3  # of MinHash: texts with 0.6 in common meet in a band with probability 1 - (1 - 0.6^3)^32 > 0.999
READABLE, LETTERS = 0.95, 0.5  # bytes are a text that are so often no control characters, and so often small letters


def text_kind(inputs: np.ndarray) -> str:
    """Say what rows [N, ...] are: bytes of a text, tokens, or (an empty word) numbers."""
    if len(inputs.shape[1:]) != 1 or not np.issubdtype(inputs.dtype, np.integer):
        return ""
    if inputs.dtype != np.uint8:
        return "tokens"
    sample = inputs[:200].tobytes().replace(b"\0", b"")
    letters = len(re.findall(rb"[a-z \x80-\xff]", sample))
    signs = len(re.findall(rb"[^\x01-\x08\x0e-\x1f\x7f]", sample))
    return "bytes" if sample and signs > READABLE * len(sample) and letters > LETTERS * len(sample) else ""


def near_rows(rows: np.ndarray, train: np.ndarray) -> list[Pair]:
    """Return rows [M, ...] that are near copies of training rows [N, ...], the nearest first."""
    if not len(rows) or not len(train):
        return []
    kind = text_kind(train)
    return sorted(near_texts(rows, train, kind) if kind else near_numbers(rows, train))


def scaled(rows: np.ndarray, train: np.ndarray) -> torch.Tensor:
    """Return rows [M, F] from the mean of training rows and in their deviations; what is constant keeps its unit."""
    own = train.reshape(len(train), -1)
    deviation = own.std(0, dtype=np.float64)
    flat = (rows.reshape(len(rows), -1) - own.mean(0, dtype=np.float64)) / np.where(deviation > 0, deviation, 1)
    return torch.from_numpy(flat.astype(np.float32))


def neighbours(rows: torch.Tensor, others: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return distances [M, count] of rows [M, F] to their nearest of others [N, F], and which these are; in chunks."""
    found = [torch.cdist(part, others).topk(min(count, len(others)), largest=False) for part in rows.split(CHUNK)]
    place = torch.cat([part.indices for part in found])
    exact = [(rows - others[of]).norm(dim=1) for of in place.unbind(1)]  # cdist rounds small ones
    return torch.stack(exact, dim=1), place


def near_numbers(rows: np.ndarray, train: np.ndarray) -> Iterator[Pair]:
    """Compare each row's distance to its nearest training row with distances between training rows."""
    those = scaled(train, train)
    own, _ = neighbours(those[:MOST_NEIGHBOURS], those, TENTH + 1)  # each row's nearest is the row itself
    usual = float(own[:, -1].median())
    distance, place = neighbours(scaled(rows, train), those, 1)
    for row in (distance[:, 0] < limit(own, len(rows)) * usual).nonzero().flatten().tolist():
        yield float(distance[row, 0]) / usual, row, int(place[row, 0])


def limit(own: torch.Tensor, count: int) -> float:
    """Return how near is too near for one of `count` rows, of training rows' distances to their neighbours [M, 11].

    Where rows fill d dimensions evenly, a share 9 x^d has a neighbour at x times the distance of the tenth. That d,
    which may be far below the numbers in a row, follows from how distances grow: the mean of d log(d10 / d5) is
    1/5 + ... + 1/9 (as in Levina and Bickel 2004, equation 8).
    """
    several = own[own[:, min(FIFTH, own.shape[1] - 1)] > 0]
    if own.shape[1] <= TENTH or not len(several):
        return 0.0  # too few rows to say what is usual
    growth = float((several[:, TENTH] / several[:, FIFTH]).log().mean())
    dim = sum(1 / n for n in range(FIFTH, TENTH)) / max(growth, EVEN)
    return float(min(NEAR, (CHANCE / ((TENTH - 1) * count)) ** (1 / dim)))


def shingles(row: np.ndarray, length: int) -> np.ndarray:
    """Return a number [S] for each different string of `length` symbols in a row [L]; zeros at its end fill it up."""
    symbols = row[: int(np.flatnonzero(row)[-1]) + 1 if row.any() else 0].astype(np.uint64)
    if len(symbols) < length:
        return symbols[:0]
    windows = np.lib.stride_tricks.sliding_window_view(symbols, length)
    powers = np.cumprod(np.full(length, 0x100000001B3, np.uint64))
    return np.unique((windows * powers).sum(1, dtype=np.uint64))


def signature(strings: np.ndarray, factors: np.ndarray) -> list[bytes]:
    """Return the keys of a set of strings [S], one a band: sets meet there as often as they are alike (Broder 1997)."""
    mixed = (strings[:, None] ^ (strings[:, None] >> np.uint64(29))) * factors  # [S, BANDS * DEPTH]
    return [band.tobytes() for band in (mixed ^ (mixed >> np.uint64(32))).min(0).reshape(BANDS, DEPTH)]


def near_texts(rows: np.ndarray, train: np.ndarray, kind: str) -> Iterator[Pair]:
    """Compare only texts that meet in a band of MinHash; what counts is the share of strings that both have."""
    draw = np.random.default_rng(0)
    factors = draw.integers(1, 2**63, BANDS * DEPTH, np.uint64) * np.uint64(2) + np.uint64(1)
    those = [shingles(row, LENGTH[kind]) for row in train]
    buckets = defaultdict[tuple[int, bytes], list[int]](list)
    for place, strings in enumerate(those):
        for band, key in enumerate(signature(strings, factors) if len(strings) else ()):
            buckets[band, key].append(place)
    for row, symbols in enumerate(rows):
        strings = shingles(symbols, LENGTH[kind])
        keys = enumerate(signature(strings, factors)) if len(strings) else ()
        met = {place for key in keys for place in buckets.get(key, ())}
        alike = {place: share(strings, those[place]) for place in met}
        best = max(alike, key=lambda place: alike[place], default=None)
        if best is not None and alike[best] > ALIKE:
            yield 1 - alike[best], row, best


def share(one: np.ndarray, other: np.ndarray) -> float:
    """Return what part of two sets of strings [S] both have (Jaccard)."""
    both = len(np.intersect1d(one, other, assume_unique=True))
    return both / (len(one) + len(other) - both)
