"""One pass over what agents read: every agent, skill, tool, path, link and command that it names must exist."""

import ast
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from . import PACKAGE, definitions, invocations, places

TEXTS = ("CLAUDE.md", "AGENTS.md")
MOST_LINES = 120  # of a text that is in every request
FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
NAMED = re.compile(r"`([a-z0-9-]+)` (agent|skill)\b|\b(agent|skill) `([a-z0-9-]+)`")
OURS = re.compile(r"(?:ml|dev)-[a-z-]+|[a-z-]+-(?:audit|agent|debugger)")  # how agents and skills are called here
READ = {".md", ".py", ".json", ".dot", ".prompt", ".yaml"}
PARTLY = re.compile(r"arguments? (is|are) required|invalid \w+ value|following arguments")
STARTED = re.compile(r"\.claude/[\w./-]+\.py")
FRONT = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


@dataclass(frozen=True)
class Place:
    """A text, where it lies, and the project that it speaks of."""

    root: Path
    package: str
    path: Path
    names: frozenset[str]  # of agents and skills

    def leads(self, text: str) -> bool:
        """Whether a path in this text exists; a skill names its files from its own folder."""
        above = [self.root / folder for folder in self.path.relative_to(self.root).parents]
        beside = {self.path.parent, *(folder for folder in above if (folder / "SKILL.md").exists())}
        return any(places.leads_somewhere(text, self.root, folder, self.package) for folder in beside)


def check(root: Path, package: str = PACKAGE, more: tuple[str, ...] = ()) -> list[str]:
    """Return a line for each finding in .claude, CLAUDE.md and AGENTS.md, and in `more` Markdown files."""
    root = root.resolve()
    found = definitions.read_all(root)
    skills = {one.name for one in found if one.kind == "skill"}
    problems = [(one.path, line) for one in found for line in definitions.judge(one, skills)]
    problems += definitions.repeated(found)
    if any((root / name).exists() for name in (".claude", *TEXTS)):  # else the project works without agents
        problems += [(root / name, line) for name in TEXTS for line in judge_context(root / name)]
    problems += judge_sizes(root, package)
    names = frozenset(one.name for one in found)
    for path in [*sorted((root / ".claude").rglob("*.md")), root / TEXTS[0], *(root / name for name in more)]:
        if path.is_file() and path.parent != root / ".claude/tasks":  # what stands there is the user's, and data
            problems += [(path, line) for line in judge_text(Place(root, package, path, names))]
    problems += [(path, line) for path in sorted((root / ".claude").rglob("*.json")) for line in judge_json(path, root)]
    return list(dict.fromkeys(f"{path.relative_to(root)}: {line}" for path, line in problems))


def judge_context(path: Path) -> Iterator[str]:
    """Yield what is wrong with a text that every request carries."""
    if not path.is_file():
        yield "is missing"
        return
    text, twin = path.read_text("utf-8"), path.with_name(TEXTS[0])
    if (count := len(text.splitlines())) >= MOST_LINES:
        yield f"has {count} lines, want fewer than {MOST_LINES}"
    if twin.is_file() and twin.read_text("utf-8") != text:
        yield f"differs from {TEXTS[0]}: they are one text for two kinds of readers"


def judge_sizes(root: Path, package: str) -> Iterator[tuple[Path, str]]:
    """Yield that the texts have outgrown the code that they are about."""
    texts = [path for path in (root / ".claude").rglob("*") if path.suffix in READ and path.parent.name != "tasks"]
    read = b"".join(path.read_bytes() for path in texts)
    code = b"".join(path.read_bytes() for path in (root / "src" / package).rglob("*.py"))
    pairs = {"lines": (read.count(b"\n"), code.count(b"\n")), "bytes": (len(read), len(code))}
    for what, (found, most) in pairs.items():
        if found > most:
            yield root / ".claude", f"has {found} {what}, the package {most}: say less"


def judge_text(place: Place) -> Iterator[str]:
    """Yield what a Markdown text names in vain, with the number of its line."""
    whole = place.path.read_text("utf-8")
    front = FRONT.match(whole)
    text = "\n" * front[0].count("\n") + whole[front.end() :] if front else whole
    for match in FENCE.finditer(text):
        number = text.count("\n", 0, match.start()) + 1
        yield from (f"line {number}: {line}" for line in judge_block(match[2], match[3], place))
    prose = FENCE.sub(lambda match: "\n" * match[0].count("\n"), text)
    for number, line in enumerate(prose.splitlines(), 1):
        yield from (f"line {number}: {problem}" for problem in judge_line(line, place))


def judge_block(language: str, block: str, place: Place) -> Iterator[str]:
    """Yield what is wrong with a fenced block, by its language."""
    if language in {"sh", "bash", "shell", "console"}:
        for line in block.replace("\\\n", " ").splitlines():
            yield from judge_command(line.strip(), place)
    parsers: dict[str, Callable[[str], object]] = {"python": ast.parse, "json": json.loads, "yaml": yaml.safe_load}
    try:
        parsers.get(language, str)(block)
    except (SyntaxError, ValueError, yaml.YAMLError) as error:
        yield f"{language} block: {' '.join(str(error).split())}"
        return
    if language == "python":
        yield from judge_imports(block, place)


def judge_imports(block: str, place: Place) -> Iterator[str]:
    """Yield what a block of Python imports from the project in vain."""
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0].startswith(place.package):
            home = (place.root / "src").joinpath(*str(node.module).split("."))
            text = home.with_suffix(".py").read_text("utf-8") if home.with_suffix(".py").is_file() else ""
            for alias in node.names:
                there = (home / f"{alias.name}.py").is_file() or (home / alias.name).is_dir()
                if not there and not re.search(rf"^(def |class )?{alias.name}\b", text, re.MULTILINE):
                    yield f"{node.module} has no {alias.name}"


def judge_line(line: str, place: Place) -> Iterator[str]:
    """Yield what a line of prose names in vain: links, agents, skills, and what stands between backticks."""
    for target in LINK.findall(line):
        elsewhere = "://" in target or target.startswith(("#", "mailto:"))
        if not elsewhere and not place.leads(target.partition("#")[0]):
            yield f"link to {target} leads nowhere"
    for match in NAMED.finditer(line):
        if (name := match[1] or match[4]) not in place.names:
            yield f"there is no {match[2] or match[3]} '{name}'"
    for span in SPAN.findall(line):
        yield from judge_span(span, place)


def judge_span(span: str, place: Place) -> Iterator[str]:
    """Yield what is wrong with words between backticks, if they are a command, option, agent, skill or path."""
    first, *rest = span.split() or [""]
    if first in {"uv", "uvx", "git"} and rest:
        yield from judge_command(span, place)
    elif first in invocations.commands(place.package) and rest:
        problems = invocations.judge_words([first, *rest], place.root, place.package)
        yield from (f"'{span}': {line}" for line in problems if not PARTLY.search(line))  # named, not to be run so
    elif first.startswith("--") and "." in first:
        known = invocations.run_options((place.root / "src" / place.package).resolve())
        if first.removeprefix("--").replace("-", "_") not in known:
            yield f"there is no option {first}"
    elif OURS.fullmatch(span) and span not in place.names:
        yield f"there is no agent or skill '{span}'"
    elif places.looks_like_one(span) and not place.leads(span):
        yield f"path {span} does not exist"


def judge_command(line: str, place: Place) -> Iterator[str]:
    """Yield what is wrong with a command line, the paths among its words included."""
    if not line or line.startswith("#"):
        return
    yield from invocations.judge(line, place.root, place.package)
    words = line.split("#", maxsplit=1)[0].split()
    for before, word in zip(["", *words], words, strict=False):
        path = "" if before.startswith("--model.") else word.strip("\"'")  # a model's weights may have a name on a hub
        if "/" in path and places.looks_like_one(path) and not place.leads(path):
            yield f"'{line}': path {path} does not exist"


def judge_json(path: Path, root: Path) -> Iterator[str]:
    """Yield what is wrong with a JSON file: it must parse, and the scripts that its commands start must exist."""
    try:
        json.loads(text := path.read_text("utf-8"))
    except ValueError as error:
        yield f"is no JSON: {error}"
        return
    started = sorted({*STARTED.findall(text)})
    yield from (f"starts {name}, which does not exist" for name in started if not (root / name).is_file())
