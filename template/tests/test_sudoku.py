# copier: filter replace("my_project", package_name)
"""Sudoku has one solution each, everything follows from the seed, training puzzles move, and files are read."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from my_project.data.loader import read_manifest
from my_project.data.sudoku import SudokuConfig, moved
from my_project.data.sudoku_rules import count_solutions as counted
from my_project.data.sudoku_rules import guess
from my_project.types import Split

from .plain_sudoku import cell_orders, count_solutions, every_4x4, is_solved, peers

SPLITS: tuple[Split, ...] = ("train", "val", "test")
FEW: dict[str, Any] = {"num_train": 60, "num_val": 20, "num_test": 20}
CONFIGS = [SudokuConfig(size=4), SudokuConfig(), SudokuConfig(hard=True, **FEW), SudokuConfig(size=9, **FEW)]
FEW_CLUES = SudokuConfig(clues=(8, 10), num_train=300, num_val=10, num_test=10)  # where many candidates have more
NAMES = [f"{config.size}{'-hard' * config.hard}" for config in CONFIGS]
# Beginnings of the SHA-256 of what training may see, by kind; no library's version may change them.
GOLDEN = {"4": "21e405f2", "6": "b41dc6db", "6-hard": "33ee3b37", "9": "c65d3257"}
of_each_kind = pytest.mark.parametrize("config", CONFIGS, ids=NAMES)


@of_each_kind
def test_every_puzzle_has_the_one_solution_that_is_its_target(config: SudokuConfig) -> None:
    for split in SPLITS:
        data = config.build(split, num_rows=10)
        assert [count_solutions(row, config.size) for row in data.inputs.tolist()] == [1] * 10
        assert all(is_solved(solution, config.size) for solution in config.build(split).targets.tolist())
        assert ((data.inputs == data.targets) | (data.inputs == 0)).all()


def test_the_solver_finds_one_solution_exactly_where_there_is_one() -> None:
    solutions, given = every_4x4()
    puzzles = {tuple(row) for row in (solutions * given).T.tolist()}
    for row in np.random.default_rng(0).choice(solutions.shape[1], 300, replace=False):
        cell = np.random.default_rng(row).choice(np.flatnonzero(given[:, row]))
        less = solutions[:, row] * given[:, row] * (np.arange(16) != cell)
        cells = np.where(less, 1 << (less - 1).clip(0), 15).astype(np.int16)[:, None]
        assert counted(cells, 4, most=2)[0] == 1 + (tuple(less.tolist()) not in puzzles)
        cells[cell] = 15 & ~(1 << (solutions[cell, row] - 1))
        assert bool(counted(cells, 4)[0]) == (tuple(less.tolist()) not in puzzles)


@pytest.mark.parametrize("config", [*CONFIGS, FEW_CLUES], ids=[*NAMES, "6-few"])
def test_the_number_of_given_cells_is_in_the_range_and_takes_all_that_is_common(config: SudokuConfig) -> None:
    given = (config.build("train").inputs > 0).sum(dim=1)
    low, high = config.num_clues
    counts = torch.bincount(given, minlength=high + 1)
    assert len(counts) == high + 1
    assert not counts[:low].any()
    assert (counts[low + 2 :] > 0).all()


def test_a_hard_puzzle_makes_the_baseline_guess() -> None:
    hard = CONFIGS[2].build("train").inputs.numpy()
    assert (guess(hard, 6, most=1) == 0).any(1).all()


def test_cells_that_only_one_digit_fits_solve_every_4x4_puzzle() -> None:
    solutions, given = every_4x4()
    assert np.array_equal(guess((solutions * given).T, 4, most=1), solutions.T)


@of_each_kind
def test_the_baseline_is_a_plain_guess_at_the_most_constrained_cell(config: SudokuConfig) -> None:
    puzzles = config.build("val", num_rows=20).inputs
    (answers,) = config.baselines(puzzles).values()
    for puzzle, answer in zip(puzzles.tolist(), answers.tolist(), strict=True):
        while True:
            fits = {
                cell: {*range(1, config.size + 1)} - {puzzle[peer] for peer in peers(config.size)[cell]}
                for cell, digit in enumerate(puzzle)
                if not digit
            }
            some = [cell for cell, digits in fits.items() if digits]
            if not some:
                break
            cell = min(some, key=lambda cell: len(fits[cell]))
            puzzle[cell] = min(fits[cell])
        assert answer == puzzle


@of_each_kind
def test_a_moved_puzzle_has_the_moved_solution(config: SudokuConfig) -> None:
    batch = config.build("train", augment=True)[torch.arange(60), 5]
    assert ((batch.inputs == batch.targets) | (batch.inputs == 0)).all()
    assert all(is_solved(solution, config.size) for solution in batch.targets.tolist())


@of_each_kind
def test_training_puzzles_move_and_others_stay(config: SudokuConfig) -> None:
    index = torch.arange(20)
    plain, mobile = config.build("train"), config.build("train", augment=True)
    assert torch.equal(plain[index, 1].inputs, plain.inputs[:20])
    assert not (mobile[index, 1].inputs == plain[index, 1].inputs).all(dim=1).any()
    assert not (mobile[index, 1].inputs == mobile[index, 2].inputs).all(dim=1).any()


@pytest.mark.parametrize("size", [4, 6])
def test_every_symmetry_of_cells_is_drawn(size: int) -> None:
    numbers, cells = torch.arange(60_000), torch.arange(size**2)
    digits = [(cells >> bit & 1).expand(len(numbers), -1) for bit in range(6)]  # of each cell's own number
    places = sum((moved(digit, digit, numbers, size)[0] > 0) << bit for bit, digit in enumerate(digits))
    found = {tuple(row) for row in torch.as_tensor(places).tolist()}
    assert found == {tuple(row) for row in cell_orders(size).tolist()}


@pytest.mark.parametrize("size", [4, 6, 9])
def test_every_digit_takes_every_name_equally_often(size: int) -> None:
    numbers, digits = torch.arange(20_000), torch.arange(1, size + 1)
    same = [digit.expand(len(numbers), size**2) for digit in digits]  # puzzles of one digit: wherever it goes, its name
    names = torch.stack([moved(puzzle, puzzle, numbers, size)[0][:, 0] for puzzle in same], dim=1)
    assert (names.sort(dim=1).values == digits).all()
    counts = torch.stack([(names == digit).sum(dim=0) for digit in digits])
    assert ((counts - 20_000 / size).abs() < 5 * (20_000 / size) ** 0.5).all()


def test_puzzles_are_those_of_before() -> None:
    found = {
        name: read_manifest(config.root)["files"]["puzzles.npz"][:8]
        for name, config in zip(NAMES, CONFIGS, strict=True)
    }
    assert found == GOLDEN


def test_a_split_does_not_depend_on_the_size_of_the_others() -> None:
    more = SudokuConfig(num_train=300, num_val=400, num_test=20)
    for split in SPLITS:
        one, other = SudokuConfig().build(split), more.build(split)
        num = min(len(one), len(other))
        assert torch.equal(one.inputs[:num], other.inputs[:num])


def test_another_seed_makes_other_puzzles() -> None:
    one, other = SudokuConfig(**FEW).build("test"), SudokuConfig(seed=1, **FEW).build("test")
    assert not torch.equal(one.inputs, other.inputs)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": 5}, "size 5: want 4, 6 or 9"),
        ({"size": 9, "clues": (16, 30)}, "clues 16 to 30: want 17 or more as the fewest, 24 to 80 as the most"),
        ({"clues": (12, 11)}, "clues 12 to 11: want 8 or more as the fewest, 10 to 35 as the most"),
        ({"clues": (8, 9)}, "clues 8 to 9: want 8 or more"),
        ({"clues": (10, 36)}, "10 to 35 as the most"),
        ({"size": 4, "num_train": 1118}, "num_train 1118: want at most 1117, all that have 4 to 8 clues"),
        ({"size": 4, "clues": (5, 5), "num_train": 42, "num_val": 28, "num_test": 1}, "num_val 28: want at most 27"),
        ({"size": 4, "hard": True}, "solve every puzzle of size 4"),
        ({"num_train": 0}, "greater than 0"),
        ({"reveal": 1.1}, "less than or equal to 1"),
        ({"seed": 2**63}, "less than"),
    ],
)
def test_settings_out_of_range_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SudokuConfig(**values)


def test_a_users_file_is_read(workspace: Path) -> None:
    (workspace / "puzzles.txt").write_text("1234....00004321\n\n  " + 16 * "0", "utf-8")
    read = SudokuConfig(size=4).read(workspace / "puzzles.txt")
    assert read.tolist() == [[1, 2, 3, 4, *[0] * 8, 4, 3, 2, 1], [0] * 16]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found no puzzle, want a text file with 16 of .1234 in each line"),
        (16 * "." + "\n1234", "puzzle 2 is '1234', want 16 of .1234"),
        (15 * "." + "5", "puzzle 1 is '...............5', want 16"),
    ],
)
def test_a_file_that_holds_no_puzzles_is_refused(text: str, message: str, workspace: Path) -> None:
    (workspace / "puzzles.txt").write_text(text, "utf-8")
    with pytest.raises(ValueError, match=r"puzzles\.txt: ") as refused:
        SudokuConfig(size=4).read(workspace / "puzzles.txt")
    assert message in str(refused.value)


def test_a_missing_file_is_refused(workspace: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.txt: found no puzzle"):
        SudokuConfig().read(workspace / "none.txt")
    # copier: endfilter
