# copier: filter replace("my_project", package_name)
"""What is said while a run trains stands in its log.txt, whatever becomes of the run or of the log."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from my_project import run as commands
from my_project.__main__ import main
from my_project.config import load
from my_project.training import storage, track_log
from my_project.training.trainer import Trainer

from .sample import PRESET

SHORT = {"train.steps": 8, "train.eval_every": 4, "train.log_every": 2, "optim.warmup_steps": 2, "train.out": "run"}
PACKAGE = "my_project"
LINE = re.compile(rf"[\d-]+ [\d:]+,\d+ (DEBUG|INFO|WARNING|ERROR) {PACKAGE}[.\w]*: .+")


@pytest.fixture(autouse=True)
def log(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[track_log.RunLog]:
    """A log that no other test has written to, as a process has it that imports the package."""
    caplog.set_level(logging.DEBUG, PACKAGE)
    monkeypatch.setattr(storage, "TRACKERS", [track_log.track])
    monkeypatch.setattr(track_log, "LOG", made := track_log.RunLog())
    track_log.listen()
    yield made
    logging.getLogger().removeHandler(made)


def lines(folder: str = "run") -> list[str]:
    """Read a run's log."""
    return Path(folder, "log.txt").read_text("utf-8").splitlines()


def said(text: str, folder: str = "run") -> list[int]:
    """Return where a log says this."""
    return [number for number, line in enumerate(lines(folder)) if text in line]


def test_a_log_has_the_beginning_the_steps_the_checkpoints_and_the_end() -> None:
    commands.train(overrides=SHORT, config=PRESET)
    assert all(LINE.fullmatch(line) for line in lines())
    for text in (f"{PACKAGE}.training.device: training on", f"{PACKAGE}.run: writing to run"):
        assert len(said(text)) == 1
    assert len(said(f"INFO {PACKAGE}.training.storage: step ")) == 2  # evaluations
    assert len(said(f"DEBUG {PACKAGE}.training.storage: step ")) == 4  # lines on the training loss
    saved = said(f"wrote {Path('run/last.pt')}")
    assert len(saved) == 3
    order = [*said("training on"), *said("writing to"), saved[0], *said("step 2 of 8"), saved[-1], *said("report: ")]
    assert order == sorted(order)
    assert order[-1] == len(lines()) - 1


def test_each_run_of_a_process_has_a_log_of_its_own() -> None:
    for out in ("one", "two"):
        commands.fit(load(PRESET, {**SHORT, "train.out": out}))
    for out, other in (("one", "two"), ("two", "one")):
        assert len(said(f"writing to {out}", out)) == 1
        assert not said(f"writing to {other}", out)
        assert not said(f"wrote {Path(other)}", out)
        assert len(said("step 8 of 8", out)) == 2
    assert lines("one")[0].endswith("training on cpu")
    assert lines("two")[0].endswith("writing to two")


def test_a_run_that_fails_before_its_first_line_has_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise MemoryError("out of memory")

    monkeypatch.setattr(Trainer, "update", fail)
    with pytest.raises(MemoryError):
        commands.train(overrides=SHORT, config=PRESET)
    assert not Path("run/metrics.jsonl").read_text()
    assert said("writing to run")


def test_the_error_that_ends_a_command_is_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    update = Trainer.update

    def fail(self: Trainer, batches: Any) -> None:
        update(self, batches)
        if self.step == 5:
            raise MemoryError("out of memory in step 5")

    monkeypatch.setattr(Trainer, "update", fail)
    options = [f"--{name.replace('_', '-')}={value}" for name, value in SHORT.items()]
    assert main(["train", "--config", str(PRESET), *options]) == 4
    assert lines()[-1].endswith(f"ERROR {PACKAGE}: error: out of memory in step 5")


def test_a_run_goes_on_without_a_log_that_cannot_be_written(caplog: pytest.LogCaptureFixture) -> None:
    Path("run").mkdir()
    before = commands.fit(load(PRESET, SHORT))
    (before / "log.txt").unlink()
    (before / "log.txt").mkdir()
    commands.fit(load(PRESET, {**SHORT, "train.steps": 12}), resume=before)
    assert "step 12 of 12" in caplog.text


def test_a_process_that_never_trains_keeps_no_more_than_a_beginning(log: track_log.RunLog) -> None:
    for number in range(1000):
        logging.getLogger(f"{PACKAGE}.serving").warning("answered %d", number)
    log.follow(Path())
    assert [line.rpartition(" ")[2] for line in lines(".")] == [str(number) for number in range(track_log.MOST_BEFORE)]


def test_what_is_wrongly_said_ends_nothing(log: track_log.RunLog) -> None:
    log.follow(Path())
    for message, given in (("%d rows", "many"), ("%s and %s", "one")):
        log.emit(logging.LogRecord(PACKAGE, logging.INFO, "", 1, message, (given,), None))
    log.emit(logging.LogRecord(PACKAGE, logging.INFO, "", 1, "%d rows", (3,), None))
    assert [line.rpartition(": ")[2] for line in lines(".")] == ["3 rows"]


def test_warnings_still_reach_a_terminal_where_nobody_set_up_logging(
    monkeypatch: pytest.MonkeyPatch, log: track_log.RunLog
) -> None:
    root = logging.getLogger()
    root.removeHandler(log)
    with monkeypatch.context() as patch:
        patch.setattr(root, "handlers", [])
        track_log.track(Path(), {})
        assert root.handlers == []
    track_log.listen()
    assert log in root.handlers
    # copier: endfilter
