# copier: filter replace("my_project", package_name)
"""Splits are what was asked for, whatever the rows are: shares, classes, whole groups, the order of time."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from my_project.data.folders import SPLITS
from my_project.data.splitting import (
    Plan,
    parse_ratios,
    split_groups,
    split_rows,
    split_times,
)

THREE = st.tuples(*[st.integers(1, 20)] * 3).map(lambda parts: tuple(part / sum(parts) for part in parts))
SEEDS = st.integers(0, 2**32 - 1)
LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=300).map(np.array)
quick = settings(max_examples=100, deadline=None)


def assert_each_row_once(rows: dict, count: int) -> None:  # type: ignore[type-arg]  # of splits
    assert list(rows) == list(SPLITS)
    assert sorted(np.concatenate([*rows.values()]).tolist()) == list(range(count))


@quick
@given(count=st.integers(0, 500), ratios=THREE, seed=SEEDS)
def test_every_row_is_in_one_split_and_the_shares_are_exact_but_for_rounding(
    count: int, ratios: tuple[float, ...], seed: int
) -> None:
    rows = split_rows(count, ratios, seed)
    assert_each_row_once(rows, count)
    assert all(abs(len(rows[split]) - share * count) < 1 for split, share in zip(SPLITS, ratios, strict=True))


@quick
@given(labels=LABELS, ratios=THREE, seed=SEEDS)
def test_a_stratified_split_gives_each_split_its_share_of_every_class(
    labels: np.ndarray, ratios: tuple[float, ...], seed: int
) -> None:
    rows = split_rows(len(labels), ratios, seed, classes=labels)
    assert_each_row_once(rows, len(labels))
    for split, share in zip(SPLITS, ratios, strict=True):
        for label in np.unique(labels):
            assert abs((labels[rows[split]] == label).sum() - share * (labels == label).sum()) < 1
        assert abs(len(rows[split]) - share * len(labels)) < 2  # rounding does not add up over the classes


@quick
@given(groups=st.lists(st.integers(0, 40), min_size=1, max_size=300).map(np.array), ratios=THREE, seed=SEEDS)
def test_no_group_is_in_two_splits(groups: np.ndarray, ratios: tuple[float, ...], seed: int) -> None:
    rows = split_groups(groups, ratios, seed)
    assert_each_row_once(rows, len(groups))
    owners = [{*groups[own].tolist()} for own in rows.values()]
    assert sum(map(len, owners)) == len(set().union(*owners))


def test_groups_fill_the_shares_and_keep_the_classes_as_far_as_they_can() -> None:
    draw = np.random.default_rng(0)
    groups, labels = draw.integers(0, 200, 4000), draw.integers(0, 4, 4000)
    rows = split_groups(groups, (0.8, 0.1, 0.1), 0, classes=labels)
    for split, share in zip(SPLITS, (0.8, 0.1, 0.1), strict=True):
        for label in range(4):
            part = (labels[rows[split]] == label).sum() / (labels == label).sum()
            assert part == pytest.approx(share, abs=0.02)


@quick
@given(times=st.lists(st.integers(0, 50), min_size=1, max_size=200).map(np.array), ratios=THREE)
def test_splits_by_time_follow_one_another_and_share_no_time(times: np.ndarray, ratios: tuple[float, ...]) -> None:
    rows = split_times(times, ratios)
    assert_each_row_once(rows, len(times))
    parts = [times[own] for own in rows.values() if len(own)]
    assert all(early.max() < late.min() for early, late in pairwise(parts))


def test_different_times_are_cut_where_the_shares_say() -> None:
    times = np.random.default_rng(0).permutation(1000)
    assert [len(own) for own in split_times(times, (0.7, 0.1, 0.2)).values()] == [700, 100, 200]


def test_a_seed_repeats_a_split_and_another_one_does_not() -> None:
    labels = np.arange(300) % 3
    first, again, other = (split_rows(300, (0.8, 0.1, 0.1), seed, classes=labels)["test"] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("text", ["", "0.8/0.2", "0.8/0.1/0.2", "1/0/0", "a/b/c", "0.9/0.2/-0.1"])
def test_ratios_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="--ratios: got .*0.8/0.1/0.1"):
        parse_ratios(text)


def test_time_and_group_exclude_one_another() -> None:
    arrays = {"inputs": np.zeros((4, 1)), "groups": np.arange(4), "times": np.arange(4)}
    with pytest.raises(ValueError, match="not both"):
        Plan(ratios=(0.5, 0.25, 0.25), group="groups", order="times").split(arrays, np.arange(4))
    # copier: endfilter
