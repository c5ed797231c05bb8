"""What several runs say: intervals over seeds and folds, the difference of two methods, seeds that would show one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # its stats are loaded where they are used: that takes a second

LEVEL, POWER, MOST_SEEDS = 0.95, 0.8, 1000  # of intervals; chance to show a difference that is there; seeds a side
ROUNDED = 1e-12  # of a figure: an error below that is what rounding leaves of none
SURE = 50.0  # standard errors from which on scipy's non-central t is no number, and nothing is in doubt


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A figure and the ends of its interval at LEVEL; None where one value alone says nothing of its spread."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Difference(Interval):
    """How far the second lies above the first, and how often that much would be seen (p) if they were alike."""

    p: float | None = None

    @property
    def claimed(self) -> bool:
        """Whether a difference can be claimed: p is below 1 - LEVEL, and the interval does not hold 0."""
        if self.p is None or self.low is None or self.high is None:
            return False
        return self.p < 1 - LEVEL and (self.low > 0 or self.high < 0)


def by_t(value: float, error: float, degrees: float) -> Difference:
    """Return a figure with its interval and its p, from its standard error and the degrees of freedom of that.

    A figure that never varied has neither, nor has one that is no number: what chance can do was not seen.
    """
    if not error > ROUNDED * abs(value) or not math.isfinite(value):
        return Difference(value=value)
    low, high = scipy.stats.t.interval(LEVEL, degrees, value, error)
    return Difference(
        value=value, low=float(low), high=float(high), p=2 * float(scipy.stats.t.sf(abs(value) / error, degrees))
    )


def over_runs(values: Sequence[float]) -> Interval:
    """Return the mean of seeds [S] and Student's (1908) interval of it; one seed has none, nor have equal ones."""
    return over_folds(values, 0.0)


def over_folds(values: Sequence[float], held_out_share: float) -> Interval:
    """Return the mean of folds [K] and the interval by the corrected t of Nadeau and Bengio (2003, equation 13).

    Folds share training rows, so their mean varies more than 1/K says: by 1/K + held out rows / training rows.
    `held_out_share` is that of all rows which a fold holds out: 1/K in a cross-validation.
    """
    mean, count = float(np.mean(values)), len(values)
    if count == 1 or not vary(values):
        return Interval(value=mean)
    factor = 1 / count + held_out_share / (1 - held_out_share)
    found = by_t(mean, float(np.sqrt(factor * np.var(values, ddof=1))), count - 1)
    return Interval(value=mean, low=found.low, high=found.high)


def between_runs(first: Sequence[float], second: Sequence[float]) -> Difference:
    """Return how far the seeds [S2] of a method lie above those [S1] of another, by Welch's (1947) t.

    It asks whether other seeds would show the same on the same rows; `row_statistics.between_methods` asks for other
    rows as well. Without two seeds a side there is no interval and no p; nor where the seeds of no side vary.
    """
    value = float(np.mean(second) - np.mean(first))
    if min(len(first), len(second)) == 1 or not vary([*first, *second]) or not (vary(first) or vary(second)):
        return Difference(value=value)
    parts = [float(np.var(side, ddof=1)) / len(side) for side in (first, second)]
    return by_t(value, sum(parts) ** 0.5, satterthwaite(parts, [len(first) - 1, len(second) - 1]))


def vary(values: Sequence[float]) -> bool:
    """Whether all values are numbers, and not one and the same."""
    return bool(np.isfinite(values).all()) and max(values) > min(values)


def satterthwaite(parts: Sequence[float], degrees: Sequence[float]) -> float:
    """Return the degrees of freedom of a sum of variances, some taken away (Satterthwaite 1946, equation 17)."""
    spread = sum(part**2 / number for part, number in zip(parts, degrees, strict=True))
    return sum(parts) ** 2 / spread if spread else float(sum(degrees))


def holm(probabilities: Sequence[float]) -> list[float]:
    """Return p of several comparisons such that one false claim among them all is no likelier than p (Holm 1979).

    >>> holm([0.03, 0.01, 0.2])
    [0.06, 0.03, 0.2]
    """
    found, least = list(probabilities), 0.0
    for place, number in enumerate(np.argsort(probabilities).tolist()):
        least = max(least, min(1.0, (len(found) - place) * probabilities[number]))
        found[number] = least
    return found


def more_seeds(spread: float, seeds: int, size: float, *, floor: float = 0.0, sure: float = math.inf) -> int | None:
    """Return how many seeds more than `seeds` a side show a difference of `size` with a chance of POWER, or None.

    `spread` is the standard deviation of a method's seeds, `floor` the variance of the difference that stays however
    many they are (the choice of rows), known with `sure` degrees of freedom: where it is too large, no number of seeds
    is enough. By the non-central t.
    """
    counts = np.arange(2, MOST_SEEDS + 1)
    varying = 2 * spread**2 / counts
    if not spread**2 + floor > 0:
        return 0
    doubt = varying**2 / (2 * (counts - 1)) + floor**2 / sure
    degrees = np.maximum((varying + floor) ** 2 / np.maximum(doubt, 1e-300), 1)
    bar = scipy.stats.t.isf((1 - LEVEL) / 2, degrees)
    away = np.minimum(abs(size) / np.sqrt(varying + floor), SURE)
    enough = counts[scipy.stats.nct.sf(bar, degrees, away) >= POWER]
    return max(0, int(enough[0]) - seeds) if len(enough) else None
