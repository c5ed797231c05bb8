# copier: filter replace("my_project", package_name)
"""Windows keep the order of time: nothing of a later split is a target of an earlier one, nothing fills a gap early."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from my_project import run as commands
from my_project.data.loader import read_manifest, verify
from my_project.data.series import SPLITS, SeriesConfig, problems, read_rows
from my_project.data.timeline import Clock, on_steps

CO2 = SeriesConfig()
SMALL: dict[str, Any] = {"history": 8, "horizon": 3}
ROWS = {"train": range(40), "val": range(40, 60), "test": range(60, 80)}
Rows = dict[str, tuple[np.ndarray, np.ndarray]]


def plain() -> Rows:
    """Times, a week apart, and values that are the numbers of their steps."""
    return {split: (7 * np.array(steps), np.array(steps, np.float32)) for split, steps in ROWS.items()}


def write(folder: Path, rows: Rows) -> SeriesConfig:
    """Write a data folder, as somebody would who means well."""
    folder.mkdir(exist_ok=True)
    files = dict[str, str]()
    for name, splits in (("steps.npz", ("train", "val")), ("steps_test.npz", ("test",))):
        parts = ("inputs", "targets")
        pairs: Any = {f"{split}_{part}": rows[split][n] for split in splits for n, part in enumerate(parts)}
        np.savez(folder / name, **pairs)
        files[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    limits = {"shape": [], "minimum": 0, "maximum": 1000}
    arrays = {"inputs": {**limits, "dtype": "int64"}, "targets": {**limits, "dtype": "float32"}}
    manifest = {"name": "steps", "time": {"unit": "D", "step": 7, "period": 4}, "arrays": arrays, "files": files}
    counts = {split: len(times) for split, (times, _) in rows.items()}
    (folder / "manifest.json").write_text(json.dumps({**manifest, "rows": counts}))
    return SeriesConfig(folder=str(folder), **SMALL)


def test_the_manifest_says_where_the_data_come_from_and_how_they_were_split() -> None:
    manifest = read_manifest(CO2.root)
    assert manifest["licence"] == "public domain"
    assert manifest["attribution"].startswith("Keeling, C.D. and T.P. Whorf. 2004.")
    assert manifest["time"] == {"unit": "D", "step": 7, "period": 52}
    assert "by time" in manifest["split"]["method"]
    assert manifest["rows"] == {"train": 1540, "val": 342, "test": 343}


def test_weeks_that_were_not_measured_have_no_row_and_all_others_have() -> None:
    times = [times for times, _ in read_rows(CO2.root, SPLITS).values()]
    weeks = np.diff(np.concatenate(times)) // 7
    assert problems(CO2.root) == []
    assert (weeks.sum() + 1, (weeks - 1).sum()) == (2284, 59)
    lengths = [int(later - own[0]) // 7 for own, later in zip(times, [times[1][0], times[2][0], 11692], strict=True)]
    assert [round(length / 2284, 2) for length in lengths] == [0.70, 0.15, 0.15]


def test_targets_lie_in_their_split_and_no_two_splits_share_one(workspace: Path) -> None:
    config = write(workspace / "steps", plain())
    steps = {split: {*config.build(split).targets[..., 0].flatten().int().tolist()} for split in SPLITS}
    assert steps == {"train": {*range(8, 40)}, "val": {*range(40, 60)}, "test": {*range(60, 80)}}
    assert {*config.build("train").inputs[..., 0].flatten().int().tolist()} == {*range(39 - 2)}


def test_a_validation_history_may_lie_in_the_training_split_and_ends_right_before_its_targets(workspace: Path) -> None:
    config = write(workspace / "steps", plain())
    for split in SPLITS:
        windows = config.build(split)
        whole = torch.cat([windows.inputs, windows.targets], dim=1)[..., 0]
        assert (whole.diff(dim=1) == 1).all()
        assert windows.names == [str(np.datetime64(7 * int(row[8]), "D")) for row in whole]
    assert config.build("val").inputs[0, :, 0].tolist() == [*range(32, 40)]


def test_no_embedded_target_of_a_later_split_is_in_any_training_window() -> None:
    train, val = CO2.build("train"), CO2.build("val")
    last = np.datetime64(train.names[-1]) + 7 * (CO2.horizon - 1)
    assert last < np.datetime64(val.names[0])
    assert (len(train), len(val)) == (1599 - 104 - 52 + 1, 342 - 52 + 1)


def test_a_gap_holds_the_last_value_before_it_and_says_so(workspace: Path) -> None:
    rows, gap = plain(), [20, 21, 22, 39, 40]
    kept = {split: ~np.isin(values, gap) for split, (_, values) in rows.items()}
    rows = {split: (times[kept[split]], values[kept[split]]) for split, (times, values) in rows.items()}
    train = write(workspace / "steps", rows).build("train")
    assert train.inputs[12, :, 0].tolist() == [12, 13, 14, 15, 16, 17, 18, 19]
    assert train.targets[12].tolist() == [[19, 0], [19, 0], [19, 0]]
    assert train.inputs[14].tolist() == [*([step, 1] for step in range(14, 20)), [19, 0], [19, 0]]
    val = SeriesConfig(folder=str(workspace / "steps"), **SMALL).build("val")
    assert val.inputs[0, -3:].tolist() == [[38, 1], [38, 0], [38, 0]]  # targets begin at 41, the first one measured


def test_a_later_value_changes_no_history_before_it() -> None:
    clock, times = Clock(unit="D", step=1, period=1), np.array([0, 1, 4, 5, 9, 10])
    values = np.arange(6.0)
    before = on_steps(times, values, clock)
    for place, time in enumerate(times):
        values[place] += 100
        assert torch.equal(on_steps(times, values, clock)[:time], before[:time])
        assert not torch.equal(on_steps(times, values, clock)[time], before[time])
        values[place] -= 100


def shuffled(rows: Rows) -> Rows:
    order = np.random.default_rng(0).permutation(80)
    every = [np.concatenate([rows[split][part] for split in SPLITS]) for part in range(2)]
    places = {split: np.sort(order[steps.start : steps.stop]) for split, steps in ROWS.items()}
    return {split: (every[0][places[split]], every[1][places[split]]) for split in SPLITS}


def turned(rows: Rows) -> Rows:
    return {**rows, "train": (rows["train"][0][::-1], rows["train"][1])}


def moved(rows: Rows) -> Rows:
    return {**rows, "val": (rows["val"][0] + 2 * (np.arange(20) == 5), rows["val"][1])}


def shared(rows: Rows) -> Rows:
    return {**rows, "val": (rows["val"][0] - 7, rows["val"][1])}


def emptied(rows: Rows) -> Rows:
    return {**rows, "train": (rows["train"][0][:0], rows["train"][1][:0])}


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (shuffled, "val begins 1970-01-01, before train ends 1971-07-01: want one split after the other in time"),
        (turned, "train row 1, 1970-09-24, does not come after the row before it"),
        (moved, "val row 5, 1970-11-14, is off the steps of 7 D"),
        (shared, "val begins 1970-10-01, before train ends 1970-10-01: want one split after the other in time"),
        (emptied, "train has no rows"),
    ],
)
def test_splits_out_of_the_order_of_time_are_named_and_not_trained_on(
    spoil: Callable[[Rows], Rows], problem: str, workspace: Path
) -> None:
    config = write(workspace / "steps", spoil(plain()))
    assert any(re.fullmatch(re.sub(r"\d{4}-\d\d-\d\d", r"[\\d-]+", problem), line) for line in problems(config.root))
    with pytest.raises(ValueError, match=problem[:9]):
        config.build("val")


def test_one_week_in_two_splits_is_found_by_the_check_of_all_data(workspace: Path) -> None:
    assert verify(write(workspace / "steps", plain()).root) == []
    assert "val row 0 is a copy of train row 39" in verify(write(workspace / "steps", shared(plain())).root)


def test_training_and_evaluation_never_open_the_test_file(monkeypatch: pytest.MonkeyPatch) -> None:
    opened, read_bytes = list[str](), Path.read_bytes

    def recording(path: Path) -> bytes:
        opened.append(path.name)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", recording)
    commands.train("forecast_linear", {"train.steps": 2})
    assert "co2_weekly.npz" in opened
    assert "co2_weekly_test.npz" not in opened


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"horizon": 21}, "windows that fit into val"),
        ({"history": 4}, "a history of more than 4 steps"),
        ({"history": 40}, "windows that fit into train"),
    ],
)
def test_windows_that_do_not_fit_are_refused(sizes: dict[str, int], message: str, workspace: Path) -> None:
    write(workspace / "steps", plain())
    config = SeriesConfig(folder=str(workspace / "steps"), **{**SMALL, **sizes})
    with pytest.raises(ValueError, match=message):
        config.build("train" if sizes.get("history") == 40 else "val")


def test_a_manifest_that_says_nothing_of_time_is_refused(workspace: Path) -> None:
    config = write(workspace / "steps", plain())
    manifest = read_manifest(config.root)
    for time in ({}, {"time": {"unit": "D", "step": 7}}):
        (config.root / "manifest.json").write_text(json.dumps({**manifest, "time": None} | time))
        with pytest.raises(ValueError, match=r"manifest\.json: want time with unit, step and period"):
            config.build("train")


HISTORY = [float(number) for number in range(10)]


def test_a_users_history_may_have_times_names_and_gaps(workspace: Path) -> None:
    config = write(workspace / "steps", plain())
    texts = {
        "bare.csv": "\n".join(str(value) for value in HISTORY),
        "named.csv": "value\n" + "\n".join(str(value) for value in HISTORY) + "\n\n",
        "timed.csv": "\n".join(f"{np.datetime64(7 * n, 'D')},{value}" for n, value in enumerate(HISTORY)),
    }
    expected = torch.tensor([[value, 1] for value in HISTORY[-8:]])
    for name, text in texts.items():
        (workspace / name).write_text(text)
        torch.testing.assert_close(config.read(workspace / name), expected[None], rtol=0, atol=0)
    assert config.times_after(workspace / "bare.csv") is None
    assert config.times_after(workspace / "timed.csv") == ["1970-03-12", "1970-03-19", "1970-03-26"]
    (workspace / "gap.csv").write_text("\n5\n" + "\n".join(str(value) for value in HISTORY[1:6]) + "\n\n\n8\n")
    assert config.read(workspace / "gap.csv")[0, -4:].tolist() == [[5, 1], [5, 0], [5, 0], [8, 1]]
    lines = [line for number, line in enumerate(texts["timed.csv"].splitlines()) if number != 7]
    (workspace / "timed_gap.csv").write_text("\n".join(lines))
    assert config.read(workspace / "timed_gap.csv")[0, -3:].tolist() == [[6, 0], [8, 1], [9, 1]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "columns"),
        ("1\n2\n3", "found 3 steps from its first value on, want 8 or more"),
        ("\n" * 9 + "1", "found 1 steps"),
        ("x\n1\ntwo\n3", "found 'two' in row 1"),
        ("1\n2\ninf", "found 'inf' in row 2"),
        ("1,2,3", r"found \[3\] columns"),
        ("1\n1,2", r"found \[1, 2\] columns"),
        ("1970-01-01,1\n1970-01-07,2", "row 1, 1970-01-07, is off the steps of 7 D"),
        ("1970-01-08,1\n1970-01-01,2", "row 1, 1970-01-01, does not come after the row before it"),
        ("monday,1\ntuesday,2", "want times as in 1970-01-01"),
        ("a,b\n" + "".join(f"{np.datetime64(7 * n, 'D')},\n" for n in range(9)), "want 8 or more"),
    ],
)
def test_a_file_that_is_no_history_is_refused_in_one_line(text: str, message: str, workspace: Path) -> None:
    config = write(workspace / "steps", plain())
    (workspace / "bad.csv").write_text(text)
    with pytest.raises(ValueError, match=message) as refused:
        config.read(workspace / "bad.csv")
    assert "bad.csv" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_refused(workspace: Path) -> None:
    with pytest.raises(ValueError, match="want an existing"):
        CO2.read(workspace / "none.csv")
    # copier: endfilter
