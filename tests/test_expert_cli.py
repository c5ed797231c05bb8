"""The specialist runs on the real command-line tool: five scenarios, and results that are true, partial or lies."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Sample
from tests.scripted_api import Api, Block, Script, say, serve, surroundings, use, written

SKILL = ".claude/skills/ml-expert"
MARK = "CLAUDE.md reached the specialist."
OWN = "mcp__project__"
NOTHING: dict[str, Any] = {"parameter_count": None, "inference_time": None, "vram_usage": None}
BROKEN = """\"\"\"A repair, tested.\"\"\"

from my_project.models.mlp import MlpConfig


def test_the_default_is_wide() -> None:
    assert MlpConfig().dim > 10_000
"""


@dataclass
class Outcome:
    """What index.py left: its exit status, what it printed, and what the API was asked."""

    status: int
    told: dict[str, Any]
    log: str
    api: Api

    def offered(self, phase: int) -> set[str]:
        """The tools of the first request of a phase."""
        asked = [r for r in self.api.requests if is_work(r) == bool(phase) and r.get("tools")]
        return {tool["name"] for tool in asked[0]["tools"]}


def is_work(request: Mapping[str, Any]) -> bool:
    """Say whether a request belongs to the second phase: it has the project's own tools."""
    return any(tool["name"].startswith(OWN) for tool in request.get("tools", []))


def last_result(request: Mapping[str, Any]) -> dict[str, Any]:
    """What the tool that was called last answered; the command-line tool may add texts of its own behind it."""
    contents = [message["content"] for message in request["messages"] if isinstance(message["content"], list)]
    block = [block for content in contents for block in content if block["type"] == "tool_result"][-1]
    return dict(json.loads(written(block["content"])))


def answer(status: str = "implementation_complete", preset: str = "", **parts: Any) -> Block:
    """The last word of the specialist: a result package."""
    deliverables = {"code_files": parts.get("code", []), "tests": parts.get("tests", [])}
    documentation = {"architecture_diagram": "README.md", "usage_examples": "README.md"}
    result = {
        "status": status,
        "deliverables": {**deliverables, "documentation": documentation},
        "performance_metrics": NOTHING | parts.get("figures", {}),
        "validation": {"unit_tests": parts.get("passing"), "integration_tests": None, "manual_verification": None},
    }
    return use("StructuredOutput", result=result, preset=preset, open_questions=parts.get("questions", []))


def phases(plan: list[list[Block]], work: Callable[[Mapping[str, Any], int], list[Block]]) -> Script:
    """A script that plans and then works."""

    def script(request: Mapping[str, Any], turn: int) -> list[Block]:
        if '"name": "StructuredOutput"' in json.dumps(request["messages"][-2:]):
            return [say("That is all.")]
        if is_work(request):
            return work(request, turn)
        return plan[turn] if turn < len(plan) else [say("The plan: write it, test it, measure it.")]

    return script


@pytest.fixture
def expert(default: Sample, tmp_path: Path) -> Callable[..., Outcome]:
    """Run index.py in a project of its own, from another folder, on a script."""
    project = default.copy(tmp_path / "project").folder
    with (project / "CLAUDE.md").open("a", encoding="utf-8") as file:
        file.write(f"\n{MARK}\n")

    def run(script: Callable[[Path], Script], *words: str, papers: tuple[str, ...] = ()) -> Outcome:
        context = {
            "task": "Do what the test wants. [[script:work]]",
            "requirements": {"model_type": "mlp", "framework": "pytorch"},
            "existing_code": {"files": ["src/my_project/models/mlp.py"], "status": "complete"},
            "reference_materials": {"papers": [*papers], "implementations": []},
        }
        (tmp_path / "context.json").write_text(json.dumps(context), encoding="utf-8")
        with serve({"work": script(project)}) as api:
            command = [sys.executable, str(project / SKILL / "index.py"), "--context", "context.json", *words]
            around = {**surroundings(api, tmp_path / "home"), "PYTHONPATH": str(project / "src")}
            done = subprocess.run(
                command, cwd=tmp_path, env=around, capture_output=True, text=True, timeout=280, check=False
            )
        return Outcome(done.returncode, json.loads(done.stdout or "{}"), done.stderr, api)

    return run


def test_a_new_model_is_made_tested_measured_and_believed(expert: Callable[..., Outcome]) -> None:
    def script(project: Path) -> Script:
        def work(request: Mapping[str, Any], turn: int) -> list[Block]:
            tests = "tests/test_gated_net.py tests/test_gated_net_contract.py"
            measure = f"python -m pytest -q -p no:cacheprovider {tests} --cov-report=json:cov.json"
            calls = [
                use(f"{OWN}create_model_skeleton", name="gated_net", family="mlp"),
                use(f"{OWN}add_tests", kind="gated_net"),
                use("Bash", command=measure),
                use(f"{OWN}benchmark_model", preset="gated_net"),
            ]
            return [calls[turn]] if turn < len(calls) else [true_answer(project, request)]

        return phases([], work)

    done = expert(script)
    assert done.status == 0, done.log
    assert done.told["status"] == "implementation_complete"
    assert done.told["differences"] == []
    assert {"Read", "Grep", "Glob"} <= done.offered(0)
    assert not {"Write", "Edit", "Bash"} & done.offered(0)
    names = {f"{OWN}{name}" for name in ("create_model_skeleton", "add_tests", "benchmark_model")}
    assert {"Read", "Grep", "Glob", "Write", "Edit", "Bash", *names} <= done.offered(1)
    asked = [request for request in done.api.requests if request.get("tools")]
    assert all("sonnet" in request["model"] for request in asked)
    assert all(MARK in json.dumps(request["messages"]) for request in asked)
    assert "# ML expert specialist" in json.dumps(asked[0]["system"])


def true_answer(project: Path, request: Mapping[str, Any]) -> Block:
    """What an honest specialist says about gated_net, after it has seen its tests pass and its figures."""
    measured, total = last_result(request), re.findall(r"(\d+) passed", json.dumps(request["messages"]))[-1]
    path = "src/my_project/models/gated_net.py"
    summary = json.loads((project / "cov.json").read_text("utf-8"))["files"][path]["summary"]
    files = ("tests/test_gated_net.py", "tests/test_gated_net_contract.py")
    share = 100 * summary["covered_lines"] / summary["num_statements"]
    lines = len((project / path).read_text("utf-8").splitlines())
    figures = {"parameter_count": str(measured["parameters"]), "inference_time": f"{measured['p50_ms']:.3g} ms (CPU)"}
    return answer(
        preset="gated_net",
        code=[{"path": path, "description": "a net", "loc": lines, "tested": True}],
        tests=[{"path": file, "coverage": share, "all_passing": True} for file in files],
        figures=figures,
        passing=f"{total}/{total} passing",
    )


def test_a_repair_with_a_lying_result_is_partial_and_every_lie_is_named(expert: Callable[..., Outcome]) -> None:
    path, test = "src/my_project/models/mlp.py", "tests/test_repair.py"

    def script(project: Path) -> Script:
        lies = answer(
            preset="mlp",
            code=[{"path": path, "description": "the repair", "loc": 350, "tested": True}],
            tests=[{"path": test, "coverage": 95, "all_passing": True}],
            figures={"parameter_count": "25.6M", "inference_time": "45000ms (CPU)"},
            passing="48/48 passing",
        )
        turns = [[use("Write", file_path=str(project / test), content=BROKEN)], [lies]]
        return phases([], lambda _, turn: turns[min(turn, 1)])

    done = expert(script)
    assert done.status == 1, done.log
    assert done.told["status"] == done.told["result"]["status"] == "partial"
    found = "\n".join(done.told["differences"])
    for lie in ("loc of", "coverage of", "all_passing of", "tests: claimed 48/48", "parameter_count", "inference_time"):
        assert lie in found, found


def test_a_faster_model_is_measured_before_and_after(expert: Callable[..., Outcome]) -> None:
    def script(project: Path) -> Script:
        def work(request: Mapping[str, Any], turn: int) -> list[Block]:
            if turn < 2:
                return [use(f"{OWN}benchmark_model", preset="mlp", device="cpu")]
            found = last_result(request)
            time, size = f"{found['p50_ms']:.3g} ms (CPU)", str(found["parameters"])
            return [answer(preset="mlp", figures={"parameter_count": size, "inference_time": time})]

        return phases([[use("Read", file_path=str(project / "pyproject.toml"))]], work)

    done = expert(script, "--model", "haiku")
    assert (done.status, done.told["differences"]) == (0, []), done.log
    worked = [request["model"] for request in done.api.requests if is_work(request)]
    assert all("haiku" in model for model in worked), worked  # in plan mode the tool takes a larger model than haiku


def test_a_paper_that_is_not_there_is_asked_for(expert: Callable[..., Outcome]) -> None:
    ask = use("StructuredOutput", result=None, preset="", open_questions=["Where is TRM.pdf?"])
    done = expert(lambda _: phases([], lambda *_: [ask]), papers=("TRM.pdf",))
    assert done.status == 2, done.log
    assert done.told == {
        "status": "needs_clarification",
        "open_questions": ["Where is TRM.pdf?"],
        "warnings": ["TRM.pdf is named, but not there"],
    }


def test_a_pipeline_is_written_only_after_the_plan(expert: Callable[..., Outcome]) -> None:
    written = dict[str, Path]()

    def script(project: Path) -> Script:
        early, late = project / "early.py", project / "late.py"
        written.update(early=early, late=late)
        plan = [[use("Write", file_path=str(early), content="x = 1\n")]]
        code = [{"path": "late.py", "description": "a step", "loc": 1, "tested": False}]
        turns = [
            [use("Write", file_path=str(late), content="x = 1\n")],
            [answer("partial", code=code, questions=["Which columns?"])],
        ]
        return phases(plan, lambda _, turn: turns[min(turn, 1)])

    done = expert(script)
    assert done.status == 1, done.log
    assert (done.told["status"], done.told["differences"]) == ("partial", [])
    assert done.told["open_questions"] == ["Which columns?"]
    assert not written["early"].exists()
    assert written["late"].exists()


def test_it_stops_when_its_time_is_over(expert: Callable[..., Outcome]) -> None:
    def wait(request: Mapping[str, Any], turn: int) -> list[Block]:  # noqa: ARG001
        time.sleep(8)
        return [say("late")]

    began = time.monotonic()
    done = expert(lambda _: wait, "--minutes", "0.05")
    assert done.status == 3, done.log
    assert done.told["status"] == "stopped"
    assert time.monotonic() - began < 30
