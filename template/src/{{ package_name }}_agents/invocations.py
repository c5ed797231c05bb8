"""Whether a command line in a text is one that this project understands: its program, its words, its options."""

import ast
import re
import shlex
import tomllib
from argparse import ArgumentParser
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
CORE = {"train", "evaluate", "predict", "report", "data"}
SHELL = {"cat", "cd", "cp", "echo", "export", "grep", "head", "ls", "mkdir", "mv", "rm", "sed", "sh", "source", "tail"}
PROGRAMS = SHELL | {"docker", "git", "make", "python", "sbatch", "uv", "uvx"}
TOOLS = {"agentskills", "agnix", "coverage", "mypy", "pre-commit", "pytest", "ruff"}
TOOLS |= {"sphinx-build", "tensorboard", "torchrun"}
JOINTS = {"&&", "||", "|", ";"}
HOMES = {"optim": "training/optimizer.py", "train": "training/trainer.py", "evaluation": "evaluation/report.py"}
ROOMS = {"data": "data/*.py", "model": "models/*.py", **HOMES}  # where the options of a section stand
OPTION = re.compile(r"--([a-z][\w.-]*)")


@cache
def run_options(package: Path) -> frozenset[str]:
    """Return the options of a run, `section.option`, as the files that define them have them; nothing is imported."""
    found = set[str]()
    for section, pattern in ROOMS.items():
        for path in package.glob(pattern):
            classes = [node for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.ClassDef)]
            fields = [f for cls in classes if cls.name.endswith("Config") for f in cls.body]
            named = [f.target.id for f in fields if isinstance(f, ast.AnnAssign) and isinstance(f.target, ast.Name)]
            found |= {f"{section}.{name}" for name in named}
    return frozenset(found)


@cache
def scripts(root: Path) -> frozenset[str]:
    """Return the programs that the project installs."""
    return frozenset(tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"].get("scripts", {}))


@cache
def tools(root: Path) -> frozenset[str]:
    """Return the programs that `uv run` finds: those of the template, and those named as a library of the project."""
    table = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    groups = [*table.get("dependency-groups", {}).values(), *table["project"].get("optional-dependencies", {}).values()]
    lines = [line for group in [table["project"].get("dependencies", []), *groups] for line in group]
    return frozenset({*TOOLS, *(re.split(r"[^\w-]", line)[0] for line in lines if isinstance(line, str))})


@cache
def strings(path: Path) -> frozenset[str]:
    """Return every string that a Python file writes down."""
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    return frozenset(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


def split(line: str) -> list[list[str]]:
    """Return the commands of a line as lists of words; ValueError where a quote is open."""
    commands: list[list[str]] = [[]]
    for word in shlex.split(line, comments=True):
        if word in JOINTS:
            commands.append([])
        else:
            commands[-1].append(word)
    return [command for command in commands if command]


def judge(line: str, root: Path, package: str) -> Iterator[str]:
    """Yield what is wrong with a line of shell."""
    try:
        commands = split(line)
    except ValueError as error:
        yield f"'{line}': {error}"
        return
    for words in commands:
        yield from (f"'{' '.join(words)}': {problem}" for problem in judge_command(words, root, package))


def judge_command(words: list[str], root: Path, package: str) -> Iterator[str]:
    """Yield what is wrong with one command."""
    if words[0] not in PROGRAMS:
        yield f"unknown program '{words[0]}'"
    elif words[:2] == ["uv", "run"] and words[2:]:
        yield from judge_program(skip_options(words[2:]), root, package)


def skip_options(words: list[str]) -> list[str]:
    """Return the words behind the options of `uv run` itself, such as `--extra agents`."""
    while words and words[0].startswith("--"):
        words = words[1 if "=" in words[0] or words[0] in {"--no-sync", "--frozen"} else 2 :]
    return words or [""]


def judge_program(words: list[str], root: Path, package: str) -> Iterator[str]:
    """Yield what is wrong with what `uv run` starts."""
    program, rest = words[0], words[1:]
    if program == "torchrun":
        rest = rest[rest.index("-m") :] if "-m" in rest else rest
        program = "python"
    if program in scripts(root) or (program == "python" and rest[:2] == ["-m", package]):
        yield from judge_words(rest if program != "python" else rest[2:], root, package)
    elif program == "python":
        yield from judge_script(rest, root)
    elif program not in tools(root):
        yield f"unknown program '{program}'"


def judge_words(words: list[str], root: Path, package: str) -> Iterator[str]:
    """Yield what the project's own parser refuses about the words of a command."""
    given = [word for word in words if word not in {"--help", "-h"}]
    if len(given) < len(words):
        if given and given[0] not in commands(package):
            yield f"unknown command '{given[0]}', want one of {', '.join(sorted(commands(package)))}"
        return
    try:
        parsed, rest = parser(package, given, root).parse_known_args(given)
    except (ValueError, SystemExit) as error:
        yield str(error).partition(" (see ")[0]
        return
    unknown = [word for word in rest if word.startswith("-")]
    yield from (f"unknown option '{word}'" for word in unknown)
    preset, folder = vars(parsed).get("preset"), root / "src" / package / "presets"
    if preset and not unknown and not preset.isupper() and not (folder / f"{preset}.yaml").exists():
        yield f"unknown preset '{preset}'"


def main(package: str) -> ModuleType:
    """Return the module that reads the project's command lines."""
    return import_module(f"{package}.__main__")


def commands(package: str) -> set[str]:
    """Return the first words of the project's commands."""
    return {*CORE, *main(package).OTHERS}


def parser(package: str, given: list[str], root: Path) -> ArgumentParser:
    """Return the project's parser; of the further commands only those that are named: some take seconds to import."""
    others, known = main(package).OTHERS, dict.fromkeys(run_options((root / "src" / package).resolve()), "")
    named = [name for name in others if name in given or name == "-".join(given[:2])]
    made: ArgumentParser = main(package).build_parser((named or ["agents"])[0], known)
    return made


def judge_script(words: list[str], root: Path) -> Iterator[str]:
    """Yield what is wrong with a script of the project and its options; what a library offers is its own matter."""
    if not words or words[0].startswith("-"):
        return
    if not (path := root / words[0]).is_file():  # whoever looks at the paths of a text says so
        return
    offered = strings(path).union(*(strings(file) for file in helpers(path)))
    asked = [match[0] for word in words[1:] if (match := OPTION.match(word)) and match[0] != "--help"]
    yield from (f"{words[0]} has no option {option}" for option in asked if option not in offered)


def helpers(script: Path) -> Iterator[Path]:
    """Yield the modules of this package that a script names: its options stand there."""
    imported = [node for node in ast.walk(ast.parse(script.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)]
    named = {part for node in imported for part in str(node.module).split(".")}
    named |= {alias.name for node in imported for alias in node.names} | strings(script)
    yield from (path for name in named if name.isidentifier() and (path := HERE / f"{name}.py").is_file())
