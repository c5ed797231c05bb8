"""What counts of short sequences predict of a text: the n-gram model that a language model has to beat."""

import numpy as np

Array = np.ndarray
MOST = 7  # bytes of a sequence: as many as an int64 holds


def codes(text: Array, length: int) -> Array:
    """Return a number for the `length` bytes that end at each place of a text [N], from the first that has so many."""
    found = np.zeros(len(text) - length + 1, np.int64)
    for start in range(length):
        found = found * 256 + text[start : len(text) - length + 1 + start]
    return found


def lookup(keys: Array, values: Array, wanted: Array) -> Array:
    """Return the values [N] of wanted keys [N] in sorted keys [M]; 0 for one that is not there."""
    places = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    found: Array = np.where(keys[places] == wanted, values[places], 0)
    return found


def surprise(train: Array, text: Array, order: int) -> Array:
    """Return how many bits each byte of a text [N] takes a model of sequences of up to `order` bytes [N].

    Counts are smoothed as by Kneser and Ney (1995), interpolated, with one discount for each length (Chen and
    Goodman 1999); below the single bytes, all are equally likely. The first places of the text have shorter sequences.
    """
    if not 1 <= order <= MOST:
        raise ValueError(f"order: got {order}, want 1 to {MOST}")
    chance = np.full(len(text), 1 / 256)
    for length in range(1, order + 1):
        counts = count(train, length, continued=length < order)
        chance[length - 1 :] = refine(chance[length - 1 :], codes(text, length), *counts)
    bits: Array = -np.log2(chance)
    return bits


def count(train: Array, length: int, *, continued: bool) -> tuple[Array, Array]:
    """Return the sequences of a text [M], sorted, and how often each stands there, or after how many other bytes."""
    if continued:
        return np.unique(np.unique(codes(train, length + 1)) % 256**length, return_counts=True)
    return np.unique(codes(train, length), return_counts=True)


def refine(shorter: Array, wanted: Array, keys: Array, counts: Array) -> Array:
    """Return the chance of each wanted sequence's last byte [N], from counts [M] and what shorter sequences say [N]."""
    _, once, twice = np.bincount(counts.clip(max=3), minlength=4)[:3]
    discount = (once + 1) / (once + 2 * twice + 2)  # Ney, Essen and Kneser (1994), and never 0
    heads, places = np.unique(keys // 256, return_inverse=True)
    totals, kinds = np.bincount(places, counts), np.bincount(places)
    total, kind = (lookup(heads, values, wanted // 256) for values in (totals, kinds))
    own = (lookup(keys, counts, wanted) - discount).clip(min=0)
    found: Array = np.where(total > 0, (own + discount * kind * shorter) / total.clip(min=1), shorter)
    return found
