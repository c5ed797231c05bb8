# copier: filter replace("my_project", package_name)
"""The runner reads a context, says what it would do, and judges what comes back; the tool itself is not started."""

import json
import shutil
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from my_project_agents import PACKAGE, contexts, runner, scripts
from my_project_agents.schemas import Context

from .test_claims import result

CONTEXT: dict[str, Any] = {
    "task": "Implement a gated net",
    "requirements": {"model_type": "mlp", "parameters": "25M target", "framework": "pytorch"},
    "existing_code": {"files": ["model.py"], "status": "partial_implementation"},
    "reference_materials": {"papers": ["TRM.pdf"], "implementations": []},
}


@pytest.fixture
def skill(claude: Path, workspace: Path) -> Path:
    """The skill in a project of its own."""
    folder = workspace / "project/.claude/skills/ml-expert"
    shutil.copytree(claude / "skills/ml-expert", folder)
    for name in ("models/mlp.py", "models/gated_mlp.py", "models/cnn.py", "presets/mlp.yaml"):
        (workspace / "project/src" / PACKAGE / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / "project/src" / PACKAGE / name).write_text("", encoding="utf-8")
    return folder


def ask(skill: Path, capsys: pytest.CaptureFixture[str], *words: str, **changes: Any) -> tuple[int, Any, str]:
    Path("context.json").write_text(json.dumps(CONTEXT | changes), encoding="utf-8")
    status = runner.start(skill, ["--context", "context.json", *words])
    told = capsys.readouterr()
    return status, json.loads(told.out or "null"), told.err


def test_a_dry_run_says_what_would_be_asked(skill: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, told, log = ask(skill, capsys, "--dry-run", "--model", "opus")
    assert (status, told["status"], told["model"]) == (0, "dry run", "opus")
    assert [phase["mode"] for phase in told["phases"]] == ["plan", "acceptEdits"]
    assert not {"Write", "Edit", "Bash", *runner.TOOLS} & {*told["phases"][0]["tools"]}
    assert told["warnings"] == ["model.py is named, but not there", "TRM.pdf is named, but not there"]
    assert "warning: TRM.pdf is named, but not there" in log


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"requirements": {}}, "model_type"),
        ({"requirements": None}, "requirements"),
        ({"task": " "}, "task"),
        ({"mood": "good"}, "mood"),
    ],
)
def test_nothing_is_written_without_requirements(
    skill: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], told: str
) -> None:
    status, out, log = ask(skill, capsys, **changes)
    assert (status, out) == (2, None)
    assert told in log
    assert len(log.strip().splitlines()) == 1


@pytest.mark.parametrize(("text", "told"), [(None, "No such file"), ("{", "no JSON")])
def test_a_context_that_cannot_be_read_is_wrong_use(
    skill: Path, capsys: pytest.CaptureFixture[str], text: str | None, told: str
) -> None:
    if text:
        Path("other.json").write_text(text, encoding="utf-8")
    assert runner.start(skill, ["--context", "other.json"]) == 2
    assert told in capsys.readouterr().err


def test_without_the_extra_one_line_says_how_to_get_it(
    skill: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "find_spec", lambda _: None)
    status, out, log = ask(skill, capsys)
    assert (status, out) == (4, None)
    assert log.splitlines()[-1] == "error: claude-agent-sdk is not installed: uv sync --extra agents"


def test_a_result_that_lies_is_partial(workspace: Path) -> None:
    lying = runner.Answer(result=result(), preset="", open_questions=("Which data?",))
    told = runner.judged(lying, workspace)
    assert told["status"] == told["result"]["status"] == "partial"
    assert "code_files: src/adding.py is no file of this project" in told["differences"]
    assert told["open_questions"] == ["Which data?"]
    assert runner.STATUSES[told["status"]] == 1


def test_questions_without_a_result_want_an_answer(workspace: Path) -> None:
    asking = runner.judged(runner.Answer(open_questions=("Which data?",)), workspace)
    assert (asking["status"], runner.STATUSES[asking["status"]]) == ("needs_clarification", 2)
    assert runner.judged(runner.Answer(), workspace)["status"] == "failed"


def test_a_context_is_gathered_from_the_project(
    skill: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(skill.parents[2])
    for name in ("docs/gates.pdf", "docs/designs/gated_net.md"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    words = ["--task", "Build a gated net", "--model-type", "mlp", "--parameters", "2M", "--feature", "gates"]
    assert scripts.start("contexts", words=[*words, "--out", "context.json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads(Path("context.json").read_text("utf-8"))
    assert Context.model_validate(told).requirements.features == ("gates",)
    models = f"src/{PACKAGE}/models"
    assert told["existing_code"]["files"] == [f"{models}/gated_mlp.py", f"{models}/mlp.py"]
    assert told["reference_materials"]["papers"] == ["docs/gates.pdf", "docs/designs/gated_net.md"]
    assert told["reference_materials"]["implementations"] == [f"{models}/cnn.py"]
    assert contexts.missing(Context.model_validate(told), Path.cwd()) == []


@pytest.mark.skipif(not find_spec("claude_agent_sdk"), reason="the extra `agents` is not installed")
def test_the_sdk_has_what_the_runner_uses() -> None:
    sdk: Any = import_module("claude_agent_sdk")
    assert {"receive_response", "query"} <= {*dir(sdk.ClaudeSDKClient)}
    assert {"output_format", "setting_sources", "permission_mode"} <= {*sdk.ClaudeAgentOptions.__dataclass_fields__}
    # copier: endfilter
