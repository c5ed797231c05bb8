# copier: filter replace("my_project", package_name)
"""What a run measures reaches a tracker, and a tracker never reaches the run."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from my_project import config as configs
from my_project import run as commands
from my_project.training import background, storage
from my_project.training.background import Background, Line
from my_project.training.storage import read_journal

from .sample import PRESET

SHORT = {"train.steps": 6, "train.eval_every": 2, "train.log_every": 1, "train.out": "run", "train.device": "cpu"}


def fit(track: Background, monkeypatch: pytest.MonkeyPatch, **options: object) -> Path:
    monkeypatch.setattr(storage, "TRACKERS", [track])
    folder = commands.fit(configs.load(PRESET, {**SHORT, **options}))
    track.close()
    return folder


@pytest.mark.usefixtures("workspace")
def test_a_tracker_gets_every_line_and_then_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    got = list[object]()
    fit(
        Background("fake", lambda _, line: got.append((line["split"], line["step"])), lambda: got.append("end")),
        monkeypatch,
    )
    assert got == [*((line["split"], line["step"]) for line in read_journal(Path("run"))), "end"]
    assert len(got) == 10


def test_a_tracker_that_raises_at_the_end_costs_one_warning(workspace: Path, caplog: pytest.LogCaptureFixture) -> None:
    def refuse() -> None:
        raise ConnectionError("nobody answers")

    track = Background("fake", lambda *_: None, refuse)
    track(workspace, {"step": 1})
    track.close()
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert said == ["fake is left out from now on: ConnectionError: nobody answers; metrics.jsonl has every line"]


@pytest.mark.parametrize("who", ["user:s3cret", "s3cret", "user:t0@s3cret", "user:t0/s3cret"])
def test_who_signs_in_at_a_server_is_not_said(who: str, workspace: Path, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(*_: object) -> None:
        raise ConnectionError(f"no answer from http://{who}@there.example/api, see https://here.example/why")

    track = Background("fake", refuse)
    track(workspace, {"step": 1})
    track.close()
    assert "ConnectionError: no answer from http://…@there.example/api, see https://here.example/why;" in caplog.text
    assert "s3cret" not in caplog.text


def test_an_error_is_said_in_one_line_and_a_secret_is_left_out_before_it_is_cut() -> None:
    assert background.words(ValueError("two\n  lines")) == "ValueError: two lines"
    word = "s3cret"
    for length in range(300):
        assert word not in background.words(OSError(f"{'x' * length} http://user:{word}@there.example"))
    assert len(background.words(OSError("x" * 9999))) == 300


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
    free, waited = threading.Event(), list[float]()
    track = Background("fake", wait_for(free))
    monkeypatch.setattr(track.thread, "join", waited.append)
    fit(track, monkeypatch)
    free.set()
    assert waited == [background.PATIENCE]
    assert len(read_journal(Path("run"))) == 9
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert said == ["fake is left out from now on: it did not end within 10 s; metrics.jsonl has every line"]


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
