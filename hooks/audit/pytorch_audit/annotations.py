"""Types: whether every signature has them, and whether a checker is told to be strict."""

import configparser
import re
from collections.abc import Callable, Iterator
from typing import Any

from .repository import Function, Repository
from .verdict import Place, Verdict, fails, holds, unclear

CHECKED_IN = re.compile(
    r"^(\.pre-commit-config\.yaml|\.github/workflows/.*|\.gitlab-ci\.yml|Makefile|justfile|tox\.ini)$"
)


def types_annotated(repository: Repository) -> Verdict:
    """Judge the signatures of all functions outside the tests."""
    found = [(module, node) for module in repository.code for node in module.functions]
    if not found:
        return unclear("there are no functions", ())
    bare = [Place(module.path, node.lineno) for module, node in found if not annotated(node)]
    if bare:
        return fails(f"{len(bare)} of {len(found)} signatures lack types", bare)
    return holds(f"all {len(found)} signatures have types", ())


def annotated(node: Function) -> bool:
    """Whether each parameter and the result of a function have a type; that of an `__init__` is always None."""
    given = node.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, [given.vararg, given.kwarg])]
    if given.args and given.args[0].arg in {"self", "cls"}:
        every.remove(given.args[0])
    result = node.returns is not None or (node.name == "__init__" and bool(every))
    return result and all(each.annotation is not None for each in every)


def types_checked(repository: Repository) -> Verdict:
    """Judge the settings of mypy, pyright or basedpyright."""
    strict, mild = list[Place](), list[Place]()
    for name, table in repository.table("tool").items():
        if name in {"mypy", "pyright", "basedpyright"} and isinstance(table, dict):
            (strict if is_strict(table) else mild).append(Place("pyproject.toml", line_of(repository, f"[tool.{name}")))
    for name in ("mypy.ini", ".mypy.ini", "setup.cfg"):
        if name in repository.files and (section := ini(repository.text(name))):
            (strict if section.get("strict", "").lower() == "true" else mild).append(Place(name))
    strict += strict_commands(repository)
    if strict:
        return holds("a type checker is told to be strict", strict)
    if mild:
        return fails("a type checker is configured, and not strict", mild)
    return fails("no type checker is configured", ())


def strict_commands(repository: Repository) -> Iterator[Place]:
    """Yield the lines of hooks and workflows that start mypy with --strict."""
    for path in filter(CHECKED_IN.match, repository.files):
        for number, line in enumerate(repository.text(path).splitlines(), 1):
            if re.search(r"\bmypy\b.*--strict\b", line):
                yield Place(path, number)


def is_strict(table: dict[str, Any]) -> bool:
    """Whether a table of pyproject.toml asks for all checks."""
    return table.get("strict") is True or table.get("typeCheckingMode") in {"strict", "all"}


def ini(text: str) -> dict[str, str]:
    """Return the section of mypy in an INI file."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return {}
    return dict(parser["mypy"]) if parser.has_section("mypy") else {}


def line_of(repository: Repository, start: str, path: str = "pyproject.toml") -> int:
    """Return the first line of a file that begins so, or 0."""
    lines = enumerate(repository.text(path).splitlines(), 1)
    return next((number for number, line in lines if line.strip().startswith(start)), 0)


CHECKS: dict[str, Callable[[Repository], Verdict]] = {
    "types-annotated": types_annotated,
    "types-strict": types_checked,
}
