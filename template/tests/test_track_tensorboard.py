# copier: filter replace("my_project", package_name)
"""TensorBoard shows what the journal holds."""

import shutil
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from my_project import config as configs
from my_project import run as commands
from my_project.training import storage
from my_project.training import track_tensorboard as tensorboard
from my_project.training.background import Background, Line
from my_project.training.storage import read_journal

from .sample import PRESET

SHORT = {"train.steps": 6, "train.eval_every": 2, "train.log_every": 1, "train.out": "run", "train.device": "cpu"}


def board_of(folder: Path) -> Any:
    """What TensorBoard itself reads from a run folder."""
    module = import_module("tensorboard.backend.event_processing.event_accumulator")
    return module.EventAccumulator(str(folder / "tensorboard")).Reload()


@pytest.mark.usefixtures("workspace")
def test_every_figure_of_the_journal_is_on_the_board(monkeypatch: pytest.MonkeyPatch) -> None:
    track = Background("tensorboard", tensorboard.write)
    monkeypatch.setattr(storage, "TRACKERS", [track])
    commands.fit(configs.load(PRESET, SHORT))
    track.close()
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
            tensorboard.boards.clear()  # another process
        tensorboard.write(workspace, {"step": step, "split": "train", "seconds": 0.5, "loss": loss})
    board = board_of(workspace)
    assert [(event.step, event.value) for event in board.Scalars("train/loss")] == [(1, 1.0), (2, 20.0), (3, 30.0)]
    assert board.Tags()["scalars"] == ["train/loss"]


def test_lines_are_written_where_no_thread_can_start(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:  # as Python 3.12 does from the end of the main thread on
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    for step in (1, 2):
        tensorboard.write(workspace, {"step": step, "split": "train", "seconds": 0.5, "loss": float(step)})
    assert [(event.step, event.value) for event in board_of(workspace).Scalars("train/loss")] == [(1, 1.0), (2, 2.0)]


def test_a_board_whose_folder_is_gone_raises(workspace: Path) -> None:
    line: Line = {"step": 1, "split": "train", "seconds": 0.5, "loss": 1.0}
    tensorboard.write(workspace, line)
    shutil.rmtree(workspace / "tensorboard")
    with pytest.raises(FileNotFoundError):
        tensorboard.write(workspace, line)
    # copier: endfilter
