"""What agents read: whether the paths, commands, agents and skills that it names exist."""

import difflib
import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from .repository import Repository
from .verdict import Place, Verdict, fails, holds, unclear

READ = re.compile(
    r"^(.*/)?(CLAUDE|AGENTS|GEMINI)\.md$|^\.claude/.*\.md$|^\.github/copilot-instructions\.md$|^\.cursor/rules/"
)
FENCE = re.compile(r"^ *```")
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s#]+)[^)]*\)")
SUFFIX = r"\.(py|md|ya?ml|jsonl?|toml|html|cfg|ini|sh|ipynb|txt|csv|npz|dot|prompt|sbatch)"
PATH = re.compile(rf"(?=.*/|.+{SUFFIX}$)[\w.-]+(/[\w.-]+)*/?")
MADE = re.compile(r"^(\.?/)?(runs|\.venv|venv|build|dist|outputs?|checkpoints?|logs?|wandb|mlruns|out)(/|$)")
MADE_FILE = re.compile(
    r"^(config\.yaml|manifest\.json|metrics\.jsonl|(last|previous|best|final)\.(pt|ckpt)|evaluation\.json|final\.json|"
    r"report\.html|uv\.lock|\.env)$"
)
NAMED = re.compile(r"`([a-z0-9][a-z0-9-]+)` (agent|skill)\b|\b(agent|skill) `([a-z0-9][a-z0-9-]+)`")
LISTED = re.compile(r"^skills: (.+)$")  # in the head of an agent's file
BLANK = re.compile(r"[<>*{}$]|\b[A-Z]{2,}\b|\bNNNN\b")  # what the reader fills in
TOOLS = {
    "ruff",
    "mypy",
    "pytest",
    "pre-commit",
    "python",
    "python3",
    "copier",
    "coverage",
    "agentskills",
    "pyright",
    "black",
    "isort",
}


def texts(repository: Repository) -> list[str]:
    """Return the files that agents read by themselves."""
    return [path for path in repository.files if READ.match(path)]


def lines(repository: Repository, path: str, *, inside: bool) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines of a text inside or outside its fenced blocks."""
    fenced = False
    for number, line in enumerate(repository.text(path).splitlines(), 1):
        if FENCE.match(line):
            fenced = not fenced
        elif fenced == inside:
            yield number, line


def exists(repository: Repository, path: str, text: str) -> bool:
    """Whether a path leads somewhere from the root, from the text's folder or anywhere in the tree."""
    wanted = path.removeprefix("./").rstrip("/")
    if BLANK.search(path) or MADE.match(path) or MADE_FILE.match(PurePosixPath(path).name) or not wanted:
        return True
    beside = PurePosixPath(text).parent.as_posix()
    starts = {wanted, f"{beside}/{wanted}".removeprefix("./")}
    if any((repository.root / start).exists() for start in starts):
        return True
    return any(file.endswith(f"/{wanted}") or f"/{wanted}/" in f"/{file}" for file in repository.files)


def agents_paths(repository: Repository) -> Verdict:
    """Judge paths between backticks and the targets of links."""
    found, broken, named = texts(repository), list[Place](), list[str]()
    for text in found:
        for number, line in lines(repository, text, inside=False):
            spans = [span for span in SPAN.findall(line) if PATH.fullmatch(span) and not span.startswith("/")]
            links = [link for link in LINK.findall(line) if "://" not in link and not link.startswith("mailto:")]
            lost = [path for path in spans + links if not exists(repository, path, text)]
            named += lost
            broken += [Place(text, number)] if lost else []
    if not found:
        return unclear("there is no CLAUDE.md, AGENTS.md or .claude", ())
    if broken:
        return fails(f"{', '.join(f'`{name}`' for name in named[:3])} cannot be found", broken)
    return holds("every path that agents read leads somewhere", (Place(text) for text in found))


def defined(repository: Repository) -> dict[str, set[str]]:
    """Return the names of the agents and skills that are there."""
    agents = {PurePosixPath(path).stem for path in repository.files if re.match(r"\.claude/agents/.*\.md$", path)}
    skills = {path.split("/")[2] for path in repository.files if re.match(r"\.claude/skills/[^/]+/SKILL\.md$", path)}
    return {"agent": agents, "skill": skills}


def agents_names(repository: Repository) -> Verdict:
    """Judge agents and skills that texts name, also in the head of an agent's file."""
    found, there, broken, lost = texts(repository), defined(repository), list[Place](), list[str]()
    everything = there["agent"] | there["skill"]
    for text in found:
        for number, line in enumerate(repository.text(text).splitlines(), 1):
            wanted = [match[1] or match[4] for match in NAMED.finditer(line)]
            if (listed := LISTED.match(line)) and text.startswith(".claude/agents/"):
                wanted += re.findall(r"[\w-]+", listed[1])
            gone = [name for name in wanted if name not in everything]
            lost += gone
            broken += [Place(text, number)] if gone else []
    if not found:
        return unclear("there is no CLAUDE.md, AGENTS.md or .claude", ())
    if broken:
        return fails(f"there is no {', '.join(f'`{name}`' for name in lost[:3])}", broken)
    return holds(f"every agent and skill that is named is there ({len(everything)})", ())


def agents_commands(repository: Repository) -> Verdict:
    """Judge the commands in fenced blocks, as far as they start something of this repository."""
    found, broken, doubted = texts(repository), dict[Place, str](), dict[Place, str]()
    for text in found:
        for number, line in lines(repository, text, inside=True):
            words = line.split("#")[0].strip().removeprefix("$ ").split()
            if words[:2] == ["uv", "run"]:
                words = words[2:]
                if words and (unknown := stranger(repository, words[0])):
                    surely = difflib.get_close_matches(unknown, scripts(repository))
                    (broken if surely else doubted)[Place(text, number)] = f"`{unknown}` is no command of this project"
            if problem := wrong(repository, words, text):
                broken[Place(text, number)] = problem
    if not found:
        return unclear("there is no CLAUDE.md, AGENTS.md or .claude", ())
    if broken:
        return fails("; ".join(dict.fromkeys(broken.values())), broken)
    if doubted:
        return unclear("; ".join(dict.fromkeys(doubted.values())) + ", perhaps one of a dependency", doubted)
    return holds("what the commands start is there", ())


def wrong(repository: Repository, words: list[str], text: str) -> str:
    """Return what a command starts in vain, or nothing."""
    match words:
        case ["make", target, *_] if "=" not in target:
            targets = re.findall(r"^([\w.-]+):", repository.text("Makefile"), re.MULTILINE)
            return "" if target in targets else f"make has no target `{target}`"
        case ["python" | "python3", "-m", name, *_]:
            return missing_module(repository, name)
        case ["python" | "python3", path, *_] if path.endswith(".py"):
            return "" if exists(repository, path, text) else f"`{path}` cannot be found"
    return ""


def scripts(repository: Repository) -> list[str]:
    """Return the commands that the project itself installs."""
    return [*repository.table("project", "scripts"), *repository.table("project", "entry-points", "console_scripts")]


def stranger(repository: Repository, name: str) -> str:
    """Return a command that neither the project nor a declared package of that name installs."""
    project = repository.table("project")
    groups = repository.pyproject.get("dependency-groups", {})
    declared = f"{repository.dependencies}{project.get('optional-dependencies', {})}{groups}"
    known = name in TOOLS or name in scripts(repository) or f"'{name}" in declared
    return "" if known or not project or not re.fullmatch(r"[a-z][\w-]*", name) else name


def missing_module(repository: Repository, name: str) -> str:
    """Return that a module of this repository is not there; those of others are not looked for."""
    first, path = name.split(".", maxsplit=1)[0], name.replace(".", "/")
    ours = any(file.startswith((f"{first}/", f"src/{first}/")) for file in repository.files)
    there = any(re.match(rf"(src/)?{re.escape(path)}(\.py$|/)", file) for file in repository.files)
    return f"there is no module `{name}`" if ours and not there else ""


CHECKS: dict[str, Callable[[Repository], Verdict]] = {
    "agents-paths": agents_paths,
    "agents-names": agents_names,
    "agents-commands": agents_commands,
}
