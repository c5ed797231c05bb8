# copier: filter replace("my_project", package_name)
"""No held-out Sudoku is one that training shows, whatever its digits' names, its turns and its order of lines."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from my_project.data.sudoku import ORBITS, SudokuConfig, revealed
from my_project.data.sudoku_rules import orbit_keys
from my_project.types import Split

from .plain_sudoku import canonical, cell_orders, every_4x4, line_orders, turns

SPLITS: tuple[Split, ...] = ("train", "val", "test")
CONFIGS = [
    SudokuConfig(size=4),
    SudokuConfig(),
    SudokuConfig(hard=True, num_train=60, num_val=20, num_test=20),
    SudokuConfig(size=9, num_train=60, num_val=20, num_test=20),
]
of_each_kind = pytest.mark.parametrize("config", CONFIGS, ids=["4", "6", "6-hard", "9"])


def assert_apart(config: SudokuConfig, orders: np.ndarray) -> None:
    found = {split: {canonical(row, orders) for row in config.build(split).inputs.numpy()} for split in SPLITS}
    assert [len(found[split]) for split in SPLITS] == [config.num_train, config.num_val, config.num_test]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not found[SPLITS[one]] & found[SPLITS[other]]


@pytest.mark.parametrize("config", CONFIGS[:3], ids=["4", "6", "6-hard"])
def test_no_symmetry_leads_from_split_to_split_of_small_puzzles(config: SudokuConfig) -> None:
    few = config if config.size == 4 else replace(config, num_train=60, num_val=20, num_test=20)
    assert_apart(few, cell_orders(few.size))


@of_each_kind
def test_no_turn_reflection_transposition_and_renaming_leads_from_split_to_split(config: SudokuConfig) -> None:
    assert_apart(config, turns(config.size))


@pytest.mark.parametrize("size", [4, 6])
def test_puzzles_that_any_symmetry_joins_have_one_key(size: int) -> None:
    data, orders = SudokuConfig(size=size).build("val", num_rows=3), cell_orders(size)
    for puzzle, solution in zip(data.inputs.numpy(), data.targets.numpy(), strict=True):
        names = np.random.default_rng(0).permuted(np.tile(np.arange(size), (len(orders), 1)), axis=1)
        images = np.take_along_axis(names, solution[orders] - 1, axis=1)
        assert len(set(orbit_keys(1 << images.T, puzzle[orders].T > 0, size).tolist())) == 1


@of_each_kind
def test_puzzles_that_turns_reflections_and_transposition_join_have_one_key(config: SudokuConfig) -> None:
    data, orders = config.build("val", num_rows=20), turns(config.size)
    for puzzle, solution in zip(data.inputs.numpy(), data.targets.numpy(), strict=True):
        keys = orbit_keys(1 << (solution[orders].T - 1), puzzle[orders].T > 0, config.size)
        assert len(set(keys.tolist())) == 1


def test_large_puzzles_that_symmetries_join_have_one_key() -> None:
    draw, lines, cells = np.random.default_rng(0), line_orders(3, 9), np.arange(81).reshape(9, 9)
    images = [cells[np.ix_(*(lines[n] for n in draw.integers(len(lines), size=2)))] for _ in range(200)]
    orders = np.stack([image.T.ravel() if draw.integers(2) else image.ravel() for image in images])
    data = CONFIGS[3].build("test")
    for puzzle, solution in zip(data.inputs.numpy(), data.targets.numpy(), strict=True):
        named = np.stack([draw.permutation(9)[solution[order] - 1] for order in orders])
        assert len(set(orbit_keys(1 << named.T, puzzle[orders].T > 0, 9).tolist())) == 1


def test_puzzles_that_no_symmetry_joins_nearly_always_have_keys_of_their_own() -> None:
    data = CONFIGS[1].build("train")
    grids, draw = np.repeat(data.targets.numpy().T, 2, axis=1), np.random.default_rng(0)
    given = draw.random(grids.shape) < 0.4  # any cells: how many solutions there are does not matter here
    assert len(set(orbit_keys(1 << (grids - 1), given, 6).tolist())) > 1990


def test_there_are_as_many_4x4_puzzles_as_the_settings_allow() -> None:
    solutions, given = every_4x4()
    keys, counts = orbit_keys(1 << (solutions - 1), given, 4), given.sum(0)
    own = {"train": {0, 1}, "val": {2}, "test": {3}}
    for split in SPLITS:
        mine = {(key, num) for key, num in zip(keys.tolist(), counts.tolist(), strict=True) if key % 4 in own[split]}
        assert ORBITS[4][split] == tuple(sum(num == clues for _, num in mine) for clues in range(4, 16))


def test_all_4x4_puzzles_that_the_settings_allow_are_found() -> None:
    config = SudokuConfig(size=4, clues=(5, 6), num_train=238, num_val=117, num_test=117)
    assert [len(config.build(split)) for split in SPLITS] == [238, 117, 117]


def test_training_shows_no_held_out_puzzle_where_it_fills_cells() -> None:
    config = SudokuConfig(size=4, clues=(4, 7), num_train=400, num_val=250, num_test=250, reveal=0.3)
    data, rows = config.build("train", augment=True), torch.arange(400)
    filled = torch.cat([data[rows, seed].inputs for seed in range(12)])
    more = (filled > 0).sum(1) > (data.inputs > 0).sum(1).repeat(12)
    sets = [filled[((filled > 0).sum(1) <= 7) & more], *(config.build(split).inputs for split in SPLITS)]
    shown, train, val, test = ({canonical(row, cell_orders(4)) for row in puzzles.numpy()} for puzzles in sets)
    assert len(shown - train) > 50
    assert not shown & (val | test)


def test_filled_cells_are_right_and_their_share_varies() -> None:
    data = CONFIGS[1].build("train")
    filled = revealed(data.inputs, data.targets, torch.arange(1000) << 40, 6, most=0.8)
    assert ((filled == data.inputs) | ((data.inputs == 0) & (filled == data.targets))).all()
    shares = (filled != data.inputs).sum(1) / (data.inputs == 0).sum(1)
    assert shares.max() <= 1
    assert 0.4 < (shares == 0).double().mean() < 0.6  # about half are another split's own when they are filled
    assert shares[shares > 0].mean() == pytest.approx(0.4, abs=0.04)
    # copier: endfilter
