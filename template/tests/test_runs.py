# copier: filter replace("my_project", package_name)
"""All runs stand in one table, each as it stands."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from my_project import config as configs
from my_project import run as commands
from my_project.__main__ import main
from my_project.commands import runs
from my_project.training import storage

from .sample import PRESET

SHORT = {"train.steps": 6, "train.eval_every": 2, "train.log_every": 1, "train.device": "cpu"}
# Another process that holds a run, as one does that trains.
HOLDER = """
import fcntl, os, sys

with open("runs/one/lock", "r+b", buffering=0) as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    file.write(b"%d" % os.getpid())
    print("held", flush=True)
    sys.stdin.read()
"""


def fit(name: str, **options: object) -> Path:
    more = {f"train.{key}": value for key, value in options.items()}
    return commands.fit(configs.load(PRESET, {**SHORT, "train.out": f"runs/{name}", **more}))


def listed(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, dict[str, Any]]:
    assert main(["runs", *words]) == 0
    return {record["run"]: record for record in json.loads(capsys.readouterr().out)}


def test_each_run_says_what_it_was_and_how_good(capsys: pytest.CaptureFixture[str]) -> None:
    run = fit("one", seed=3)
    commands.evaluate(run)
    found = listed(capsys)["runs/one"]
    errors = {line["error"]: line["step"] for line in storage.read_journal(run) if line["split"] == "val"}
    assert (found["preset"], found["state"], found["step"], found["steps"]) == ("sample", "finished", 6, 6)
    assert (found["primary"], found["best"], found["best_step"]) == ("error", min(errors), errors[min(errors)])
    assert (found["seed"], found["started"]) == (3, json.loads((run / "manifest.json").read_text())["written"])


def test_runs_in_the_folder_of_a_study_are_listed_too_and_the_oldest_comes_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, started in (("b", "2026-03-02"), ("study/a", "2026-03-01"), ("study/deep/c", "2026-03-03")):
        storage.write_json(fit(name) / "manifest.json", {"seed": 0, "written": started})
    assert [*listed(capsys)] == ["runs/study/a", "runs/b", "runs/study/deep/c"]
    assert [*listed(capsys, "--folder", "runs/study")] == ["study/a", "study/deep/c"]


def test_a_run_whose_lock_is_held_is_running_and_keeps_its_lock(capsys: pytest.CaptureFixture[str]) -> None:
    run = fit("one")
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdin=pipe, stdout=pipe) as other:
        assert other.stdin
        assert other.stdout
        assert other.stdout.readline() == b"held\n"
        found = listed(capsys)["runs/one"]
        with pytest.raises(OSError, match=f"in use by process {other.pid}"), storage.locked(run):
            pass
        other.stdin.close()
    assert (found["state"], found["why"]) == ("running", f"process {other.pid}")
    assert listed(capsys)["runs/one"]["state"] == "finished"


def test_what_stopped_failed_or_is_damaged_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    whole = fit("whole")
    for name in ("stopped", "damaged"):
        shutil.copytree(whole, f"runs/{name}")
    lines = (whole / "metrics.jsonl").read_text("utf-8").splitlines(keepends=True)
    Path("runs/stopped/metrics.jsonl").write_text("".join(lines[:4]), "utf-8")
    Path("runs/damaged/config.yaml").write_text("a: [", "utf-8")
    config = {**SHORT, "train.out": "runs/failed", "optim.lr": 1e30, "optim.grad_clip": 0, "optim.warmup_steps": 0}
    with pytest.raises(FloatingPointError):
        commands.fit(configs.load(PRESET, config))
    assert main(["runs"]) == 0
    told = capsys.readouterr()
    states = {record["run"].removeprefix("runs/"): record["state"] for record in json.loads(told.out)}
    assert states == {"whole": "finished", "stopped": "stopped", "damaged": "damaged", "failed": "failed"}
    for words in ("stopped at step 3 of 6", "damaged (config.yaml is damaged)", "failed at step 2 of 6 (loss nan"):
        assert words in told.err


def test_a_damaged_run_takes_no_other_from_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    whole = fit("whole")
    for name, content in (
        ("metrics.jsonl", '\0\0\0{"step": 3}\n'),
        ("config.yaml", "train:\n"),
        ("manifest.json", '{"written": 5}'),
        ("evaluation.json", '{"value": 0.5}'),
    ):
        shutil.copytree(whole, f"runs/{name}")
        Path("runs", name, name).write_text(content, "utf-8")
    why = {record["run"].removeprefix("runs/"): record["why"] for record in listed(capsys).values()}
    assert why.pop("whole") == ""
    assert len(why) == 4
    for name, reason in why.items():
        assert reason == f"{name} is damaged"


def test_a_run_that_was_not_evaluated_has_the_goal_of_its_kin(capsys: pytest.CaptureFixture[str]) -> None:
    commands.evaluate(fit("evaluated"))
    fit("not")
    found = listed(capsys)
    assert found["runs/not"]["primary"] == "error"
    assert found["runs/not"]["best"] == found["runs/evaluated"]["best"]
    shutil.rmtree("runs/evaluated")
    assert listed(capsys)["runs/not"]["best"] is None


def test_a_run_of_other_data_does_not_get_that_goal(capsys: pytest.CaptureFixture[str]) -> None:
    commands.evaluate(fit("evaluated"))
    other = fit("other") / "config.yaml"
    other.write_text(other.read_text("utf-8").replace("kind: sample", "kind: another", 1), "utf-8")
    assert listed(capsys)["runs/other"]["primary"] is None


@pytest.mark.parametrize(("higher", "value", "step"), [(True, 0.9, 4), (False, 0.2, 6)])
def test_the_best_value_is_the_first_of_its_direction_on_the_validation_split(
    higher: bool, value: float, step: int
) -> None:
    values = [("val", 2, 0.5), ("val", 4, 0.9), ("train", 5, 9.0), ("train", 5, -9.0), ("val", 6, 0.2), ("val", 8, 0.9)]
    lines = [{"split": split, "step": at, "figure": figure} for split, at, figure in [*values, ("val", 9, 0.2)]]
    lines.append({"split": "val", "step": 10, "loss": 1.0})
    assert runs.best(lines, ("figure", higher)) == {"primary": "figure", "best": value, "best_step": step}


def test_the_time_of_a_run_that_was_resumed_is_all_of_it() -> None:
    lines = [{"seconds": seconds} for seconds in (1.0, 2.0, 2.0, 5.0, 0.5, 3.0)]
    assert runs.duration(lines) == 8.0
    assert runs.duration([]) == 0.0


def test_a_checkpoint_of_two_names_takes_its_place_once() -> None:
    run = fit("one")
    weight = (run / "last.pt").stat().st_size
    before = runs.size(run)
    (run / "again.pt").hardlink_to(run / "last.pt")
    assert runs.size(run) == before
    shutil.copy(run / "last.pt", run / "other.pt")
    assert runs.size(run) == before + weight


def test_two_hundred_runs_are_listed_in_a_moment_and_no_checkpoint_is_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = fit("run-0")
    commands.evaluate(run)
    for number in range(1, 200):
        shutil.copytree(run, f"runs/run-{number}")

    def refuse(path: Path) -> dict[str, Any]:
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr(storage, "load_checkpoint", refuse)
    started = time.process_time()
    assert len(runs.main(folder=Path("runs"))) == 200
    assert time.process_time() - started < 5
    assert capsys.readouterr().out == ""


def test_a_folder_that_is_not_there_is_refused_and_an_empty_one_said(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["runs"]) == 2
    assert "--folder: runs is not there" in capsys.readouterr().err
    (workspace / "runs").mkdir()
    assert main(["runs"]) == 0
    assert "no run in runs" in capsys.readouterr().err
    # copier: endfilter
