# copier: filter replace("my_project", package_name)
"""Classes and groups are counted in every split, and a limit that is broken is named."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from my_project.__main__ import main
from my_project.data.folders import write_folder
from my_project.types import Split

ROWS: dict[Split, np.ndarray] = {"train": np.arange(0, 200), "val": np.arange(200, 300), "test": np.arange(300, 400)}
EVEN = np.arange(400) % 4


def write(targets: np.ndarray, groups: np.ndarray | None = None) -> None:
    arrays = {"inputs": np.random.default_rng(0).normal(size=(400, 2)), "targets": targets}
    arrays |= {} if groups is None else {"groups": groups}
    about: dict[str, Any] = {"name": "mine"}
    if targets.dtype.kind == "i":
        about |= {"labels": ["red", "blue", "green", "grey"]}
    write_folder(Path("data"), arrays, ROWS, about, "mine")


def lines(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    capsys.readouterr()  # what writing them said, where an earlier command has begun to log
    with pytest.raises(SystemExit) as ended:
        main(["data", "balance", "data", *words])
    assert ended.value.code == 1
    return [line.removeprefix("data balance: ") for line in capsys.readouterr().err.splitlines()]


def test_classes_and_groups_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    write(EVEN, np.arange(400) // 10)
    assert main(["data", "balance", "data"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["classes"]["val"] == {"red": 25, "blue": 25, "green": 25, "grey": 25}
    assert (found["ratio"], found["shift"]["test"]) == (1, 0)
    assert found["groups"]["train"] == {"count": 20, "group": 0, "share": 0.05}


def test_a_rare_class_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    targets = np.where((EVEN == 3) & (np.arange(400) % 20 != 3), 0, EVEN)
    write(targets)
    assert lines(capsys, "--max-ratio", "5", "--max-shift", "1") == [
        "train has 90 rows of red and 10 of grey: more than 5 to 1"
    ]
    assert lines(capsys, "--min-rows", "6", "--max-shift", "1") == [
        "val has 5 rows of grey, want 6",
        "test has 5 rows of grey, want 6",
    ]


def test_shares_that_differ_between_splits_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    targets = EVEN.copy()
    targets[300:340] = 2
    write(targets)
    assert lines(capsys) == ["test: the shares of classes are 0.30 away from train, at most 0.1"]


def test_a_group_with_most_of_the_rows_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    write(EVEN, np.where(np.arange(400) < 150, 7, np.arange(400)))
    assert lines(capsys) == ["group 7 has 0.75 of the train rows, at most 0.5"]


def test_targets_that_are_numbers_are_counted_by_quarters(capsys: pytest.CaptureFixture[str]) -> None:
    values = np.random.default_rng(0).normal(size=400)
    write(values)
    assert main(["data", "balance", "data", "--max-shift", "0.2"]) == 0
    assert [*json.loads(capsys.readouterr().out)["classes"]["train"].values()] == [50] * 4
    write_folder(Path("other"), {"inputs": EVEN[:, None], "targets": np.sort(values)}, ROWS, {}, "mine")
    with pytest.raises(SystemExit):
        main(["data", "balance", "other", "--min-rows", "0"])
    assert capsys.readouterr().err.count("away from train") == 2
    # copier: endfilter
