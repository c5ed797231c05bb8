"""Whether a window of rows still looks like a reference: a test and a size for each column, corrected for their number.

Nothing here looks at a window to choose how it is tested: cells, axes and limits come from the reference alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy  # its stats are loaded where they are used: that takes a second

from .dependence import Array, copies

MARGIN = 1.5  # times what is usual, on top of a limit
NUM_CELLS = 10  # of the PSI, by the reference's quantiles
LEAST_EXPECTED = 5.0  # rows of a category in each sample, as chi-square wants them; rarer ones are one category


@dataclass(frozen=True, kw_only=True)
class Column:
    """What a reference knows of a number or a category that is watched."""

    name: str
    values: Array  # [N] rows; of a category its place among `labels`, behind them what is none of them; NaN: missing
    labels: tuple[str, ...] = ()  # of a category
    usual: float = 0.0  # PSI by which training and validation rows differ already

    @cached_property
    def present(self) -> Array:
        """The values [M] that are not missing, in order."""
        return np.sort(self.values[~np.isnan(self.values)])

    @cached_property
    def edges(self) -> Array:
        """The upper ends [K] of the cells of a number: just below all values, then quantiles to the greatest value."""
        if not len(self.present):
            return np.zeros(0)
        levels = np.linspace(0, 1, NUM_CELLS + 1)[1:]
        cuts = np.unique(np.quantile(self.present, levels, method="inverted_cdf"))
        return np.asarray(np.r_[np.nextafter(self.present.min(), -np.inf), cuts])

    @cached_property
    def counts(self) -> Array:
        """How many rows of the reference are in each cell [K]."""
        return self.count(self.values)

    def count(self, values: Array) -> Array:
        """Return how many of values [n] are in each cell [K]; the last one is for what is missing."""
        present = values[~np.isnan(values)]
        if self.labels:
            places = np.where((present >= 0) & (present < len(self.labels)), present, len(self.labels))
            cells = len(self.labels) + 1
        else:
            places, cells = np.searchsorted(self.edges, present), len(self.edges) + 1
        found = np.bincount(places.astype(np.int64), minlength=cells)
        return np.asarray(np.r_[found, len(values) - len(present)], dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a test says of one column, or of several: how surprising, and how large."""

    name: str
    p: float
    effect: float  # PSI or what is like it
    limit: float  # that the effect has to pass
    about: str  # in words, for a person
    adjusted: float = 1.0  # p after the correction for the number of tests
    drifted: bool = False


def judge(findings: Sequence[Finding], level: float) -> list[Finding]:
    """Return findings with p corrected by Holm (1979); drifted is what is both surprising and large.

    Holm holds the rate of windows that alert wrongly under `level` whatever the tests have in common, as neighbouring
    pixels have; each finding that it lets pass can be named. A large window finds what is small, hence the size too.
    """
    order = np.argsort([finding.p for finding in findings], kind="stable")
    adjusted, highest = np.ones(len(findings)), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, findings[place].p * (len(findings) - rank)))
        adjusted[place] = highest
    return [
        replace(f, adjusted=float(p), drifted=bool(p < level and f.effect > f.limit))
        for f, p in zip(findings, adjusted, strict=True)
    ]


def look(column: Column, name: str, window: Array, rows: float, limit: float) -> Finding:
    """Test a column's window [n], worth so many independent rows, by the test of its kind; the size is the PSI.

    Its limit is higher where validation rows are unlike training rows, as those of other groups or of a later time are.
    """
    limit += MARGIN * column.usual
    counts = column.count(window)
    p = min(1.0, spread(column, window, rows, counts))
    effect = psi(column.counts, counts, rows)
    return Finding(name=name, p=p, effect=effect, limit=limit, about=describe(column, window))


def spread(column: Column, window: Array, rows: float, counts: Array) -> float:
    """Return p of a column's window [n]: chi-square for categories, KS for numbers, Fisher's for what is missing."""
    scale, whole = rows / max(1, len(window)), len(column.values)
    if column.labels:
        return chi_square(column.counts, counts * scale)
    gone = np.round([column.counts[-1], counts[-1] * scale]).astype(int)
    p = kolmogorov_smirnov(column.present, window[~np.isnan(window)], (len(window) - counts[-1]) * scale)
    if not gone.any():
        return p
    table = np.array([[gone[0], whole - gone[0]], [gone[1], max(0, round(rows) - gone[1])]])
    return 2 * min(p, float(scipy.stats.fisher_exact(table).pvalue))  # Bonferroni over both


def kolmogorov_smirnov(reference: Array, window: Array, rows: float) -> float:
    """Return p that values [N], in order, and [n] are of one distribution, if the second are worth so many rows.

    It is Kolmogorov's limit, a little above what scipy's `ks_2samp` says, and an eighth of its time.
    """
    if not len(reference) or not len(window):
        return 1.0
    ordered = np.sort(window)
    both = np.concatenate([reference, ordered])
    below = [np.searchsorted(side, both, side="right") / len(side) for side in (reference, ordered)]
    distance = float(np.abs(below[0] - below[1]).max())
    return float(scipy.stats.kstwobign.sf(distance * (len(reference) * rows / (len(reference) + rows)) ** 0.5))


def chi_square(reference: Array, window: Array) -> float:
    """Return p that counts [K] and [K] are of one distribution (Pearson's test of homogeneity).

    Categories too rare for it, by the reference alone, are one, which Fisher's test compares to all others; unknown
    and missing ones are among them.
    """
    sizes = [side.sum() for side in (reference, window)]
    if not min(sizes) > 0:
        return 1.0
    rare = reference / sizes[0] < LEAST_EXPECTED / min(sizes)
    table = np.array([side[~rare] for side in (reference, window)])
    p = float(scipy.stats.chi2_contingency(table).pvalue) if table.shape[1] > 1 and table.sum(1).min() > 0 else 1.0
    few = np.array([side[rare].sum() for side in (reference, window)])
    if not few.any():
        return p
    return 2 * min(p, float(scipy.stats.fisher_exact(np.round([few, sizes - few]).astype(int)).pvalue))  # Bonferroni


def psi(reference: Array, window: Array, rows: float) -> float:
    """Return the population stability index of counts [K] and [K], less what chance alone adds to it.

    Chance adds (K - 1) (1/N + 1/n) on average (Yurdakul 2018), which for a small window is more than any limit.
    """
    cells = (reference + window) > 0
    old, new = ((side[cells] + 0.5) / (side.sum() + 0.5 * cells.sum()) for side in (reference, window))
    chance = (cells.sum() - 1) * (1 / max(1.0, reference.sum()) + 1 / max(1.0, rows))
    return max(0.0, float(((new - old) * np.log(new / old)).sum() - chance))


def hotelling(reference: Array, window: Array, rows: float, limit: float) -> Finding:
    """Test whether points [n, k] have the mean of points [N, k] (Hotelling 1931); the size is their squared distance.

    That distance is in standard deviations of the reference, less what chance adds: of two normal distributions it is
    the PSI, so that it has the same limit.
    """
    (size, num_axes), change = reference.shape, window.mean(0) - reference.mean(0)
    covariance = (reference - reference.mean(0)).T @ (reference - reference.mean(0)) / max(1, size - 1)
    distance = float(change @ np.linalg.solve(covariance, change))
    freedom = max(1, size - num_axes)  # the covariance is the reference's alone
    ratio = distance * size * rows / (size + rows) * freedom / (max(1, size - 1) * num_axes)
    effect = max(0.0, distance - num_axes * (1 / size + 1 / rows))
    about = f"the middle is {distance**0.5:.2g} standard deviations from the reference's"
    p = float(scipy.stats.f.sf(ratio, num_axes, freedom))
    return Finding(name="embedding, middle", p=p, effect=effect, limit=limit, about=about)


def worse(reference: Array, errors: Array, limit: float) -> Finding:
    """Test whether errors [n] are greater than errors [N] of the reference: right or wrong (0, 1), or sizes.

    Shares by Fisher's exact test, which knows that the reference's share is an estimate as well (the binomial test
    does not); sizes by Mann and Whitney's. The size is how many more are wrong, or of 100 pairs of rows how many more
    than 50 are worse now.
    """
    if np.isin(reference, (0.0, 1.0)).all() and np.isin(errors, (0.0, 1.0)).all():
        table = np.array([[side.sum(), (1 - side).sum()] for side in (errors, reference)]).astype(int)
        p = float(scipy.stats.fisher_exact(table, alternative="greater").pvalue)
        effect = errors.mean() - reference.mean()
        about = f"{100 * errors.mean():.3g} % of {len(errors)} are wrong, {100 * reference.mean():.3g} % were"
    else:
        test = scipy.stats.mannwhitneyu(errors, reference, alternative="greater")
        p, effect = float(test.pvalue), float(test.statistic) / (len(errors) * len(reference)) - 0.5
        about = f"the median error of {len(errors)} is {np.median(errors):.4g}, it was {np.median(reference):.4g}"
    return Finding(name="errors", p=p, effect=max(0.0, float(effect)), limit=limit, about=about)


def repeated(rows: Array, common: float, size: int, limit: float) -> Finding:
    """Test whether one of rows [n, C] is there more often than the reference's most frequent, a share of `size` rows.

    A sensor that is stuck sends one row again and again; so does a client that tries again.
    """
    counts = copies(rows)
    most, expected = float(counts.max()), (common * size + 1) / (size + 1)
    p = min(1.0, len(counts) * float(scipy.stats.binom.sf(most - 1, len(rows), expected)))
    share = most / len(rows)
    about = f"one row makes up {100 * share:.3g} % of the window, the most frequent one was {100 * common:.3g} %"
    return Finding(name="repeated rows", p=p, effect=max(0.0, share - common), limit=limit, about=about)


def describe(column: Column, window: Array) -> str:
    """Say what changed in a column's window [n]: the mean of a number, the category whose share moved most."""
    missing = f", {100 * np.isnan(window).mean():.3g} % missing" if np.isnan(window).any() else ""
    if column.labels:
        old, new = (side / max(1.0, side.sum()) for side in (column.counts, column.count(window)))
        place = int(np.abs(new - old).argmax())
        label = [*column.labels, "what the reference does not know", "missing"][place]
        return f"{label} is {100 * new[place]:.3g} % of the window, was {100 * old[place]:.3g} %"
    present = window[~np.isnan(window)]
    now = f"{present.mean():.4g}" if len(present) else "unknown"
    was = f"{column.present.mean():.4g}" if len(column.present) else "unknown"
    return f"on average {now}, was {was}{missing}"
