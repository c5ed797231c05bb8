# copier: filter replace("my_project", package_name)
"""Statistics of drift: they cry when something has changed, and not when nothing has."""

import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from my_project.serving import drift
from my_project.serving.dependence import Array
from my_project.serving.drift import Column, Finding
from my_project.serving.monitoring import Limits
from my_project.serving.verdict import compare

from .watched_sample import reference_of

LIMITS = Limits()
WINDOWS, SIZE, NONE = 200, 500, np.zeros(0)
Draw = Callable[[np.random.Generator, int], Array]


def mixed(draw: np.random.Generator, size: int) -> Array:
    """A table: normal, skewed, whole, tied, constant, two categories (one with rare values), one with gaps."""
    gaps = np.where(draw.random(size) < 0.1, np.nan, draw.normal(size=size))
    zeros = np.where(draw.random(size) < 0.9, 0.0, draw.random(size))
    rare = np.minimum(draw.geometric(0.5, size) - 1, 9)
    columns = (draw.normal(size=size), draw.lognormal(size=size), draw.integers(0, 5, size), zeros, np.ones(size))
    return np.column_stack([*columns, draw.integers(0, 4, size), rare, gaps]).astype(np.float64)


WORDS = {5: list("abcd"), 6: list("0123456789")}
PATTERNS = np.random.default_rng(7).normal(size=(10, 64))


def image(draw: np.random.Generator, size: int) -> Array:
    """Images of 64 pixels, neighbours alike, most of them white, some always; and their ink."""
    strength = np.eye(10)[draw.integers(0, 10, size)] + 0.3 * draw.normal(size=(size, 10))
    pixels = np.clip(np.round(4 * (strength @ PATTERNS - np.linspace(-1, 4, 64))), 0, 16) / 16
    return np.column_stack([pixels.mean(1), pixels])


def few(draw: np.random.Generator, size: int) -> Array:
    """Two categories: nearly all rows are copies of others."""
    return np.column_stack([draw.integers(0, 2, size), draw.random(size) < 0.02]).astype(np.float64)


TABLES: dict[str, tuple[Draw, dict[int, list[str]]]] = {
    "table": (mixed, WORDS),
    "image": (image, {}),
    "categories": (few, {0: ["no", "yes"], 1: ["no", "yes"]}),
}


def alert(reference: Array, window: Array, labels: dict[int, list[str]] | None = None, *, ordered: bool = True) -> bool:
    found = compare(reference_of(reference, labels=labels), window, NONE, LIMITS, ordered=ordered)
    return bool(found["alert"])


@pytest.mark.parametrize("name", TABLES)
def test_windows_of_the_same_distribution_alert_in_under_2_percent(name: str) -> None:
    table, labels = TABLES[name]
    draw = np.random.default_rng(0)
    reference = reference_of(table(draw, 1200), labels=labels)
    windows = [table(draw, SIZE) for _ in range(WINDOWS // 2)]
    windows += [rows_of(reference.inputs)[draw.integers(0, 1200, SIZE)] for _ in range(WINDOWS // 2)]
    alerts = sum(compare(reference, window, NONE, LIMITS)["alert"] for window in windows)
    assert alerts < 0.02 * WINDOWS


def rows_of(columns: tuple[Column, ...]) -> Array:
    return np.column_stack([column.values for column in columns])


@pytest.mark.parametrize(("name", "column"), [("table", 0), ("table", 1), ("table", 7), ("image", 0), ("image", 20)])
def test_a_shift_of_half_a_deviation_in_one_column_is_found_and_named(name: str, column: int) -> None:
    table, labels = TABLES[name]
    draw = np.random.default_rng(1)
    reference, window = table(draw, 1200), table(draw, SIZE)
    window[:, column] += 0.5 * np.nanstd(reference[:, column])
    found = compare(reference_of(reference, labels=labels), window, NONE, LIMITS)
    assert found["alert"]
    assert [line.partition(":")[0] for line in found["findings"]] == [f"input feature {column}"]


@pytest.mark.parametrize(
    ("column", "change"),
    [
        (4, lambda _: 2.0),  # what was constant
        (5, lambda values: np.where(values == 3, 0, values)),  # a category that is no longer there
        (5, lambda values: np.where(values == 3, 4, values)),  # one that nobody knew
        (7, lambda values: np.where(np.arange(len(values)) % 2, np.nan, values)),  # more gaps
        (0, lambda values: np.full_like(values, np.nan)),  # nothing but gaps
        (0, lambda values: 2 * values),  # the same mean, another spread
        (3, lambda values: np.where(values > 0, values, np.arange(len(values)) % 5 / 5)),  # fewer ties
    ],
)
def test_other_changes_of_one_column_are_found(column: int, change: Callable[[Array], Array]) -> None:
    draw = np.random.default_rng(2)
    reference, window = mixed(draw, 1200), mixed(draw, SIZE)
    window[:, column] = change(window[:, column])
    found = compare(reference_of(reference, labels=WORDS), window, NONE, LIMITS)
    assert found["findings"][0].startswith(f"input feature {column}:")


def test_a_large_window_does_not_cry_at_a_small_change() -> None:
    draw = np.random.default_rng(3)
    reference, window = draw.normal(size=(20_000, 1)), draw.normal(0.1, 1, size=(20_000, 1))
    found = compare(reference_of(reference), window, NONE, LIMITS)
    assert found["figures"]["input feature 0"]["p_corrected"] < 1e-6
    assert not found["alert"]


def test_rows_that_are_sent_ten_times_count_once() -> None:
    draw = np.random.default_rng(4)
    reference = draw.normal(size=(1200, 8))
    alerts = [alert(reference, np.repeat(draw.normal(size=(50, 8)), 10, axis=0)) for _ in range(50)]
    shuffled = [alert(reference, draw.permutation(np.repeat(draw.normal(size=(50, 8)), 10, axis=0))) for _ in range(50)]
    assert sum(alerts + shuffled) < 2
    assert alert(reference, np.repeat(draw.normal(1.5, 1, size=(50, 8)), 10, axis=0))


def test_rows_that_resemble_those_before_them_count_for_less() -> None:
    draw = np.random.default_rng(5)
    reference = draw.normal(size=(1200, 8))
    noise, windows = draw.normal(size=(50, SIZE, 8)), np.zeros((50, SIZE, 8))
    for step in range(1, SIZE):
        windows[:, step] = 0.9 * windows[:, step - 1] + (1 - 0.9**2) ** 0.5 * noise[:, step]
    ordered = sum(alert(reference, window) for window in windows)
    assert ordered < 2
    assert sum(alert(reference, window, ordered=False) for window in windows) > ordered + 10


def test_a_change_within_the_window_does_not_hide_itself() -> None:
    draw = np.random.default_rng(14)
    reference, window = draw.normal(size=(1200, 8)), draw.normal(size=(SIZE, 8))
    window[SIZE // 2 :, 0] += 2
    assert alert(reference, window)


def test_what_differs_between_training_and_validation_is_no_drift_until_it_differs_more() -> None:
    draw = np.random.default_rng(15)
    known = Column(name="x", values=draw.normal(size=1200), usual=0.5**2)
    small, large = (drift.look(known, "x", draw.normal(shift, 1, size=SIZE), SIZE, 0.1) for shift in (0.5, 1.0))
    assert small.effect < small.limit < large.effect
    assert drift.look(replace(known, usual=0.0), "x", draw.normal(0.5, 1, size=SIZE), SIZE, 0.1).effect > 0.1


def test_a_row_that_comes_again_and_again_is_found() -> None:
    draw = np.random.default_rng(6)
    reference, window = draw.normal(size=(1200, 8)), draw.normal(size=(SIZE, 8))
    window[::3] = window[0]
    found = compare(reference_of(reference), window, NONE, LIMITS)
    assert [line.partition(":")[0] for line in found["findings"]] == ["repeated rows"]


def test_an_embedding_that_moves_is_found_and_one_that_stays_is_not() -> None:
    draw = np.random.default_rng(8)
    points, same = draw.exponential(size=(300, 8)), draw.exponential(size=(WINDOWS, SIZE, 8))
    judged = [drift.hotelling(points, window, SIZE, 0.1) for window in same]
    assert np.mean([finding.p < 0.05 for finding in judged]) < 0.1
    moved = drift.hotelling(points, same[0] + 0.2, SIZE, 0.1)
    assert moved.p < 1e-6
    assert moved.effect == pytest.approx(8 * 0.2**2, rel=0.5)


def test_one_row_that_lies_far_off_is_no_drift_of_the_embedding() -> None:
    draw = np.random.default_rng(14)
    reference = reference_of(draw.normal(size=(300, 2)), points=draw.normal(size=(300, 4)))
    window = draw.normal(size=(SIZE, 6))
    window[7, 2:] = 300.0
    assert not compare(reference, window, NONE, LIMITS)["alert"]
    window[:, 2:] += 0.5
    assert compare(reference, window, NONE, LIMITS)["findings"][0].startswith("embedding, middle")


def test_holm_is_what_its_definition_says() -> None:
    findings = [Finding(name=str(p), p=p, effect=1.0, limit=0.1, about="") for p in (0.04, 0.001, 0.03, 0.012)]
    judged = drift.judge(findings, 0.05)
    assert [each.adjusted for each in judged] == pytest.approx([0.06, 0.004, 0.06, 0.036])
    assert [each.drifted for each in judged] == [False, True, False, True]
    small = [Finding(name="", p=1e-9, effect=0.05, limit=0.1, about="")]
    assert not drift.judge(small, 0.05)[0].drifted


def test_psi_is_what_its_definition_says_and_near_nought_by_chance() -> None:
    old, new = np.array([0.5, 0.3, 0.2]), np.array([0.4, 0.3, 0.3])
    exact = ((new - old) * np.log(new / old)).sum()
    assert drift.psi(1e7 * old, 1e7 * new, 1e7) == pytest.approx(exact, rel=1e-4)
    draw, column = np.random.default_rng(9), Column(name="x", values=np.random.default_rng(10).normal(size=5000))
    found = [drift.psi(column.counts, column.count(draw.normal(size=100)), 100) for _ in range(200)]
    assert np.mean(found) < 0.03  # without the correction: 0.12


def test_ks_and_chi_square_are_those_of_scipy_when_nothing_is_missing() -> None:
    draw = np.random.default_rng(11)
    old, new = draw.normal(size=800), draw.normal(0.2, 1, size=500)
    p = stats.ks_2samp(old, new, method="asymp").pvalue
    assert p < drift.kolmogorov_smirnov(np.sort(old), new, 500) < 1.2 * p
    table = np.array([[300.0, 200.0, 100.0], [200.0, 250.0, 50.0]])
    assert drift.chi_square(*table) == pytest.approx(stats.chi2_contingency(table).pvalue)


def test_answers_that_are_wrong_more_often_are_found() -> None:
    reference = np.r_[np.ones(15), np.zeros(285)]
    assert drift.worse(reference, np.r_[np.ones(40), np.zeros(160)], 0.05).p < 1e-5
    assert drift.worse(reference, np.r_[np.ones(10), np.zeros(190)], 0.05).p > 0.5
    assert drift.worse(reference, np.zeros(200), 0.05).effect == 0


def test_errors_that_have_grown_are_found() -> None:
    draw = np.random.default_rng(12)
    reference = np.abs(draw.normal(size=300))
    grown, same = (drift.worse(reference, scale * np.abs(draw.normal(size=200)), 0.05) for scale in (1.6, 1.0))
    assert grown.p < 1e-4
    assert grown.effect > 0.05
    assert same.p > 0.05


def test_few_rows_and_strange_ones_give_a_verdict_without_a_warning() -> None:
    draw = np.random.default_rng(13)
    reference = mixed(draw, 60)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for window in (np.full((100, 8), np.nan), np.zeros((100, 8)), mixed(draw, 100) * 1e30, mixed(draw, 20)):
            compare(reference_of(reference, labels=WORDS), window, NONE, LIMITS)
        waiting = compare(reference_of(reference, labels=WORDS), np.zeros((0, 8)), NONE, LIMITS)
    assert waiting["waiting"].startswith("0 rows, and 100 are wanted")
    assert not waiting["alert"]
    # copier: endfilter
