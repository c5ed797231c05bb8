# copier: filter replace("my_project", package_name)
"""What agents read holds: three validators find nothing in it, and of each kind of fault one of them finds it."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from my_project.__main__ import main
from my_project_agents import PACKAGE, references

from .small_project import ROOT, add, change, write

NOWHERE = f"src/{PACKAGE}/nothing.py"
AGENT, SKILL = ".claude/agents/runner.md", ".claude/skills/running/SKILL.md"
GUIDE, MEASURE = ".claude/skills/running/references/guide.md", ".claude/skills/running/scripts/measure.py"


def in_head(name: str, key: str, line: str) -> Callable[[Path], None]:
    return lambda root: change(root / name, rf"^{key}:.*$", line)


def in_text(name: str, text: str) -> Callable[[Path], None]:
    return lambda root: add(root / name, text)


def without(name: str) -> Callable[[Path], None]:
    return lambda root: (root / name).unlink()


def instead(name: str, old: str, new: str) -> Callable[[Path], None]:
    return lambda root: change(root / name, old, new)


def twice(root: Path) -> None:
    shutil.copy(root / AGENT, (root / AGENT).with_name("walker.md"))


# What is wrong, how it gets there, and the validators that find it: (o)wn, (a)gnix, Agent (s)kills.
PLANTED: dict[str, tuple[Callable[[Path], None], str]] = {
    "an agent's tool does not exist": (in_head(AGENT, "tools", "tools: Read, MultiEdit"), "oa"),
    "an agent's tool is dead": (in_head(AGENT, "tools", "tools: Read, TodoWrite"), "o"),
    "an agent has an unknown key": (in_head(AGENT, "maxTurns", "max_turns: 20"), "oa"),
    "an agent's description is too long": (in_head(AGENT, "description", f"description: Use it. {'a' * 400}"), "o"),
    "an agent does not say when": (in_head(AGENT, "description", "description: Runs things."), "o"),
    "an agent has no description": (in_head(AGENT, "description", "color: green"), "oa"),
    "an agent has another name than its file": (in_head(AGENT, "name", "name: walker"), "o"),
    "two agents have one name": (twice, "oa"),
    "an agent preloads a skill that is not there": (instead(AGENT, "- running", "- walking"), "oa"),
    "a model has no such alias": (in_head(AGENT, "model", "model: opus-9"), "oa"),
    "a number of turns is none": (in_head(AGENT, "maxTurns", "maxTurns: many"), "oa"),
    "front matter is no YAML": (in_head(AGENT, "description", "description: Use it: when"), "oa"),
    "front matter has a tab": (in_head(AGENT, "tools", "tools:\tRead"), "o"),
    "an agent has no front matter": (instead(AGENT, r"\A---\n", ""), "o"),
    "an agent says too much": (in_text(AGENT, "A line.\n" * 100), "o"),
    "an agent's memory is nowhere": (in_head(AGENT, "maxTurns", "memory: everywhere"), "a"),
    "a skill is too long": (in_text(SKILL, "A line.\n" * 500), "oa"),
    "a skill has another name than its folder": (in_head(SKILL, "name", "name: walking"), "os"),
    "a skill's name has a capital": (in_head(SKILL, "name", "name: Running"), "oas"),
    "a skill's description is too long": (in_head(SKILL, "description", f"description: Use it. {'a ' * 520}"), "os"),
    "a skill has no description": (in_head(SKILL, "description", "license: MIT"), "os"),
    "a skill has an unknown key": (in_head(SKILL, "allowed-tools", "allowed_tools: Read"), "oas"),
    "a skill allows a tool that does not exist": (in_head(SKILL, "allowed-tools", "allowed-tools: Read Reed"), "oa"),
    "a skill has no SKILL.md": (without(SKILL), "oas"),
    "a link leads nowhere": (in_text(SKILL, "Read [more](references/more.md) when bored."), "oa"),
    "a reference is missing": (without(GUIDE), "oa"),
    "a script is missing": (without(MEASURE), "o"),
    "a script has no such option": (in_text(SKILL, f"`uv run python {MEASURE} --stpes 2`"), "o"),
    "a command does not exist": (in_text(SKILL, "Run `uv run SLUG trian`."), "o"),
    "a command has no such action": (in_text(SKILL, "Run `data verfy`."), "o"),
    "a command has no such option": (in_text(SKILL, "Run `uv run SLUG evaluate runs/a-1 --gates`."), "o"),
    "a run has no such option": (in_text(SKILL, "Run `uv run SLUG train --train.epochs 3`."), "o"),
    "an option alone does not exist": (in_text(AGENT, "Think of `--optim.learning-rate`."), "o"),
    "a preset does not exist": (in_text(AGENT, "Run `uv run SLUG train nothing-of-the-kind`."), "o"),
    "a program does not exist": (in_text(SKILL, "Run `uv run pylint`."), "o"),
    "a quote has no end": (in_text(SKILL, "```sh\nuv run SLUG train --train.out 'a\n```"), "o"),
    "a path does not exist": (in_text(AGENT, f"Read `{NOWHERE}`."), "o"),
    "a test does not exist": (in_text(GUIDE, "`uv run pytest tests/test_nothing.py`"), "o"),
    "an agent is named that is not there": (in_text(SKILL, "Call the agent `walker`."), "o"),
    "a skill is named that is not there": (in_text(AGENT, "Use `ml-walking`."), "o"),
    "a block of Python is none": (in_text(GUIDE, "```python\ndef f(:\n```"), "o"),
    "a block imports what is not there": (in_text(GUIDE, f"```python\nfrom {PACKAGE}.config import laod\n```"), "o"),
    "a block of JSON is none": (in_text(GUIDE, '```json\n{"a": }\n```'), "o"),
    "CLAUDE.md is too long": (in_text("CLAUDE.md", "A line.\n" * 120), "o"),
    "CLAUDE.md is missing": (without("CLAUDE.md"), "o"),
    "AGENTS.md says something else": (in_text("AGENTS.md", "And more."), "o"),
    "the settings are no JSON": (instead(".claude/settings.json", r"\A\{", ""), "oa"),
    "a hook starts what is not there": (without(".claude/hooks/guard.py"), "oa"),
    "a hook has no such event": (instead(".claude/settings.json", "PreToolUse", "PreToolUsed"), "a"),
    "the texts outgrow the code": (in_text(GUIDE, "A line of prose.\n" * 60_000), "o"),
}  # fmt: skip


def agnix(root: Path) -> list[str]:
    program = shutil.which("agnix", path=str(Path(sys.executable).parent)) or shutil.which("agnix")
    if not program:
        pytest.skip("agnix is not installed")
    done = subprocess.run([program, "--strict", str(root)], capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if " error: " in line or " warning: " in line]


def agent_skills(root: Path) -> list[str]:
    folders = sorted(path for path in (root / ".claude/skills").iterdir() if path.is_dir())
    return [problem for folder in folders for problem in import_module("skills_ref").validate(folder)]


VALIDATORS: dict[str, Callable[[Path], list[str]]] = {"o": references.check, "a": agnix, "s": agent_skills}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write(tmp_path / "project")


@pytest.fixture
def own() -> Path:
    """This project itself, if it still has what agents read."""
    if "{" * 2 in (ROOT / "pyproject.toml").read_text("utf-8"):
        pytest.skip("these are the texts of a template: its renders are checked")
    if not (ROOT / ".claude").exists():
        pytest.skip("this project has no .claude")
    return ROOT


@pytest.mark.parametrize("name", VALIDATORS)
def test_no_validator_finds_anything_in_a_sound_project(small: Path, name: str) -> None:
    assert VALIDATORS[name](small) == []


@pytest.mark.parametrize("name", VALIDATORS)
def test_no_validator_finds_anything_in_this_project(own: Path, name: str) -> None:
    assert VALIDATORS[name](own) == []


@pytest.mark.parametrize(("plant", "finders"), PLANTED.values(), ids=PLANTED)
def test_what_is_wrong_is_found(small: Path, plant: Callable[[Path], None], finders: str) -> None:
    plant(small)
    found = {name: validate(small) for name, validate in VALIDATORS.items()}
    assert {name for name, problems in found.items() if problems} >= {*finders}, found


def test_the_command_says_each_finding_in_a_line_and_ends_with_status_1(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(small / AGENT, f"Read `{NOWHERE}` and `--optim.learning-rate`.")
    with pytest.raises(SystemExit) as ended:
        main(["agents", "check", "--root", str(small)])
    said = capsys.readouterr()
    assert ended.value.code == 1
    assert len(said.err.splitlines()) == 2
    assert '"ok": false' in said.out
    assert main(["agents", "check", "--root", str(write(small / "sound"))]) == 0


def test_a_project_without_any_texts_for_agents_is_sound(small: Path) -> None:
    shutil.rmtree(small / ".claude")
    for name in references.TEXTS:
        (small / name).unlink()
    assert references.check(small) == []


def test_a_folder_without_a_project_is_refused(tmp_path: Path) -> None:
    assert main(["agents", "check", "--root", str(tmp_path)]) == 2
    # copier: endfilter
