# copier: filter replace("my_project", package_name)
"""Statistics of seeds and folds are scipy's, hold the truth as often as they say, and see no difference in none."""

import math

import numpy as np
import pytest
from scipy import stats

from my_project.evaluation.statistics import (
    LEVEL,
    POWER,
    Difference,
    Interval,
    between_runs,
    holm,
    more_seeds,
    over_folds,
    over_runs,
)

DRAWS = 1000
DRAW = np.random.default_rng


def share_held(intervals: list[Interval], truth: float) -> float:
    return float(np.mean([one.low <= truth <= one.high for one in intervals if one.low and one.high]))


@pytest.mark.parametrize("seed", range(5))
def test_intervals_of_seeds_are_those_of_scipy(seed: int) -> None:
    values = DRAW(seed).normal(0.9, 0.01, 2 + seed).tolist()
    found, wanted = over_runs(values), stats.ttest_1samp(values, 0).confidence_interval(LEVEL)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), rel=1e-9)
    assert found.value == pytest.approx(np.mean(values))


@pytest.mark.parametrize("seed", range(5))
def test_differences_of_seeds_are_those_of_scipy(seed: int) -> None:
    first, second = DRAW(seed).normal(0, 1, 3 + seed), DRAW(seed + 9).normal(0, 3, 5)
    found, wanted = between_runs(first.tolist(), second.tolist()), stats.ttest_ind(second, first, equal_var=False)
    ends = wanted.confidence_interval(LEVEL)
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high), rel=1e-9)
    assert (found.value, found.p) == pytest.approx((second.mean() - first.mean(), wanted.pvalue), rel=1e-9)


def test_one_seed_has_no_interval() -> None:
    assert over_runs([0.9]) == Interval(value=0.9)
    assert between_runs([0.5], [0.75, 0.75]) == Difference(value=0.25)
    assert not between_runs([0.5], [0.75, 0.75]).claimed


def test_seeds_that_never_vary_claim_nothing() -> None:
    assert between_runs([0.5, 0.5], [0.5, 0.5]) == Difference(value=0)
    assert between_runs([0.5, 0.5], [0.75, 0.75]) == Difference(value=0.25)
    assert not between_runs([0.94] * 3, [0.95] * 3).claimed  # rounding is no variance
    assert over_runs([0.25] * 3) == Interval(value=0.25)
    assert over_folds([1.0] * 3, 1 / 3) == Interval(value=1)


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_claims_nothing(odd: float) -> None:
    for first, second in (([0.5, 0.6], [odd, 0.6]), ([odd, odd], [0.5, 0.6]), ([odd, 0.5], [odd, 0.6])):
        found = between_runs(first, second)
        assert (found.low, found.high, found.p, found.claimed) == (None, None, None, False)
    assert over_runs([odd, 0.5, 0.6]).low is None
    assert not Difference(value=odd, low=math.nan, high=math.nan, p=0.01).claimed


def test_the_same_method_with_few_answers_and_two_seeds_seldom_differs() -> None:
    shares = DRAW(0).binomial(100, 0.95, (DRAWS, 2, 2)) / 100
    assert np.mean([between_runs(*pair.tolist()).claimed for pair in shares]) <= 0.05


def test_intervals_of_seeds_hold_the_truth_as_often_as_they_say() -> None:
    values = DRAW(0).normal(0.9, 0.02, (DRAWS, 4))
    assert 0.93 <= share_held([over_runs(row.tolist()) for row in values], 0.9) <= 0.97


@pytest.mark.parametrize("seeds", [3, 5, 8])
def test_seeds_of_the_same_method_seldom_differ(seeds: int) -> None:
    sides = DRAW(seeds).normal(0.9, 0.02, (DRAWS, 2, seeds))
    assert np.mean([between_runs(*pair.tolist()).claimed for pair in sides]) <= 0.07


def test_folds_vary_more_than_seeds_because_they_share_rows() -> None:
    values, share = [0.80, 0.84, 0.83, 0.79, 0.85], 1 / 5
    found, error = over_folds(values, share), np.std(values, ddof=1) * (1 / 5 + 1 / 4) ** 0.5
    wanted = stats.t.interval(LEVEL, 4, np.mean(values), error)
    assert (found.low, found.high) == pytest.approx(wanted)


def test_corrected_probabilities_are_those_of_holm() -> None:
    # Holm (1979) worked through: 0.005 x 4, 0.01 x 3, 0.03 x 2, then never below the one before
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_the_seeds_that_are_named_show_the_difference_as_often_as_they_say() -> None:
    spread, size, seeds = 0.01, 0.012, 3
    more = more_seeds(spread, seeds, size)
    assert more
    shown = [power(spread, size, number) for number in (seeds + more - 2, seeds + more)]
    assert shown[0] < POWER <= shown[1] + 0.03
    assert shown[1] < POWER + 0.08


def power(spread: float, size: float, seeds: int) -> float:
    sides = DRAW(seeds).normal(0, spread, (2 * DRAWS, 2, seeds)) + np.array([[0], [size]])
    return float(np.mean([between_runs(*pair.tolist()).claimed for pair in sides]))


def test_no_number_of_seeds_shows_what_the_rows_hide() -> None:
    assert more_seeds(0.01, 3, 0.01, floor=1e-4) is None
    assert more_seeds(0.01, 3, 0.01) == 14
    assert more_seeds(0.01, 3, 0.1) == 0
    assert more_seeds(0, 3, 0.01) == 0
    assert more_seeds(0.01, 3, 1e9) == more_seeds(1e-12, 3, 1) == 0
    # copier: endfilter
