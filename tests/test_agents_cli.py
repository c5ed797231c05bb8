"""The real command-line tool, without an account, sees the agents and skills of a project and obeys its guards."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.forbidden import DATA, FREE, HOOKED, RULES
from tests.harness import GIT, Sample, command
from tests.scripted_api import Api, Block, Script, ask, results, say, serve, use

ALL = ("--allowedTools", "Agent,Bash,Read,Edit,Write,NotebookEdit,Grep,Glob,Skill", "--model", "haiku")
STAND_IN = (
    "---\nname: tester\ndescription: Writes. Use in a test.\ntools: Write, Read\nmodel: opus\nskills:\n  - known\n"
)
SKILL = "---\nname: known\ndescription: Is known. Use in a test.\n---\n\n# Known\n\nWhat the tester knows.\n"
RUN = {"best.pt": "weights", "lock": "1", "final.json": "{}", "metrics.jsonl": "", "evaluation.json": "{}"}
SENT_BACK = "code without a test: src/my_project/models/extra.py"


@dataclass
class Session:
    """What one start of the command-line tool said, and what it asked the API."""

    folder: Path
    messages: list[dict[str, Any]]
    api: Api

    @property
    def results(self) -> list[str]:
        """What the tools of the main conversation answered."""
        return results(self.messages)


@pytest.fixture(scope="module")
def made(default: Sample, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Copy the default project with a run, a commit, an agent and a skill of the test's own."""

    def make(name: str) -> Path:
        folder = tmp_path_factory.mktemp("agents") / name
        shutil.copytree(default.folder, folder)
        own = {".claude/agents/tester.md": f"{STAND_IN}---\n\n# Tester\n", ".claude/skills/known/SKILL.md": SKILL}
        left = {
            **{f"runs/mlp-1/{name}": text for name, text in RUN.items()},
            "uv.lock": "",
            "models/mlp/current.json": "",
        }
        for path, text in {**own, **left}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "A project"]):
            assert command([*GIT, *words], folder).status == 0
        return folder

    return make


def without(folder: Path, key: str) -> Path:
    """Take the rules or the hooks out of a project's settings, so that only the others are there to stop anything."""
    path = folder / ".claude/settings.json"
    settings = json.loads(path.read_text("utf-8"))
    if key == "hooks":
        del settings["hooks"]
    else:
        del settings["permissions"]
    path.write_text(json.dumps(settings), encoding="utf-8")
    return folder


def converse(folder: Path, scripts: dict[str, Script]) -> Session:
    """Let the tool work through the script `main` in a folder."""
    with serve(scripts) as api:
        return Session(folder, ask(api, folder, folder.parent / "home", "Go on. [[script:main]]", *ALL), api)


def state(folder: Path) -> dict[str, bytes]:
    """Everything that nobody edits."""
    files = [folder / "uv.lock", *(folder / "runs").rglob("*"), *(folder / ".claude").rglob("*")]
    return {str(path): path.read_bytes() for path in files if path.is_file()}


# Agents and skills.


def agents(folder: Path) -> dict[str, dict[str, Any]]:
    """The front matter of every agent in a project."""
    files = sorted((folder / ".claude/agents").glob("*.md"))
    return {path.stem: yaml.safe_load(path.read_text("utf-8").split("---")[1]) for path in files}


def listed(value: str | list[str] | None) -> list[str]:
    """The names of a field that may be written as a list or with commas."""
    return [name.strip() for name in value.split(",")] if isinstance(value, str) else list(value or [])


@pytest.fixture(scope="module")
def spawned(made: Callable[[str], Path]) -> Session:
    """A conversation in which every agent is called; the test's own writes code, and ml-architect does too."""
    folder = made("spawned")
    code = use("Write", file_path=str(folder / "src/my_project/models/extra.py"), content='"""Extra."""\n')
    test = use("Write", file_path=str(folder / "tests/test_extra.py"), content='"""Tests extra."""\n')
    aside = use("Write", file_path=str(folder / "src/my_project/design.py"), content="")
    design = use("Write", file_path=str(folder / "docs/designs/wide.md"), content="# Wide\n")
    calls = [
        use("Agent", subagent_type=name, description="work", prompt=f"Work. [[script:{name}]]")
        for name in agents(folder)
    ]
    scripts: dict[str, Script] = {
        "main": [calls],
        "tester": [[code], [say("done")], [test]],
        "ml-architect": [[aside, design]],
    }
    return converse(folder, scripts)


def test_it_lists_every_agent_and_every_skill(spawned: Session) -> None:
    start = next(message for message in spawned.messages if message.get("subtype") == "init")
    skills = {path.parent.name for path in spawned.folder.glob(".claude/skills/*/SKILL.md")}
    assert {*agents(spawned.folder)} <= {*start["agents"]}
    assert skills <= {*start["skills"]}


def test_each_agent_has_its_tools_its_model_and_its_skills(spawned: Session) -> None:
    main = spawned.api.of("main")[0]["model"]
    assert "haiku" in main
    for name, front in agents(spawned.folder).items():
        request = spawned.api.of(name)[0]
        assert [tool["name"] for tool in request["tools"]] == listed(front.get("tools")), name
        wanted = front.get("model", "inherit")
        assert (request["model"] == main) if wanted == "inherit" else (wanted in request["model"]), name
        text = json.dumps(request["messages"])
        for path in spawned.folder.glob(".claude/skills/*/SKILL.md"):
            body = path.read_text("utf-8").split("---", 2)[2].strip().splitlines()
            line = json.dumps(max(body, key=len))[1:-1]  # a line that stands nowhere else
            assert (line in text) == (path.parent.name in listed(front.get("skills"))), (name, path.parent.name)
        prompt = (spawned.folder / f".claude/agents/{name}.md").read_text("utf-8").split("---", 2)[2]
        assert json.dumps(prompt.strip().splitlines()[0])[1:-1] in json.dumps(request["system"])


def test_an_agent_that_adds_code_without_a_test_is_sent_back_once(spawned: Session) -> None:
    requests = spawned.api.of("tester")
    told = [SENT_BACK in json.dumps(request["messages"]) for request in requests]
    assert told == [False, False, True, True]
    assert (spawned.folder / "tests/test_extra.py").exists()
    others = [name for name in agents(spawned.folder) if name != "tester"]
    assert [name for name in others if SENT_BACK in json.dumps(spawned.api.of(name))] == []


def test_ml_architect_writes_designs_and_nothing_else(spawned: Session) -> None:
    if "ml-architect" not in agents(spawned.folder):
        pytest.skip("this project has no ml-architect")
    assert not (spawned.folder / "src/my_project/design.py").exists()
    assert (spawned.folder / "docs/designs/wide.md").exists()


# Guards.


def whole_paths(folder: Path, calls: list[Block]) -> list[Block]:
    """Give the tools that want whole paths whole paths."""
    return [
        use(call["name"], **{k: str(folder / v) if k == "file_path" else v for k, v in call["input"].items()})
        for call in calls
    ]


def test_every_deny_rule_stops_its_call(made: Callable[[str], Path]) -> None:
    folder = without(made("rules"), "hooks")
    rules = json.loads((folder / ".claude/settings.json").read_text("utf-8"))["permissions"]["deny"]
    assert {*RULES} == {*rules}
    before = state(folder)
    session = converse(folder, {"main": [whole_paths(folder, [*RULES.values(), *FREE])]})
    assert state(folder) == before
    for rule, said in zip(RULES, session.results, strict=False):
        assert "denied" in said, (rule, said)
    assert [said for said in session.results[len(RULES) :] if "denied" in said] == []
    assert len(session.results) == len(RULES) + len(FREE)


@pytest.fixture(scope="module")
def hooked(made: Callable[[str], Path]) -> Session:
    """A conversation that only hooks can stop: forbidden calls, allowed ones, a red commit and a green one."""
    folder = without(made("hooks"), "permissions")
    (folder / "link").symlink_to(folder / DATA / "digits_test.npz")
    untidy = folder / "src/my_project/untidy.py"
    person = "-c user.name=T -c user.email=t@example.org"
    commit = use("Bash", command=f"git add -A src && git {person} commit -qm 'A commit'")
    red = use("Write", file_path=str(untidy), content="import os\n")
    tidy = use("Bash", command=f"rm {untidy}; git mv LICENSE X")
    before = state(folder)
    session = converse(folder, {"main": [whole_paths(folder, [*HOOKED, *FREE]), [red], [commit], [tidy], [commit]]})
    assert state(folder) == before
    return session


@pytest.mark.parametrize("place", range(len(HOOKED)), ids=[json.dumps(call["input"])[:70] for call in HOOKED])
def test_every_hook_stops_what_it_should(hooked: Session, place: int) -> None:
    assert "PreToolUse" in hooked.results[place]
    assert "guard.py" in hooked.results[place]


@pytest.mark.parametrize("place", range(len(FREE)), ids=[json.dumps(call["input"])[:70] for call in FREE])
def test_what_only_looks_forbidden_is_done(hooked: Session, place: int) -> None:
    said = hooked.results[len(HOOKED) + place]
    assert "PreToolUse" not in said
    assert "tool_use_error" not in said


def test_a_commit_waits_until_the_fast_checks_are_green(hooked: Session) -> None:
    _, red, _, green = hooked.results[len(HOOKED) + len(FREE) :]
    assert "`ruff check --quiet` is red" in red
    assert "F401" in red
    assert "PreToolUse" not in green
    assert "A commit" in command(["git", "log", "--format=%s"], hooked.folder).output.splitlines()
