# copier: filter replace("my_project", package_name)
"""Five requests to the specialist, answered by a client that follows a script: no account, no network."""

import asyncio
import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from my_project_agents import claims, runner

from .test_claims import CODE, FOUND, TEST, result
from .test_runner import CONTEXT, ask, skill

__all__ = ["skill"]  # the fixture
pytestmark = pytest.mark.skipif(not find_spec("claude_agent_sdk"), reason="the extra `agents` is not installed")
TRUE, QUESTION = {"result": result().model_dump(mode="json"), "preset": "adding"}, {"open_questions": ["Where is it?"]}
LYING = {**TRUE, "result": result(validation__unit_tests="48/48 passing").model_dump(mode="json")}
OPEN = {**QUESTION, "preset": "adding", "result": result(status="partial").model_dump(mode="json")}
SCENARIOS = {
    "a new model": (["create_model_skeleton", "add_tests", "benchmark_model"], TRUE, 0, "implementation_complete"),
    "a repair": (["add_tests"], LYING, 1, "partial"),
    "more speed": (["benchmark_model", "benchmark_model"], TRUE, 0, "implementation_complete"),
    "a paper": ([], QUESTION, 2, "needs_clarification"),
    "a pipeline": (["add_tests"], OPEN, 1, "partial"),
}
GIVEN = {
    "create_model_skeleton": {"name": "adding", "family": "mlp"},
    "add_tests": {"kind": "adding"},
    "benchmark_model": {"preset": "adding"},
}


@pytest.fixture
def project(skill: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The skill's project, with tools that write one function and always measure the same."""
    root = skill.parents[2]

    def write(*paths: tuple[str, str]) -> Callable[..., dict[str, Any]]:
        def tool(*given: object) -> dict[str, Any]:
            for path, text in paths:
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text, encoding="utf-8")
            return {"ok": True, "given": [str(one) for one in given]}

        return tool

    setup = "[tool.pytest.ini_options]\naddopts = ['--cov=adding', '--import-mode=importlib']\n"
    write(("README.md", "x"), ("pyproject.toml", setup), ("src/adding.py", CODE), ("tests/test_adding.py", TEST))()
    monkeypatch.setattr(runner, "create_model_skeleton", write(("src/adding.py", CODE)))
    monkeypatch.setattr(runner, "add_tests", write(("tests/test_adding.py", TEST)))
    monkeypatch.setattr(claims, "measured", lambda *_: FOUND)
    return root


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.usefixtures("project")
def test_a_scenario_ends_as_its_script_says(
    name: str, skill: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, answer, status, word = SCENARIOS[name]
    asked = list[tuple[Any, str]]()

    async def scripted(options: Any, prompt: str) -> Any:
        asked.append((options, prompt))
        if options.permission_mode == "plan":
            return SimpleNamespace(result="First this, then that.")
        for call in calls:
            told = await runner.handler(call, skill.parents[2])(GIVEN[call])
            assert not told["is_error"]
        return SimpleNamespace(structured_output=answer)

    monkeypatch.setattr(runner, "ask", scripted)
    ended, told, _ = ask(skill, capsys, task=name)
    assert (ended, told["status"]) == (status, word)
    assert bool(told.get("differences")) == (answer is LYING)
    (plan, first), (work, second) = asked
    assert (plan.permission_mode, work.permission_mode) == ("plan", "acceptEdits")
    assert not {"Write", "Edit", "Bash"} & {*plan.tools}
    assert plan.setting_sources == work.setting_sources == ["project"]
    assert name in first
    assert "First this, then that." in second
    assert plan.system_prompt == (skill / "agents/ml-expert-specialist.prompt").read_text("utf-8")


def test_a_tool_that_refuses_says_why_in_one_line(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> dict[str, Any]:
        raise ValueError("take another name")

    monkeypatch.setattr(runner, "add_tests", refuse)
    told = asyncio.run(runner.handler("add_tests", project)({"kind": "x"}))
    assert (told["is_error"], told["content"][0]["text"]) == (True, "error: take another name")


def test_an_answer_that_is_no_result_stops_it(
    skill: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scripted(*_: object) -> Any:
        return SimpleNamespace(result="", structured_output={"mood": "good"})

    monkeypatch.setattr(runner, "ask", scripted)
    status, told, _ = ask(skill, capsys)
    assert (status, told["status"]) == (3, "stopped")
    assert "no result package" in told["why"]


def test_it_stops_after_its_minutes(
    skill: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scripted(*_: object) -> Any:
        await asyncio.sleep(60)

    monkeypatch.setattr(runner, "ask", scripted)
    status, told, _ = ask(skill, capsys, "--minutes", "0.0001")
    assert (status, told["status"]) == (3, "stopped")
    assert json.dumps(CONTEXT["task"]) not in told["why"]
    # copier: endfilter
