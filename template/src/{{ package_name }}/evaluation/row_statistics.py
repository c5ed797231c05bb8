"""What the rows of a split say: intervals of checkpoints and methods, and the difference of two on the same rows."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy  # its stats are loaded where they are used: that takes a second
from torch import Tensor

from .statistics import LEVEL, Difference, Interval, by_t, more_seeds, satterthwaite

Part = tuple[float, float]  # a variance, and its degrees of freedom
Array = np.ndarray[Any, np.dtype[np.float64]]
RESAMPLES, MOST_PIECES, FEW_PIECES = 9999, 500, 30  # draws; pieces to draw from, more are pooled; fewer: Student's t
BATCH = 500  # draws at once
MORE_ROWS = {
    1: (4, 2, 2),
    2: (2, 0, 1),
}  # by methods: rows that shares get besides, their sum, their squares


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What a checkpoint's primary figure is made of: sums over independent pieces of a split, most often its rows."""

    primary: str
    higher_is_better: bool
    totals: Array  # [N, K], of K parts that the figure is the mean of, mostly one
    counts: Array  # [N, K], such that a part is the sum of totals / the sum of counts
    truth: str  # SHA-256 of the right answers: where it is equal, pieces are the same
    share: bool = False  # a share of rows: shown in points of a hundred
    root: bool = False  # a part is the root of that

    @property
    def value(self) -> float:
        """The primary figure."""
        return float(figure(self.totals.sum(0), self.counts.sum(0), root=self.root))

    @property
    def counted(self) -> bool:
        """Whether each piece is one row, right or wrong."""
        whole = self.totals.shape[1] == 1 and not self.root and bool((self.counts == 1).all())
        return whole and bool(np.isin(self.totals, (0.0, 1.0)).all())

    @property
    def contributions(self) -> Array:
        """What each piece [N] adds to the figure, which is their mean: to first order, exactly for a mean of rows."""
        ratio = self.totals.sum(0) / self.counts.sum(0)  # [K]
        value = np.asarray(np.sqrt(ratio) if self.root else ratio)
        slope = 0.5 / np.where(value > 0, value, np.inf) if self.root else np.ones_like(value)
        return np.asarray((value + slope * (self.totals - ratio * self.counts) / self.counts.mean(0)).mean(1))


def figure(totals: Array, counts: Array, *, root: bool) -> Array:
    """Return the figures [...] of sums over pieces [..., K]."""
    parts = totals / counts
    return np.asarray((np.sqrt(parts) if root else parts).mean(-1))


def score_rows(totals: Tensor, truth: Tensor, *, counts: Tensor | None = None, **about: Any) -> Scores:
    """Return scores of totals [N] or [N, K], each of one row without counts of that shape; truth [...] says of what."""
    table = totals.double().cpu().reshape(len(totals), -1)
    sizes = table.new_ones(table.shape) if counts is None else counts.double().cpu().reshape(table.shape)
    some = (sizes > 0).any(1)  # a piece in which nothing was measured says nothing
    sha256 = hashlib.sha256(truth.cpu().contiguous().numpy().tobytes())
    if not some.any():
        raise ValueError("nothing was measured on this split: there are no rows to compare")
    return Scores(totals=table[some].numpy(), counts=sizes[some].numpy(), truth=sha256.hexdigest(), **about)


def add_up(scores: Scores, groups: np.ndarray) -> Scores:
    """Return scores of which the pieces are groups [N] of the former pieces: those of a group are not independent."""
    names, places = np.unique(groups, return_inverse=True)
    sums = [np.zeros((len(names), part.shape[1])) for part in (scores.totals, scores.counts)]
    for whole, part in zip(sums, (scores.totals, scores.counts), strict=True):
        np.add.at(whole, places, part)
    return replace(scores, totals=sums[0], counts=sums[1])


def over_rows(scores: Scores) -> Interval:
    """Return the figure of a checkpoint and where it would lie on other rows.

    Shares by Wilson (1927); others by the bootstrap (BCa: Efron 1987), from few pieces by Student's t.
    """
    value = scores.value
    if scores.counted:
        rows = scipy.stats.binomtest(int(scores.totals.sum()), len(scores.totals))
        ends = rows.proportion_ci(LEVEL, method="wilson")
        return Interval(value=value, low=float(ends.low), high=float(ends.high))
    if said := by_few(scores.contributions, value):
        return Interval(value=value, low=said.low, high=said.high)
    low, high = drawn_ends([scores], lambda figures: figures[0])
    return Interval(value=value, low=low, high=high)


def between_rows(first: Scores, second: Scores) -> Difference:
    """Return how far a checkpoint lies above another one, on the same rows.

    Of shares: the exact test of McNemar (1947), the interval of Agresti and Min (2005). Others: the bootstrap (BCa) and
    the test that changes signs (Fisher 1935); from few pieces the paired t.
    """
    value = second.value - first.value
    if first.counted and second.counted:
        return between_shares(value, second.totals - first.totals)
    change = second.contributions - first.contributions
    if not change.any():
        return Difference(value=value, p=1.0)
    if said := by_few(change, value):
        return said
    low, high = drawn_ends([first, second], lambda figures: figures[1] - figures[0])
    pooled = np.add.reduceat(change, pool(len(change)))
    signs = scipy.stats.permutation_test((pooled,), np.mean, permutation_type="samples", **draws())
    return Difference(value=value, low=low, high=high, p=float(signs.pvalue))


def between_shares(value: float, change: Array) -> Difference:
    """Return the difference of two shares from rows [N, 1] that are gained (1), lost (-1) or neither."""
    gained, lost, rows = int((change > 0).sum()), int((change < 0).sum()), len(change) + 2
    middle = (gained - lost) / rows  # with half a row more in each of the four cells
    error = ((gained + lost + 1) / rows - middle**2) ** 0.5 / rows**0.5
    low, high = scipy.stats.norm.interval(LEVEL, middle, error)
    p = float(scipy.stats.binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
    return Difference(value=value, low=float(low), high=float(high), p=p)


def by_few(change: Array, value: float) -> Difference | None:
    """Return what Student's t says of what each piece [N] adds to a figure, where they are too few to draw from."""
    if len(change) == 1 or not math.isfinite(value):
        return Difference(value=value)
    error = float(change.std(ddof=1)) / len(change) ** 0.5
    return by_t(value, error, len(change) - 1) if len(change) < FEW_PIECES or not error > 0 else None


def drawn_ends(sides: list[Scores], contrast: Callable[[list[Array]], Array]) -> tuple[float, float]:
    """Return the ends of the interval of a contrast of figures, from draws of pieces with replacement."""
    places = pool(len(sides[0].totals))
    tables = [(np.add.reduceat(s.totals, places), np.add.reduceat(s.counts, places), s.root) for s in sides]

    def drawn(index: Any, axis: int = -1) -> Array:  # numbers of pieces [..., N] -> [...]
        del axis  # the last
        return contrast([figure(t[index].sum(-2), c[index].sum(-2), root=root) for t, c, root in tables])

    found = scipy.stats.bootstrap((np.arange(len(places)),), drawn, confidence_level=level(len(places)), **draws())
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def level(count: int) -> float:
    """Return which level a bootstrap of so many pieces needs to keep LEVEL (Hesterberg 2015, expanded percentiles)."""
    reach = scipy.stats.t.isf((1 - LEVEL) / 2, count - 1) * (count / (count - 1)) ** 0.5
    return 1 - 2 * float(scipy.stats.norm.sf(reach))


def draws() -> dict[str, Any]:
    """Return how to draw: as often and in the same way every time."""
    return {"n_resamples": RESAMPLES, "batch": BATCH, "vectorized": True, "rng": np.random.default_rng(0)}


def pool(count: int) -> Any:
    """Return where pools of neighbouring pieces begin: as equal as can be, at most MOST_PIECES."""
    return np.unique(np.linspace(0, count, min(count, MOST_PIECES) + 1).astype(np.int64)[:-1])


def over_method(seeds: Sequence[Scores]) -> Interval:
    """Return the mean figure of a method's seeds and where it would lie with other seeds on other rows."""
    if len(seeds) == 1:
        return over_rows(seeds[0])
    found = crossed([table_of(seeds)], shares=all(seed.counted for seed in seeds))
    if not seeds[0].share or found.low is None or found.high is None:
        return Interval(value=found.value, low=found.low, high=found.high)
    return Interval(value=found.value, low=max(0.0, found.low), high=min(1.0, found.high))  # a share stays one


def between_methods(first: Sequence[Scores], second: Sequence[Scores]) -> Difference:
    """Return how far a method lies above another one, which other seeds on other rows would show as well.

    With one seed on a side nobody knows what another seed would do: then it speaks of these checkpoints.
    """
    if len(first) == len(second) == 1:
        return between_rows(first[0], second[0])
    shares = all(seed.counted for seed in (*first, *second))
    return crossed([-table_of(first), table_of(second)], shares=shares)


def table_of(seeds: Sequence[Scores]) -> Array:
    """Return what each row adds to the figure of each seed, [S, N]."""
    return np.stack([seed.contributions for seed in seeds])


def crossed(tables: Sequence[Array], *, shares: bool = False) -> Difference:
    """Return the sum of the means of tables [S, N]: methods, the one that is taken away with its sign changed.

    Seeds and rows are both drawn, and crossed: the variance is that of the seeds' figures, plus that of the rows'
    means, less that of what is left, which both hold: a two-way analysis of variance a method, with the degrees of
    freedom of Satterthwaite (1946), as of readers and cases in Hillis (2014, Statistics in Medicine 33:330).
    """
    value, num_rows = float(sum(table.mean() for table in tables)), tables[0].shape[1]
    if num_rows == 1:
        return Difference(value=value)
    rows, seeds, left = variances(tables, shares=shares)
    sizes, numbers = zip((rows, num_rows - 1), *seeds, *((-part, degrees) for part, degrees in left), strict=True)
    middle, _ = over_means(tables, shares=shares)
    found = by_t(middle, rows**0.5, num_rows - 1)
    if (whole := sum(sizes)) > rows:
        found = by_t(middle, whole**0.5, satterthwaite(sizes, numbers))
    return replace(found, value=value)


def over_means(tables: Sequence[Array], *, shares: bool) -> tuple[float, float]:
    """Return the sum of the means of methods [S, N], and its variance over rows.

    Shares get rows more, as many right as wrong: Agresti and Coull (1998) for one, Agresti and Min (2005) for two.
    """
    means = np.sum([table.mean(0) for table in tables], axis=0)  # [N]
    if not shares:
        return float(means.mean()), float(means.var(ddof=1)) / len(means)
    more, total, squares = MORE_ROWS[len(tables)]
    count = len(means) + more
    value = float(means.sum() + total) / count
    return value, (float(means @ means + squares) / count - value**2) / count


def variances(tables: Sequence[Array], *, shares: bool = False) -> tuple[float, list[Part], list[Part]]:
    """Return what a sum of methods [S, N] varies by: of rows; of seeds and of what is left, of each method.

    The last two come with their degrees of freedom; they are empty where a method has one seed only.
    """
    num_rows, seeds, left = tables[0].shape[1], list[Part](), list[Part]()
    for table in tables if min(map(len, tables)) > 1 else ():
        rest = table - table.mean(0) - table.mean(1, keepdims=True) + table.mean()
        degrees = (len(table) - 1) * (num_rows - 1)
        seeds.append((float(table.mean(1).var(ddof=1)) / len(table), len(table) - 1))
        left.append((float(np.square(rest).sum()) / degrees / rest.size, degrees))
    return over_means(tables, shares=shares)[1], seeds, left


def more_seeds_between(first: Sequence[Scores], second: Sequence[Scores], size: float) -> int | None:
    """Return how many more seeds a side would show a difference of `size`, as `statistics.more_seeds` does.

    None: no number of seeds would, on so few rows, or a side has one seed only.
    """
    tables = [-table_of(first), table_of(second)]
    if min(map(len, tables)) == 1 or tables[0].shape[1] == 1:
        return None
    rows, _, left = variances(tables, shares=all(seed.counted for seed in (*first, *second)))
    spread = float(np.mean([table.mean(1).var(ddof=1) for table in tables])) ** 0.5
    floor = max(0.0, rows - sum(part for part, _ in left))
    return more_seeds(spread, min(map(len, tables)), size, floor=floor, sure=tables[0].shape[1] - 1)
