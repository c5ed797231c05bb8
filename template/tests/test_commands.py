# copier: filter replace("my_project", package_name)
"""The command line: what it prints, how it refuses, which status it ends with."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import my_project
from my_project import config as configs
from my_project.__main__ import main

from .sample import PRESET

PROJECT = Path(__file__).parents[1]
FAST = ["--config", str(PRESET), "--fast-dev-run"]


def test_train_says_where_its_report_lies(capfd: pytest.CaptureFixture[str], workspace: Path) -> None:
    assert main(["train", *FAST]) == 0
    out, err = capfd.readouterr()
    result = json.loads(out)
    assert result == {"run": "runs/sample-1", "error": result["error"], "report": "runs/sample-1/report.html"}
    assert "report: runs/sample-1/report.html" in err
    assert "\r" not in err, "no progress bar in a pipe"
    assert main(["-v", "evaluate", "runs/sample-1"]) == 0
    (workspace / "vectors.csv").write_text("3,0,4,0\n0,0,0,1\n")
    assert main(["predict", "runs/sample-1", "vectors.csv"]) == 0
    assert main(["report", "runs/sample-1"]) == 0
    assert main(["data", "verify"]) == 0
    assert main(["train", "--resume", "runs/sample-1", "--train.steps=3"]) == 0
    assert main(["train", "--init-from", "runs/sample-1", *FAST]) == 0
    assert main(["train", "--overfit-batches", "1", *FAST]) == 0
    with pytest.raises(SystemExit) as failed:  # two steps do not make a good model
        main(["evaluate", "runs/sample-1", "--gate"])
    assert failed.value.code == 1


def test_a_config_file_trains(workspace: Path) -> None:
    (workspace / "mine.yaml").write_text("data: {kind: sample}\nmodel: {kind: sample, dim: 8}\ntrain: {steps: 2}\n")
    assert main(["train", "--config", "mine.yaml"]) == 0
    assert (workspace / "runs/mine-1/best.pt").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("train --optim.lrr 1", "unknown option 'optim.lrr': did you mean optim.lr?"),
        ("train --optim.lr abc", "optim.lr: got 'abc', want a valid number"),
        ("train --optim.lr -1", "optim.lr: got '-1', want a number greater than 0"),
        ("train nope", "unknown preset 'nope': "),
        ("train --config nope.yaml", "nope.yaml: no such config file"),
        ("train --bogus", "unknown option 'bogus'"),
        ("train any extra", "unknown option 'extra'"),
        ("train any --config x.yaml", "exclude one another"),
        ("train --resume nowhere", "nowhere is not a run folder"),
        ("train --overfit-batches x", "invalid int value: 'x'"),
        ("train --overfit-batches -1", "want 1 or more"),
        ("train --optim.freeze [nose]", "no parameter begins with 'nose'"),
        ("evaluate nowhere", "nowhere is not a run folder"),
        ("evaluate . --split all", "invalid choice: 'all'"),
        ("evaluate . --split train --final", "the test split is sealed"),
        ("evaluate . --split test", "the test split is sealed"),
        ("evaluate . --optim.lr 1", "unrecognized arguments"),
        ("predict . nowhere.csv", ". is not a run folder"),
        ("", "the following arguments are required: COMMAND"),
    ],
)
def test_wrong_use_ends_with_status_two_and_one_line(
    words: str, message: str, capfd: pytest.CaptureFixture[str], workspace: Path
) -> None:
    assert main(words.split()) == 2
    out, err = capfd.readouterr()
    lines = [line for line in err.splitlines() if not line.startswith("training on")]
    assert (out, len(lines)) == ("", 1)
    assert message in lines[0]
    assert not (workspace / "runs").exists()


@pytest.mark.parametrize(
    ("error", "status"), [(FloatingPointError, 3), (FileNotFoundError, 4), (MemoryError, 4), (KeyboardInterrupt, 130)]
)
def test_each_kind_of_failure_has_its_status(
    error: type[BaseException], status: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from my_project import run  # noqa: PLC0415

    def fail(**_: object) -> None:
        raise error("what\nhappened")

    monkeypatch.setattr(run, "report", fail)
    assert main(["report", "x"]) == status
    assert capfd.readouterr().err == "error: what happened\n"


def test_spoilt_data_end_verification_with_status_one(workspace: Path) -> None:
    with pytest.raises(SystemExit) as failed:
        main(["data", "verify", "--folder", str(workspace)])
    assert failed.value.code == 1


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["evaluate", "--help"]])
def test_help_lists_commands_and_options(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert ("--optim.lr " in shown) == ("train" in words)
    assert (f"model and settings ({configs.DEFAULT_PRESET})" in shown) == ("train" in words)


def test_help_does_not_wait_for_torch() -> None:
    package = Path(my_project.__path__[0])
    code = f"import sys, {package.name}.__main__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=package.parent).returncode == 0


def test_the_package_is_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["program", "--help"])
    with pytest.warns(RuntimeWarning, match="sys.modules"), pytest.raises(SystemExit) as ended:
        runpy.run_module(f"{my_project.__name__}.__main__", run_name="__main__")
    assert ended.value.code == 0


def test_the_example_runs(capsys: pytest.CaptureFixture[str], workspace: Path) -> None:
    (workspace / "examples").symlink_to(PROJECT / "examples")
    runpy.run_path(str(PROJECT / "examples/notebook.py"), run_name="__main__")
    assert capsys.readouterr().out
    # copier: endfilter
