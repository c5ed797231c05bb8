# copier: filter replace("my_project", package_name)
"""A CSV file of times and values becomes a data folder whose splits follow one another in time, and trains."""

import importlib.util
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from my_project import config as configs
from my_project import run as commands
from my_project.data.loader import read_arrays, read_manifest, verify
from my_project.data.series import SPLITS, problems, read_rows

EXAMPLE = Path(__file__).parents[1] / "examples" / "own_series.py"
HOURS = np.arange("2020-01-01T00", "2020-02-10T00", dtype="datetime64[h]")
SIZES = {"data.history": 30, "data.horizon": 12, "model.history": 30, "model.horizon": 12}
Main = Callable[[list[str]], None]


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Main:
    """The example as a function of the words behind its name."""
    specification = importlib.util.spec_from_file_location("own_series", EXAMPLE)
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "own_series", module)
    specification.loader.exec_module(module)
    function: Main = module.main
    return function


@pytest.fixture
def folder(main: Main) -> Path:
    """The data folder of a file with hourly values, of which every fiftieth is missing."""
    values = [f"{hour},{np.sin(2 * np.pi * n / 24) + n / 500:.3f}" for n, hour in enumerate(HOURS) if n % 50 != 7]
    Path("own.csv").write_text("\n".join(["time,value", *values]))
    main(["own.csv", "mine", "--period", "24", "--unit", "h", "--licence", "CC0"])
    return Path("mine")


def test_an_own_series_becomes_a_folder_that_passes_verification(folder: Path) -> None:
    assert (verify(folder), problems(folder)) == ([], [])
    manifest = read_manifest(folder)
    assert manifest["rows"] == {"train": 658, "val": 141, "test": 141}
    assert (manifest["licence"], manifest["time"]) == ("CC0", {"unit": "h", "step": 1, "period": 24})
    names = {file: [*read_arrays(folder, file)] for file in manifest["files"]}
    assert names["series_test.npz"] == ["test_inputs", "test_targets"]
    assert not any(name.startswith("test") for name in names["series.npz"])


def test_the_splits_of_an_own_series_follow_one_another_and_lose_nothing(folder: Path) -> None:
    rows = read_rows(folder, SPLITS)
    times = np.concatenate([own for own, _ in rows.values()])
    assert (np.diff(times) > 0).all()
    assert times.tolist() == [int(hour) for n, hour in enumerate(HOURS.astype(int)) if n % 50 != 7]
    assert [own[0] for own, _ in rows.values()] == sorted(own[0] for own, _ in rows.values())


def test_a_model_trains_on_an_own_series(folder: Path) -> None:
    options: dict[str, Any] = {**SIZES, "data.folder": str(folder)}
    data = configs.load("forecast_linear", options).data
    assert data.build("val").names[0] == "2020-01-29T00"
    assert all(earlier < later for earlier, later in pairwise(data.build("train").names))
    done = commands.train("forecast_linear", {**options, "train.steps": 100, "optim.warmup_steps": 5})
    assert done["mase"] < commands.evaluate(Path(done["run"]))["baselines"]["persistence"]
    assert len(commands.predict(Path(done["run"]), Path("own.csv"))) == 12


@pytest.mark.parametrize(
    ("words", "text", "message"),
    [
        ("mine --period 0", "2020-01-01,1", "want 1 or more"),
        ("mine --period 1 --unit x", "2020-01-01,1", "argument --unit: invalid choice: 'x'"),
        ("mine --period 1", "1\n2", "own.csv: want two columns, times and values"),
        (". --period 1", "2020-01-01,1", "is there already"),
        ("mine --period 1", "2020-01-01,1", "own.csv: found 1 values, want more, so that val has some"),
        ("mine --period 1", "2020-01-01,", "own.csv: found no values"),
        ("mine --period 1", "2020-01-02,1\n2020-01-01,2", "row 1, 2020-01-01, does not come after the row before it"),
    ],
)
def test_a_series_that_cannot_be_used_is_refused_in_one_line_and_nothing_is_written(
    words: str, text: str, message: str, main: Main, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("own.csv").write_text(text)
    with pytest.raises(SystemExit, match="2"):
        main(["own.csv", *words.split()])
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not Path("mine").exists()
    # copier: endfilter
