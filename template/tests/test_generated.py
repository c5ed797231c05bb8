# copier: filter replace("my_project", package_name)
"""Generated puzzles look like a data folder, and `data verify` finds what is planted in them."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from my_project import config as configs
from my_project import run as commands
from my_project.data import generated, maze, sudoku
from my_project.data.loader import read_arrays, read_manifest, verify
from my_project.data.maze import MazeConfig
from my_project.data.puzzles import Rows
from my_project.data.sudoku import SudokuConfig
from my_project.types import Split

SMALL = SudokuConfig(num_train=40, num_val=10, num_test=10)
MAZES = MazeConfig(num_train=40, num_val=10, num_test=10)


def test_the_presets_have_manifests_that_were_written_before() -> None:
    for preset in ("sudoku", "maze"):
        data = configs.load(preset).data
        known = json.loads(Path(generated.__file__).with_name(f"{data.kind}.json").read_text("utf-8"))
        assert read_manifest(data.root) == known
        assert known["rows"] == {"train": data.num_train, "val": data.num_val, "test": data.num_test}
        assert (known["split"]["seed"], known["licence"]) == (data.seed, "CC0-1.0")


def test_other_settings_have_a_manifest_of_their_own() -> None:
    manifest, other = read_manifest(SMALL.root), read_manifest(SudokuConfig(num_train=40, num_val=10, num_test=11).root)
    assert manifest["rows"] == {"train": 40, "val": 10, "test": 10}
    assert manifest["files"]["puzzles.npz"] == other["files"]["puzzles.npz"]
    assert manifest["files"]["puzzles_test.npz"] != other["files"]["puzzles_test.npz"]


def test_the_files_hold_the_rows_that_are_trained_on() -> None:
    arrays = read_arrays(SMALL.root, "puzzles.npz")
    assert {*arrays} == {"train_inputs", "train_targets", "val_inputs", "val_targets"}
    assert torch.equal(torch.from_numpy(arrays["train_inputs"]).long(), SMALL.build("train").inputs)
    assert torch.equal(torch.from_numpy(arrays["val_targets"]).long(), SMALL.build("val").targets)
    assert {*read_arrays(SMALL.root, "puzzles_test.npz")} == {"test_inputs", "test_targets"}


@pytest.mark.parametrize(
    "config", [SMALL, MAZES, SudokuConfig(size=4), SudokuConfig(size=9, num_train=40, num_val=10, num_test=10)]
)
def test_generated_puzzles_keep_what_their_manifest_says(config: SudokuConfig) -> None:
    assert verify(config.root) == []


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> dict[Split, Rows]:
    """Puzzles that a test may spoil: what the generators answer from here on."""
    rows = {split: (inputs.clone(), targets.clone()) for split, (inputs, targets) in SMALL.rows.items()}
    monkeypatch.setattr(sudoku, "generate", lambda *_: rows)
    return rows


def relabelled(cells: Tensor) -> Tensor:
    return torch.tensor([0, 3, 1, 2, 5, 6, 4])[cells]


def turned(cells: Tensor) -> Tensor:
    return cells.view(6, 6).rot90(2).flatten()


def test_a_planted_training_puzzle_is_found_though_it_is_renamed_and_turned(planted: dict[Split, Rows]) -> None:
    for held_out, train in zip(planted["test"], planted["train"], strict=True):
        held_out[3] = relabelled(turned(train[7]))
    assert verify(SMALL.root) == ["test row 3 belongs to another split; test row 3 is train row 7, moved"]


def test_a_planted_puzzle_is_found_though_it_is_transposed(planted: dict[Split, Rows]) -> None:
    inputs, targets = (cells[7].view(6, 6).T.flatten() for cells in planted["train"])
    planted["val"][0][2], planted["val"][1][2] = relabelled(inputs), relabelled(targets)
    assert "val row 2 is train row 7, moved" in generated.flaws(SMALL)


def test_a_planted_puzzle_with_several_solutions_is_found(planted: dict[Split, Rows]) -> None:
    planted["train"][0][5] = 0
    (problem,) = verify(SMALL.root)
    assert "train row 5 has several solutions" in problem


def test_a_planted_wrong_target_is_found(planted: dict[Split, Rows]) -> None:
    planted["val"][1][4] = relabelled(planted["val"][1][4])
    (problem,) = verify(SMALL.root)
    assert "val row 4 has a target that is no solution" in problem


def test_many_problems_are_one_line(planted: dict[Split, Rows]) -> None:
    planted["train"][0][:] = 0
    (problem,) = verify(SMALL.root)
    assert problem.count("; ") == 3
    assert problem.endswith(" more")


def test_planted_mazes_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {split: (inputs.clone(), targets.clone()) for split, (inputs, targets) in MAZES.rows.items()}
    monkeypatch.setattr(maze, "generate", lambda *_: rows)
    rows["val"][0][1], rows["val"][1][1] = (cells[9].view(11, 11).rot90().flatten() for cells in rows["train"])
    rows["train"][1][3] = rows["train"][0][3]
    rows["test"][0][2][rows["test"][0][2] == 1] = 0
    rows["test"][0][4].view(11, 11)[1:-1, 1:-1] = 0  # a hall with many ways
    rows["test"][0][4].view(11, 11)[1, 1], rows["test"][0][4].view(11, 11)[9, 9] = 2, 3
    assert {*generated.flaws(MAZES)} >= {
        "val row 1 is train row 9, moved",
        "train row 3 has a target that is no shortest way",
        "test row 2 is no maze",
        "test row 4 has no single shortest way",
    }


def test_another_generator_is_found_by_its_checksums(monkeypatch: pytest.MonkeyPatch) -> None:
    data = configs.load("maze").data
    rows = {split: (inputs.flip(0), targets.flip(0)) for split, (inputs, targets) in data.rows.items()}
    monkeypatch.setattr(maze, "generate", lambda *_: rows)
    assert "SHA-256" in verify(data.root)[0]


def test_a_resumed_run_refuses_puzzles_that_have_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"data.num_train": 40, "data.num_val": 10, "data.num_test": 10, "model.passes": 1, "train.steps": 2}
    done = commands.train("sudoku_mlp", {**settings, "data.hard": False})
    rows = {split: (inputs.flip(0), targets.flip(0)) for split, (inputs, targets) in SMALL.rows.items()}
    monkeypatch.setattr(sudoku, "generate", lambda *_: rows)
    with pytest.raises(ValueError, match=r"another data file puzzles\.npz"):
        commands.train(resume=Path(done["run"]), overrides={"train.steps": 4})


def test_the_command_verifies_the_default_presets_puzzles(
    planted: dict[Split, Rows], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        commands,
        "load",
        lambda: configs.load(
            "sudoku", {"data.num_train": 40, "data.num_val": 10, "data.num_test": 10, "data.hard": False}
        ),
    )
    assert commands.data()["rows"] == {"train": 40, "val": 10, "test": 10}
    planted["train"][0][5] = 0
    with pytest.raises(SystemExit):
        commands.data()
    # copier: endfilter
