# copier: filter replace("my_project", package_name)
"""The texts agree with one another: triggers with descriptions, the graph with its steps, reports with their schema."""

import json
import re
from pathlib import Path

import pytest

from my_project_agents import definitions, reports

from .small_project import ROOT

EMPTY = """the a an and or of in is it its this that with for to from my our on which what when has have been be are not
use who how by at project here all before after whether good these same set up into last"""
STOP = {*re.findall(r"\w+", EMPTY)}  # words that say nothing of the matter
BLOCK = re.compile(r"^```markdown\n(.*?)^```", re.DOTALL | re.MULTILINE)
HONEST = ("is not filled in", "is not there", "want '`path` - what'", "want what changes")  # what a blank form may say


@pytest.fixture
def skills() -> Path:
    """This project's skills, if it still has them."""
    if "{" * 2 in (ROOT / "pyproject.toml").read_text("utf-8"):
        pytest.skip("these are the texts of a template: its renders are checked")
    if not (folder := ROOT / ".claude/skills").exists():
        pytest.skip("this project has no .claude")
    return folder


def stems(text: str) -> set[str]:
    """Return the words of a text without their endings."""
    words = re.findall(r"[a-z]+", text.lower())
    return {re.sub(r"(ization|izing|ize|ing|ion|ed|er|es|e|s)$", "", word)[:7] for word in words if word not in STOP}


def descriptions(skills: Path) -> dict[str, str]:
    return {
        one.name: one.values["description"] for one in definitions.read_all(skills.parents[1]) if one.kind == "skill"
    }


def shared(prompt: str, text: str) -> int:
    return len(stems(prompt) & stems(text))


def triggers(skills: Path) -> dict[str, list[str]]:
    return dict(json.loads((skills / "ml-expert/tests/triggers.json").read_text("utf-8")))


def test_there_are_twenty_prompts_that_should_and_should_not_call_the_skill(skills: Path) -> None:
    given = triggers(skills)
    assert len({*given["call"], *given["leave"]}) == 20
    assert {*given} == {"call", "leave"}


def test_a_prompt_that_should_call_the_skill_speaks_its_words(skills: Path) -> None:
    ours = descriptions(skills)["ml-expert"].partition("Not for")[0]
    assert [prompt for prompt in triggers(skills)["call"] if not shared(prompt, ours)] == []


def test_a_prompt_that_should_not_speaks_those_of_another_skill_or_of_what_it_is_not_for(skills: Path) -> None:
    about = descriptions(skills)
    ours, _, never = about.pop("ml-expert").partition("Not for")
    for prompt in triggers(skills)["leave"]:
        others = max(shared(prompt, text) for text in (never, *about.values()))
        assert shared(prompt, ours) <= others, prompt


def test_the_process_graph_has_the_steps_of_the_skill(skills: Path) -> None:
    text = (skills / "ml-expert/SKILL.md").read_text("utf-8").partition("## Process")[2].partition("\n## ")[0]
    graph = (skills / "ml-expert/ml-expert-process.dot").read_text("utf-8")
    edges = "\n".join(line.partition("[")[0] for line in graph.splitlines() if "->" in line)
    assert {*re.findall(r'"([^"]+)"', edges)} == {*re.findall(r"^### (.+)$", text, re.MULTILINE)}
    assert graph.count("{") == graph.count("}")


def test_every_file_of_a_skill_is_named_in_its_texts(skills: Path) -> None:
    for folder in (path.parent for path in skills.glob("*/SKILL.md")):
        said = "".join(path.read_text("utf-8") for path in folder.rglob("*.md"))
        files = [path for path in folder.rglob("*") if path.is_file() and path.suffix not in {".md", ".pyc"}]
        assert [path.name for path in files if path.name not in said and f"{path.parent.name}/" not in said] == []


@pytest.mark.parametrize("name", ["ml-writer", "dev-ml", "ml-model-implementer"])
def test_the_forms_of_reports_are_those_that_the_command_checks(skills: Path, name: str) -> None:
    blocks = BLOCK.findall((skills.parent / f"agents/{name}.md").read_text("utf-8"))
    assert blocks
    for block in blocks:
        if block.startswith("## "):
            wrong = [line for line in reports.check(block, ROOT) if not any(word in line for word in HONEST)]
            assert wrong == []
        else:
            assert {*re.findall(r"^### (.+)$", block, re.MULTILINE)} == {*reports.MORE}


def test_the_runner_gives_its_specialist_the_text_of_the_agent(skills: Path) -> None:
    prompts = [*skills.glob("ml-expert/**/ml-expert-specialist.prompt")]
    assert len(prompts) == 1
    agent = (skills.parent / "agents/ml-expert-specialist.md").read_text("utf-8")
    assert prompts[0].read_text("utf-8").strip() == definitions.FENCE.sub("", agent).strip()
    # copier: endfilter
