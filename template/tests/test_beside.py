# copier: filter replace("my_project", package_name)
"""A tracker in a process of its own: what reaches it, whatever ends the run, and what its failure costs."""

import io
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from my_project import config as configs
from my_project import run as commands
from my_project.training import background, beside, storage
from my_project.training.background import Background
from my_project.training.beside import Beside
from my_project.training.storage import read_journal

from .sample import PRESET

SHORT = {"train.steps": 6, "train.eval_every": 2, "train.log_every": 1, "train.out": "run", "train.device": "cpu"}
# A tracker's program: it writes down what it gets, and does what WHAT says when it gets the third line.
FAKE = """
import json, os, sys, time
from pathlib import Path
from my_project.training.beside import serve

class Store:
    def __init__(self, folder, known):
        print("a word for nobody")
        self.id = known or "first"

    def log(self, lines):
        for line in lines:
            with Path("got.jsonl").open("a") as file:
                file.write(json.dumps([line["split"], line["step"]]) + "\\n")
            if line["step"] == 2 and line["split"] == "train":
                eval(os.environ["WHAT"])

    def close(self, state, figures, files):
        Path("closed.json").write_text(json.dumps([state, figures, [path.name for path in files]]))

def refuse():
    raise ConnectionError("nobody\\nanswers")

serve("fake", Store)
"""
# A run that sends lines and does not come to its end.
KILLED = """
import os, signal, time
from pathlib import Path
from my_project.training.beside import Beside

process = Beside("fake_tracker")
process.write(Path("run").absolute(), {"step": 1, "split": "train", "loss": 1.0})
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def fake(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Background:
    """The tracker whose program is above."""
    (workspace / "fake_tracker.py").write_text(FAKE, "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(workspace))
    monkeypatch.setenv("WHAT", "None")
    process = Beside("fake_tracker")
    track = Background("fake", process.write, process.end)
    monkeypatch.setattr(storage, "TRACKERS", [track])
    return track


def fit(track: Background, **options: object) -> None:
    """Train, and end as a process ends."""
    commands.fit(configs.load(PRESET, {**SHORT, **options}))
    track.close()


def got() -> list[list[Any]]:
    return [json.loads(line) for line in Path("got.jsonl").read_text("utf-8").splitlines()]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_every_line_and_the_end_reach_the_process(
    fake: Background, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    fit(fake)
    assert got() == [[line["split"], line["step"]] for line in read_journal(Path("run"))]
    assert len(got()) == 9
    state, _, files = json.loads(Path("closed.json").read_text("utf-8"))
    assert (state, files) == ("finished", ["config.yaml", "manifest.json"])
    assert warnings(caplog) == []
    assert "a word for nobody" not in "".join(capfd.readouterr())


def test_a_process_that_fails_costs_one_warning_with_its_words(
    fake: Background, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WHAT", "refuse()")
    fit(fake)
    assert len(read_journal(Path("run"))) == 9
    words = "RuntimeError: ConnectionError: nobody answers"
    assert warnings(caplog) == [f"fake is left out from now on: {words}; metrics.jsonl has every line"]


def test_a_process_that_is_killed_costs_one_warning(
    fake: Background, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WHAT", "os.kill(os.getpid(), 9)")
    fit(fake)
    assert len(read_journal(Path("run"))) == 9
    words = "RuntimeError: its process ended with status -9"
    assert warnings(caplog) == [f"fake is left out from now on: {words}; metrics.jsonl has every line"]


def test_a_library_that_is_not_there_is_named(workspace: Path, caplog: pytest.LogCaptureFixture) -> None:
    process = Beside("nowhere_to_be_found")
    track = Background("fake", process.write, process.end)
    track(workspace, {"step": 1, "split": "train"})
    track.close()
    (warning,) = warnings(caplog)
    assert "No module named nowhere_to_be_found" in warning


def test_a_process_that_hangs_does_not_hold_the_run(
    fake: Background, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(beside, "PATIENCE", 0.1)
    monkeypatch.setenv("WHAT", "time.sleep(60)")
    fit(fake)
    assert warnings(caplog) == ["fake_tracker is still at work, and goes on for 300 s at most"]
    process = fake.end.__self__.process  # type: ignore[attr-defined]
    process.kill()
    process.wait()


def test_a_process_is_waited_for_a_little_less_than_its_thread(caplog: pytest.LogCaptureFixture) -> None:
    waited = list[float]()

    class Busy:
        stdin = io.StringIO()

        def wait(self, timeout: float) -> None:
            waited.append(timeout)
            raise subprocess.TimeoutExpired("fake", timeout)

    process: Any = Beside("fake_tracker")
    process.process, process.said = Busy(), io.BytesIO()
    process.end()
    assert waited == [beside.PATIENCE]
    assert 0 < beside.PATIENCE < background.PATIENCE - 1
    assert warnings(caplog) == ["fake_tracker is still at work, and goes on for 300 s at most"]


def test_a_run_that_is_killed_is_closed_all_the_same(fake: Background, workspace: Path) -> None:
    fit(fake)
    for name in ("closed.json", "run/fake.json"):
        Path(name).unlink()
    path = Path("run/metrics.jsonl")
    path.write_text("".join(path.read_text("utf-8").splitlines(keepends=True)[:3]), "utf-8")
    paths = f"{Path(beside.__file__).parents[2]}{os.pathsep}{workspace}"
    killed = subprocess.run([sys.executable, "-c", KILLED], check=False, env={**os.environ, "PYTHONPATH": paths})
    assert killed.returncode == -signal.SIGKILL
    until = time.monotonic() + 30
    while not Path("closed.json").exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert json.loads(Path("closed.json").read_text("utf-8"))[0] == "stopped"
    # copier: endfilter
