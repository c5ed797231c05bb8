# copier: filter replace("my_project", package_name)
"""A run is measured for each group of validation rows, and a gap that is too large ends with status 1."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from my_project import run as commands
from my_project.__main__ import main
from my_project.evaluation import groups

from .sample import measure, predict


def figures(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main([*words]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_each_group_has_its_own_figures(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = np.array(["b", "a", "a", "b"] * 20)
    np.save("hands.npy", names)
    found = figures(capsys, "groups", str(trained), "--by", "hands.npy")
    config, model, _ = commands.open_run(trained)
    data = config.data.build("val")
    errors = (predict(model, data) - data.targets).square()
    for name in ("a", "b"):
        expected = errors[torch.from_numpy(names == name)].mean().sqrt().item()
        assert found["groups"][name]["rows"] == 40
        assert found["groups"][name]["error"] == pytest.approx(expected)
    assert found["gap"] == pytest.approx(abs(found["groups"]["a"]["error"] - found["groups"]["b"]["error"]))
    saved = json.loads((trained / "groups.json").read_text())
    assert {**found, "written": 0} == {**saved, "written": 0}
    everybody = figures(capsys, "groups", str(trained), "--by", "hands.npy")
    assert everybody["primary"] == measure(model, data).primary


def test_a_gap_that_is_too_large_ends_with_status_1(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, model, _ = commands.open_run(trained)
    data = config.data.build("val")
    far = (predict(model, data) - data.targets).abs()
    np.save("far.npy", (far > far.median()).numpy())
    with pytest.raises(SystemExit) as ended:
        main(["groups", str(trained), "--by", "far.npy", "--max-gap", "0.0001"])
    assert ended.value.code == 1
    assert "between False and True, at most 0.0001" in capsys.readouterr().err
    assert main(["groups", str(trained), "--by", "far.npy", "--max-gap", "9"]) == 0


def test_groups_of_few_rows_are_shown_and_not_compared(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save("few.npy", np.r_[np.zeros(75, np.int64), np.ones(5, np.int64)])
    found = figures(capsys, "groups", str(trained), "--by", "few.npy")
    assert [line["rows"] for line in found["groups"].values()] == [75, 5]
    assert found["gap"] == 0


def test_many_numbers_become_quarters(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save("age.npy", np.random.default_rng(0).normal(size=80))
    found = figures(capsys, "groups", str(trained), "--by", "age.npy")
    assert [line["rows"] for line in found["groups"].values()] == [20] * 4


@pytest.mark.parametrize(
    ("by", "message"), [("short.npy", "found (3,), want one value for each of the 80"), ("none", "--by: got 'none'")]
)
def test_groups_that_do_not_fit_are_refused(
    by: str, message: str, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save("short.npy", np.arange(3))
    assert main(["groups", str(trained), "--by", by]) == 2
    assert message in capsys.readouterr().err


def test_numbers_that_are_missing_are_a_group_of_their_own() -> None:
    many = groups.name_groups(np.r_[np.arange(40.0), np.nan], ())
    few = groups.name_groups(np.array([1.0, np.nan, 1.0]), ())
    assert (len({*many.tolist()}), many[-1]) == (5, "missing")
    assert {*many[:10].tolist()} == {"0 to 9.75"}
    assert few.tolist() == ["1.0", "missing", "1.0"]


@pytest.mark.parametrize("step", [0.1, 1e-9])
def test_quarters_with_names_alike_stay_apart(step: float) -> None:
    names = groups.name_groups(1e6 + step * np.arange(40), ()).tolist()
    assert [names.count(name) for name in sorted({*names})] == [10] * 4
    assert sorted(names) == names


def test_many_whole_numbers_become_quarters_and_few_do_not() -> None:
    assert len({*groups.name_groups(np.arange(400), ()).tolist()}) == 4
    assert len({*groups.name_groups(np.arange(400) % 10, ()).tolist()}) == 10


def test_numbers_most_of_which_are_equal_keep_their_name() -> None:
    names = groups.name_groups(np.r_[np.zeros(60), np.arange(1.0, 41)], ()).tolist()
    assert names[0] == "0 to 15.25"


def test_classes_have_their_names() -> None:
    assert len({*groups.name_groups(np.arange(20), tuple("abcdefghijklmnopqrst")).tolist()}) == 20
    assert groups.name_groups(np.array([1, 0]), ("no", "yes")).tolist() == ["yes", "no"]
    # copier: endfilter
