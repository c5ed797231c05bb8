"""What an agent or a skill says of itself: the front matter of its file, and whether its readers will take that."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

FENCE = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
MODELS = {"inherit", "haiku", "sonnet", "opus", "fable"}
TOOLS = {
    *("Agent", "AskUserQuestion", "Bash", "Edit", "Glob", "Grep", "LSP", "NotebookEdit", "Read", "Skill"),
    *("TaskCreate", "TaskGet", "TaskList", "TaskStop", "TaskUpdate", "WebFetch", "WebSearch", "Write"),
}
KEYS = {
    "agent": {
        *("name", "description", "tools", "disallowedTools", "model", "permissionMode", "maxTurns", "skills"),
        *("mcpServers", "hooks", "memory", "background", "effort", "isolation", "color", "initialPrompt"),
    },
    "skill": {"name", "description", "license", "compatibility", "metadata", "allowed-tools"},
}
MOST_LETTERS = {"agent": 400, "skill": 1024}  # of a description: it is in every request
MOST_LINES = {"agent": 150, "skill": 500}
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Definition:
    """One agent or skill: where it stands, what its front matter holds, and what is wrong with that."""

    kind: str
    path: Path
    values: dict[str, Any] = field(default_factory=dict)
    problem: str = ""

    @property
    def name(self) -> str:
        """The name that its place gives it."""
        return self.path.stem if self.kind == "agent" else self.path.parent.name


def read(kind: str, path: Path) -> Definition:
    """Read the front matter of a file; what keeps it from being read is its problem."""
    if not path.is_file():
        return Definition(kind, path, problem="is missing")
    found = FENCE.match(path.read_text("utf-8"))
    if not found:
        return Definition(kind, path, problem="has no front matter between two lines of ---")
    if "\t" in found[1]:
        return Definition(kind, path, problem="has a tab in its front matter")
    try:
        values = yaml.safe_load(found[1])
    except yaml.YAMLError as error:
        return Definition(kind, path, problem=f"front matter is no YAML: {' '.join(str(error).split())}")
    if not isinstance(values, dict):
        return Definition(kind, path, problem="front matter is no mapping")
    return Definition(kind, path, values)


def read_all(root: Path) -> list[Definition]:
    """Return every agent and every skill of a project."""
    agents = [read("agent", path) for path in sorted((root / ".claude/agents").glob("*.md"))]
    folders = sorted(path for path in (root / ".claude/skills").glob("*") if path.is_dir())
    return [*agents, *(read("skill", folder / "SKILL.md") for folder in folders)]


def words(value: Any) -> list[str]:
    """Return the entries of a list that YAML may write in three ways: a list, `a, b`, or `a b(c *)`."""
    if isinstance(value, list):
        return [str(entry) for entry in value]
    return re.findall(r"[^\s,(]+(?:\([^)]*\))?", str(value or ""))


def judge(one: Definition, skills: set[str]) -> Iterator[str]:
    """Yield what is wrong with one definition; `skills` are those that there are."""
    if one.problem:
        yield one.problem
        return
    values, name = one.values, one.values.get("name")
    yield from (f"unknown key '{key}'" for key in values if key not in KEYS[one.kind])
    if name != one.name or not NAME.fullmatch(str(name)):
        yield f"name is {name!r}, want '{one.name}', in small letters, digits and hyphens"
    yield from judge_description(values.get("description"), MOST_LETTERS[one.kind])
    if (model := values.get("model", "inherit")) not in MODELS:
        yield f"model '{model}' is no alias, want one of {', '.join(sorted(MODELS))}"
    for key in ("tools", "disallowedTools", "allowed-tools"):
        yield from (f"{key}: unknown tool '{tool}'" for tool in map(bare, words(values.get(key))) if not known(tool))
    yield from (f"skill '{skill}' does not exist" for skill in words(values.get("skills")) if skill not in skills)
    turns = values.get("maxTurns", 1)
    if not isinstance(turns, int) or turns < 1:
        yield f"maxTurns is {turns!r}, want a whole number above 0"
    if (count := len(one.path.read_text("utf-8").splitlines())) > (most := MOST_LINES[one.kind]):
        yield f"has {count} lines, want {most} at most"


def judge_description(given: Any, most: int) -> Iterator[str]:
    """Yield what is wrong with a description: it has to be there, short, and to say when."""
    if not isinstance(given, str) or not given.strip():
        yield f"description is {given!r}, want a sentence"
        return
    if len(given) > most:
        yield f"description has {len(given)} letters, want {most} at most"
    if "Use " not in given:
        yield "description does not say when: want a sentence with 'Use when', 'Use after' or the like"


def bare(tool: str) -> str:
    """Return a tool's name without the scope in brackets."""
    return tool.partition("(")[0]


def known(tool: str) -> bool:
    """Whether a tool exists; those of a server are its own matter."""
    return tool in TOOLS or tool.startswith("mcp__")


def repeated(found: list[Definition]) -> Iterator[tuple[Path, str]]:
    """Yield each definition whose name another one of its kind has as well."""
    first = dict[tuple[str, Any], Path]()
    for one in found:
        name = one.values.get("name")
        if name and first.setdefault((one.kind, name), one.path) != one.path:
            yield one.path, f"name '{name}' is taken by {first[one.kind, name].name}"
