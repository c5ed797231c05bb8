# copier: filter replace("my_project", package_name)
"""Statistics of rows are scipy's, hold the truth as often as they say, and see no difference where there is none."""

import numpy as np
import pytest
import torch
from scipy import stats

from my_project.evaluation import row_statistics
from my_project.evaluation.row_statistics import (
    Scores,
    add_up,
    between_methods,
    between_rows,
    crossed,
    more_seeds_between,
    over_method,
    over_rows,
    score_rows,
    variances,
)
from my_project.evaluation.statistics import (
    LEVEL,
    POWER,
    Interval,
    between_runs,
    more_seeds,
)

DRAWS = 1000
DRAW = np.random.default_rng
TRUTH = torch.zeros(1)


def scores(totals: np.ndarray, counts: np.ndarray | None = None, *, root: bool = False) -> Scores:
    sizes = None if counts is None else torch.from_numpy(counts)
    about = {"primary": "error", "higher_is_better": False, "root": root}
    return score_rows(torch.from_numpy(totals), TRUTH, counts=sizes, **about)


def held(one: Interval, truth: float) -> bool:
    assert one.low is not None
    assert one.high is not None
    return one.low <= truth <= one.high


def answers(draw: np.random.Generator, seeds: int, rows: int, of_seeds: float) -> np.ndarray:
    """Values [2, S, N] of two methods on the same rows: of a row, of row and method, of a seed, and of chance."""
    row, own = draw.normal(0, 1, rows), draw.normal(0, 0.5, (2, 1, rows))
    return row + own + draw.normal(0, of_seeds, (2, seeds, 1)) + draw.normal(0, 0.7, (2, seeds, rows))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_statistics, "RESAMPLES", 499)


# --- equal to scipy


@pytest.mark.parametrize("seed", range(3))
def test_the_interval_of_a_share_is_that_of_wilson(seed: int) -> None:
    rows = (DRAW(seed).random(50) < 0.9).astype(float)
    wanted = stats.binomtest(int(rows.sum()), 50).proportion_ci(LEVEL, method="wilson")
    found = over_rows(scores(rows))
    assert (found.value, found.low, found.high) == pytest.approx((rows.mean(), wanted.low, wanted.high))


def test_the_interval_of_a_mean_is_scipys_bootstrap() -> None:
    rows = DRAW(0).exponential(1, 80)
    reach = stats.t.isf(0.025, 79) * (80 / 79) ** 0.5  # of Student's t, where the bootstrap takes the normal's
    level = 1 - 2 * float(stats.norm.sf(reach))
    wanted = stats.bootstrap((rows,), np.mean, confidence_level=level, n_resamples=9999, rng=DRAW(0))
    found = over_rows(scores(rows))
    assert (found.low, found.high) == pytest.approx(tuple(wanted.confidence_interval), rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_few_pieces_are_compared_by_scipys_paired_t(seed: int) -> None:
    first, second = DRAW(seed).normal(0, 1, (2, 12))
    found, wanted = between_rows(scores(first), scores(second)), stats.ttest_rel(second, first)
    ends = wanted.confidence_interval(LEVEL)
    assert (found.low, found.high, found.p) == pytest.approx((ends.low, ends.high, wanted.pvalue))


def test_right_and_wrong_are_compared_by_scipys_exact_test() -> None:
    first, second = np.array([1.0] * 40 + [0.0] * 12), np.array([0.0] * 3 + [1.0] * 49)
    found = between_rows(scores(first), scores(second))
    assert found.p == pytest.approx(stats.binomtest(12, 15).pvalue)
    assert found.value == pytest.approx(9 / 52)


def test_many_pieces_are_compared_by_scipys_change_of_signs() -> None:
    first, second = DRAW(1).normal(0, 1, (2, 60))
    found = between_rows(scores(first), scores(second))
    change = (second - first,)
    wanted = stats.permutation_test(change, np.mean, permutation_type="samples", n_resamples=9999, rng=DRAW(0))
    assert found.p == pytest.approx(wanted.pvalue, abs=0.01)


def test_seeds_without_rows_of_their_own_are_compared_by_welch() -> None:
    """Where all rows of a seed are alike, rows say nothing and the crossed design is that of seeds alone."""
    first, second = DRAW(0).normal(0, 1, 4), DRAW(1).normal(0, 1, 5)
    sides = [[scores(np.full(20, value)) for value in side] for side in (first, second)]
    found, wanted = between_methods(*sides), between_runs(first.tolist(), second.tolist())
    assert (found.low, found.high, found.p) == pytest.approx((wanted.low, wanted.high, wanted.p))


# --- figures


def test_contributions_have_the_figure_for_their_mean() -> None:
    totals, counts = DRAW(0).random((2, 40, 3)) + 0.1
    for root in (False, True):
        one = scores(totals, counts, root=root)
        parts = totals.sum(0) / counts.sum(0)
        assert one.value == pytest.approx((parts**0.5 if root else parts).mean())
        assert one.contributions.mean() == pytest.approx(one.value)


def test_what_a_piece_adds_is_what_the_figure_loses_without_it() -> None:
    totals, counts = DRAW(0).random((2, 400)) + 0.5
    one = scores(totals, counts, root=True)
    without = scores(totals[1:], counts[1:], root=True)
    assert 400 * (one.value - without.value) == pytest.approx(one.contributions[0] - one.value, abs=0.003)


def test_pieces_in_which_nothing_was_measured_are_left_out() -> None:
    one = scores(np.array([1.0, 0.0, 2.0]), np.array([2.0, 0.0, 2.0]))
    assert one.totals[:, 0].tolist() == [1, 2]
    with pytest.raises(ValueError, match="nothing was measured"):
        scores(np.zeros(3), np.zeros(3))


def test_pieces_that_depend_on_one_another_are_one() -> None:
    rows, groups = DRAW(0).random(6), np.array([7, 3, 7, 7, 3, 5])
    found = add_up(scores(rows), groups)
    assert found.totals[:, 0] == pytest.approx([rows[1] + rows[4], rows[5], rows[0] + rows[2] + rows[3]])
    assert found.counts[:, 0].tolist() == [2, 1, 3]
    assert found.value == pytest.approx(rows.mean())
    assert not add_up(scores(np.ones(6)), groups).counted


@pytest.mark.usefixtures("quick")
def test_intervals_of_rows_in_groups_hold_the_truth_as_often_as_they_say() -> None:
    draw, groups = DRAW(5), np.arange(200) // 5
    tables = draw.normal(0, 1, (300, 40)).repeat(5, 1) + draw.normal(0, 0.5, (300, 200))
    found = [[held(over_rows(one), 0) for one in (scores(t), add_up(scores(t), groups))] for t in tables]
    alone, together = np.mean(found, 0)
    assert alone < 0.8
    assert 0.92 <= together <= 0.98


def test_one_piece_says_nothing_of_others() -> None:
    one, two = scores(np.array([2.0])), scores(np.array([3.0]))
    assert over_rows(one) == Interval(value=2)
    assert between_rows(one, two).p is None
    assert between_methods([one, one], [two, two]).p is None


def test_the_same_checkpoint_is_not_different_from_itself() -> None:
    for rows in (np.ones(50), np.arange(50.0), np.arange(5.0)):
        found = between_rows(scores(rows), scores(rows))
        assert (found.value, found.p, found.claimed) == (0, 1, False)


# --- simulations: 1,000 draws each


@pytest.mark.usefixtures("quick")
def test_intervals_of_one_checkpoint_hold_the_truth_as_often_as_they_say() -> None:
    draw = DRAW(0)
    means = [held(over_rows(scores(rows)), 0) for rows in draw.normal(0, 1, (DRAWS, 40))]
    shares = [held(over_rows(scores(rows)), 0.8) for rows in (draw.random((DRAWS, 100)) < 0.8).astype(float)]
    roots = [held(over_rows(scores(rows**2, root=True)), 1) for rows in draw.normal(0, 1, (DRAWS, 120))]
    for name, found in {"means": means, "shares": shares, "roots": roots}.items():
        assert 0.93 <= np.mean(found) <= 0.97, name


@pytest.mark.usefixtures("quick")
def test_intervals_of_the_difference_of_two_checkpoints_hold_the_truth_as_often_as_they_say() -> None:
    draw, found = DRAW(1), dict[str, list[bool]](means=[], few=[], shares=[])
    for _ in range(DRAWS):
        first, second = draw.normal(0, 1, 40) + draw.normal(0, 0.5, (2, 40))
        found["means"].append(held(between_rows(scores(first), scores(second + 0.3)), 0.3))
        found["few"].append(held(between_rows(scores(first[:8]), scores(second[:8])), 0))
        hard, luck = draw.random(200), draw.random((2, 200))
        right = [((hard + luck[0]) > 0.6).astype(float), ((hard + luck[1]) > 0.4).astype(float)]
        found["shares"].append(held(between_rows(scores(right[0]), scores(right[1])), 0.18 - 0.08))
    for name, each in found.items():
        assert 0.93 <= np.mean(each) <= 0.97, name


def test_methods_are_compared_by_what_each_row_adds() -> None:
    tables = answers(DRAW(0), 3, 40, 0.1)
    first, second = ([scores(seed) for seed in side] for side in tables)
    assert between_methods(first, second) == crossed([-tables[0], tables[1]])
    assert held(over_method(first), crossed([tables[0]]).value)


@pytest.mark.parametrize("of_seeds", [0.0, 0.05, 0.2])
def test_intervals_of_methods_hold_the_truth_as_often_as_they_say(of_seeds: float) -> None:
    draw, method, difference = DRAW(2), list[bool](), list[bool]()
    for _ in range(DRAWS):
        first, second = answers(draw, 5, 100, of_seeds)
        method.append(held(crossed([first]), 0))
        difference.append(held(crossed([-first, second + 0.2]), 0.2))
    assert 0.93 <= np.mean(method) <= 0.97
    assert 0.93 <= np.mean(difference) <= 0.97


@pytest.mark.parametrize("binary", [False, True], ids=["numbers", "right or wrong"])
@pytest.mark.parametrize("of_seeds", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("seeds", [3, 5, 8])
def test_seeds_of_the_same_method_seldom_differ(seeds: int, of_seeds: float, *, binary: bool) -> None:
    draw, claims = DRAW(seeds), list[bool]()
    for _ in range(DRAWS):
        values = answers(draw, seeds, 80, of_seeds)
        first, second = (values > -1).astype(float) if binary else values
        claims.append(crossed([-first, second]).claimed)
    assert np.mean(claims) <= 0.07


def shares(draw: np.random.Generator, seeds: int, rows: int, share: float, of_rows: float) -> list[list[Scores]]:
    """Right and wrong [2, S, N] of two methods of the same share, as rows that are hard for all make them."""
    bar = stats.norm.ppf(share) * (1 + of_rows**2) ** 0.5
    tables = (draw.normal(0, of_rows, rows) + draw.normal(0, 1, (2, seeds, rows)) < bar).astype(float)
    return [[scores(seed) for seed in side] for side in tables]


@pytest.mark.parametrize("share", [0.02, 0.9, 0.98])
def test_intervals_of_shares_near_none_and_all_hold_the_truth_as_often_as_they_say(share: float) -> None:
    draw, found = DRAW(6), list[list[bool]]()
    for of_rows in (0.0, 2.0):
        for _ in range(150):
            first, second = shares(draw, 3, 20, share, of_rows)
            difference = between_methods(first, second)
            found.append([held(over_method(first), share), held(difference, 0), not difference.claimed])
    assert (np.mean(found, 0) >= 0.93).all()


def test_seeds_that_answer_all_rows_rightly_say_no_more_than_one() -> None:
    right, wrong = ([scores(np.full(20, share))] * 3 for share in (1.0, 0.0))
    assert over_method(right).value == 1
    assert held(over_method(right), 0.85)
    assert held(over_method(wrong), 0.15)
    same, other = between_methods(right, right), between_methods(wrong, right)
    assert held(same, 0.05)
    assert (same.value, same.p, other.value, other.claimed) == (0, 1, 1, True)
    assert more_seeds_between(right, right, 0.01) is None


def test_what_is_left_is_not_counted_twice() -> None:
    """The variance that is estimated is on average that of the difference over draws."""
    draw, found, errors = DRAW(3), list[float](), list[float]()
    for _ in range(DRAWS):
        first, second = answers(draw, 4, 50, 0.1)
        rows, seeds, left = variances([-first, second])
        errors.append(rows + sum(part for part, _ in seeds) - sum(part for part, _ in left))
        found.append(crossed([-first, second]).value)
    assert np.mean(errors) == pytest.approx(np.var(found), rel=0.1)


@pytest.mark.parametrize("rows", [6, 40])
def test_seeds_that_would_show_a_difference_are_as_sure_as_their_rows(rows: int) -> None:
    """The least size that five seeds show is shown in POWER of draws, however few the rows are."""
    draw, sizes = DRAW(8), np.linspace(0.05, 2, 79)
    floor, spread = (0.5**2 + 0.7**2 / 5) * 2 / rows, 0.05
    size = next(s for s in sizes if more_seeds(spread, 5, s, floor=floor, sure=rows - 1) == 0)
    pairs = (answers(draw, 5, rows, spread) for _ in range(DRAWS))
    assert POWER - 0.06 <= np.mean([crossed([-a, b + size]).claimed for a, b in pairs]) <= POWER + 0.08


def test_the_seeds_that_are_named_show_the_difference() -> None:
    draw, lead, wanted = DRAW(4), 0.3, list[int]()
    for _ in range(40):
        first, second = ([scores(seed) for seed in side] for side in answers(draw, 4, 200, 0.2))
        more = more_seeds_between(first, second, lead)
        wanted.append(999 if more is None else 4 + more)
    seeds = int(np.median(wanted))
    pairs = (answers(draw, seeds, 200, 0.2) for _ in range(DRAWS))
    assert 0.72 <= np.mean([crossed([-first, second + lead]).claimed for first, second in pairs]) <= 0.92
    # copier: endfilter
