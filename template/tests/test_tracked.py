# copier: filter replace("my_project", package_name)
"""A run in the store of a tracker: it stays one, whatever happens between."""

import json
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import pytest

from my_project import config as configs
from my_project import run as commands
from my_project.training import beside
from my_project.training.background import Line
from my_project.training.beside import Tracked
from my_project.training.storage import read_journal

from .sample import PRESET

SHORT = {"train.steps": 6, "train.eval_every": 2, "train.log_every": 1, "train.device": "cpu"}


class Kept:
    """A store in memory: what it was told, by id."""

    all: ClassVar[dict[str, list[Any]]] = {}
    numbers = count()

    def __init__(self, folder: Path, known: str) -> None:
        self.id = known if known in self.all else f"{folder.name}-{next(self.numbers)}"
        self.told = self.all.setdefault(self.id, [])

    def log(self, lines: list[Line]) -> None:
        self.told += [(line["split"], line["step"]) for line in lines]

    def close(self, state: str, figures: dict[str, float], files: list[Path]) -> None:
        self.told.append((state, [path.name for path in files], figures))


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """The runs in the store."""
    monkeypatch.setattr(Kept, "all", {})
    return Kept.all


@pytest.fixture
def run(workspace: Path) -> Path:
    """A run that was trained without a tracker."""
    return commands.fit(configs.load(PRESET, {**SHORT, "train.out": str(workspace / "run")}))


def test_a_run_that_goes_on_keeps_its_id_and_sends_no_line_twice(run: Path, kept: dict[str, list[Any]]) -> None:
    lines = read_journal(run)
    Tracked(run, "fake", Kept).log(lines[:4])
    Tracked(run, "fake", Kept).log(lines[4:])
    (told,) = kept.values()
    assert told == [(line["split"], line["step"]) for line in lines]


def test_lines_that_an_earlier_process_could_not_send_come_first(run: Path, kept: dict[str, list[Any]]) -> None:
    lines = read_journal(run)
    Tracked(run, "fake", Kept).log(lines[-1:])
    (told,) = kept.values()
    assert told == [(line["split"], line["step"]) for line in lines]


def test_a_store_that_has_lost_the_run_gets_all_of_it_again(run: Path, kept: dict[str, list[Any]]) -> None:
    lines = read_journal(run)
    Tracked(run, "fake", Kept).log(lines)
    kept.clear()
    Tracked(run, "fake", Kept).log(lines[-1:])
    assert [len(told) for told in kept.values()] == [9]


def test_what_is_kept_of_a_run_is_written_in_one_move(
    run: Path, kept: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = read_journal(run)
    Tracked(run, "fake", Kept).log(lines[:4])
    with monkeypatch.context() as full:
        full.setattr(Path, "write_text", lambda path, text, *_: path.write_bytes(text[:9].encode()) and (1 / 0))
        with pytest.raises(ZeroDivisionError):
            Tracked(run, "fake", Kept).log(lines[4:])
    assert json.loads((run / "fake.json").read_text("utf-8"))["id"] in kept


@pytest.mark.parametrize("text", ["", "[]", "\0\0"])
def test_an_id_that_is_damaged_counts_as_not_there(text: str, run: Path, kept: dict[str, list[Any]]) -> None:
    (run / "fake.json").write_text(text, "utf-8")
    Tracked(run, "fake", Kept).log(read_journal(run))
    assert [len(told) for told in kept.values()] == [9]
    assert json.loads((run / "fake.json").read_text("utf-8"))["id"] in kept


def test_what_is_written_after_a_run_was_closed_is_sent_as_well(run: Path, kept: dict[str, list[Any]]) -> None:
    tracked = Tracked(run, "fake", Kept)
    tracked.log(read_journal(run))
    tracked.close()
    tracked.close()
    value = commands.evaluate(run)["value"]
    tracked.close()
    (told,) = kept.values()
    assert [line[:2] for line in told[9:]] == [
        ("finished", ["config.yaml", "manifest.json"]),
        ("finished", ["config.yaml", "manifest.json", "evaluation.json"]),
    ]
    assert told[-1][2]["evaluation/error"] == value


def test_a_run_comes_with_where_it_comes_from(run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text("utf-8"))
    about = beside.origin(run)
    assert about["code.sha256"] == manifest["code"]["sha256"]
    assert about["data.sample.py"] == "drawn from seeds"
    assert (about["seed"], about["run_folder"]) == ("0", str(run))


@pytest.mark.usefixtures("workspace")
def test_a_run_is_called_like_its_folder_and_its_study() -> None:
    names = [
        beside.title(Path(name).absolute()) for name in ("runs/cnn-1", "runs/folds-1/fold-2", "elsewhere/a", "/x/y")
    ]
    assert names == ["cnn-1", "folds-1/fold-2", "elsewhere/a", "y"]
    # copier: endfilter
