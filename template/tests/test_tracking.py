# copier: filter replace("my_project", package_name)
"""What a run measures reaches a tracker, and a tracker never reaches the run."""

import logging
import shutil
import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from my_project import config as configs
from my_project import run as commands
from my_project.training import background, storage
from my_project.training import track_tensorboard as tensorboard
from my_project.training.background import Background, Line
from my_project.training.storage import read_journal

from .sample import PRESET

SHORT = {"train.steps": 6, "train.eval_every": 2, "train.log_every": 1, "train.out": "run", "train.device": "cpu"}


def board_of(folder: Path) -> Any:
    """What TensorBoard itself reads from a run folder."""
    module = import_module("tensorboard.backend.event_processing.event_accumulator")
    return module.EventAccumulator(str(folder / "tensorboard")).Reload()


def fit(track: Background, monkeypatch: pytest.MonkeyPatch, **options: object) -> Path:
    monkeypatch.setattr(storage, "TRACKERS", [track])
    folder = commands.fit(configs.load(PRESET, {**SHORT, **options}))
    track.close()
    return folder


@pytest.mark.usefixtures("workspace")
def test_every_figure_of_the_journal_is_on_the_board(monkeypatch: pytest.MonkeyPatch) -> None:
    fit(Background("tensorboard", tensorboard.write), monkeypatch)
    board = board_of(Path("run"))
    lines = read_journal(Path("run"))
    assert len(lines) == 9
    for line in lines:
        for name in {"loss", "error", "grad_norm", "lr"} & line.keys():
            values = {event.step: event.value for event in board.Scalars(f"{line['split']}/{name}")}
            assert values[line["step"]] == pytest.approx(line[name], rel=1e-6)


def test_a_resumed_run_hides_what_was_written_after_its_checkpoint(workspace: Path) -> None:
    for step, loss in ((1, 1.0), (2, 2.0), (3, 3.0), (2, 20.0), (3, 30.0)):
        if (step, loss) == (2, 20.0):
            tensorboard.writers.clear()  # another process
        tensorboard.write(workspace, {"step": step, "split": "train", "seconds": 0.5, "loss": loss})
    board = board_of(workspace)
    assert [(event.step, event.value) for event in board.Scalars("train/loss")] == [(1, 1.0), (2, 20.0), (3, 30.0)]
    assert board.Tags()["scalars"] == ["train/loss"]


def test_a_board_whose_folder_is_gone_raises_where_it_is_written_and_nowhere_else(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    line: Line = {"step": 1, "split": "train", "seconds": 0.5, "loss": 1.0}

    def write_often() -> None:
        for _ in range(100):
            tensorboard.write(workspace, line)

    write_often()
    shutil.rmtree(workspace / "tensorboard")
    with pytest.raises(FileNotFoundError):
        write_often()


@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize("kind", [ConnectionError, SystemExit])
def test_a_tracker_that_raises_costs_one_warning(
    kind: type[BaseException], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise kind("nobody answers")

    fit(Background("fake", refuse), monkeypatch)
    assert len(read_journal(Path("run"))) == 9
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert said == [
        f"fake is left out from now on: {kind.__name__}: nobody answers; metrics.jsonl has every line",
    ]


def wait_for(event: threading.Event) -> Callable[[Path, Line], None]:
    def write(*_: object) -> None:
        event.wait()

    return write


@pytest.mark.usefixtures("workspace")
def test_a_tracker_that_hangs_costs_one_warning_and_no_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    free = threading.Event()
    monkeypatch.setattr(background, "PATIENCE", 0.05)
    fit(Background("fake", wait_for(free)), monkeypatch)
    free.set()
    assert len(read_journal(Path("run"))) == 9
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert said == ["fake is left out from now on: it did not end within 0 s; metrics.jsonl has every line"]


def test_a_tracker_that_is_too_slow_is_left_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, workspace: Path
) -> None:
    free = threading.Event()
    monkeypatch.setattr(background, "LONGEST_QUEUE", 2)
    track = Background("fake", wait_for(free))
    for step in range(9):
        track(workspace, {"step": step})
    free.set()
    track.close()
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert said == ["fake is left out from now on: 2 lines wait for it; metrics.jsonl has every line"]
    # copier: endfilter
