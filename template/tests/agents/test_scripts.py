# copier: filter replace("my_project", package_name)
"""The scripts of the skills are thin, take words, print JSON, and end with a status that says what happened."""

import json
import runpy
import sys
from pathlib import Path

import pytest

from my_project import config as configs
from my_project_agents import scripts

CLAUDE = Path(__file__).parents[2] / ".claude"
SCRIPTS = sorted(path for path in CLAUDE.glob("skills/*/scripts/*.py") if "scripts import start" in path.read_text())
WRONG = {
    "audit": ["x"],
    "diagnose": ["nowhere"],
    "review": ["--base", "nothing"],
    "validate_architecture": ["--spec", "x"],
}

every_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: f"{path.parts[-3]}-{path.stem}")


def run(script: Path, words: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a script in this process; return its status."""
    monkeypatch.setattr(sys, "argv", [script.name, *words])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(script), run_name="__main__")
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.skipif(not CLAUDE.is_dir(), reason=".claude was removed")
def test_every_script_that_the_skills_name_is_there() -> None:
    assert len(SCRIPTS) >= 9


@every_script
def test_a_script_is_thin_and_helps(
    script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(script.read_text().splitlines()) <= 25
    assert run(script, ["--help"], monkeypatch) == 0
    assert "usage: " in capsys.readouterr().out


@every_script
def test_wrong_use_ends_with_2_and_one_line(
    script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(script, WRONG.get(script.stem, []), monkeypatch) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "error: " in told.err.strip().splitlines()[-1]


def test_a_script_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert scripts.start("contract", words=["--preset", configs.DEFAULT_PRESET]) == 0
    assert json.loads(capsys.readouterr().out)["ok"]


def test_the_test_of_a_model_is_written_on_demand(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = workspace / "src" / configs.__name__.partition(".")[0] / "models"
    models.mkdir(parents=True)
    (models / "wide_net.py").touch()
    words = ["--model", "wide_net", "--write-test", "--dry-run"]
    assert scripts.start("contract", words=words) == 0
    assert json.loads(capsys.readouterr().out)["files"] == ["tests/test_wide_net_contract.py"]
    assert scripts.start("contract", words=["--preset", "x", "--write-test"]) == 2


def test_a_check_that_fails_ends_with_1(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = workspace / "run"
    run.mkdir()
    lines = [{"step": step, "split": "train", "loss": 1.0 + step} for step in range(8)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert scripts.start("diagnosis", words=[str(run)]) == 1
    assert not json.loads(capsys.readouterr().out)["ok"]
    # copier: endfilter
