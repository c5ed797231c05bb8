"""Tests: whether there are any, whether they can be collected, whether they can fail."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from .repository import SCOPES, Function, Module, Repository, written
from .verdict import Place, Verdict, fails, holds, unclear

ASSERTS = re.compile(r"^(assert\w*|raises|warns|deprecated_call|check\w*|verify\w*|expect\w*|fail|gradcheck)$")


def tests_of(module: Module) -> Iterator[Function]:
    """Yield the functions that pytest or unittest would run."""
    for node in module.functions:
        owner = next(module.above(node), None)
        home = isinstance(owner, ast.Module) or (isinstance(owner, ast.ClassDef) and is_suite(owner))
        if node.name.startswith("test") and home:
            yield node


def is_suite(node: ast.ClassDef) -> bool:
    """Whether a class holds tests."""
    return node.name.startswith("Test") or any("TestCase" in written(base) for base in node.bases)


def every_test(repository: Repository) -> list[tuple[Module, Function]]:
    """Return all tests with their files."""
    return [(module, node) for module in repository.tests for node in tests_of(module)]


def tests_exist(repository: Repository) -> Verdict:
    """Judge whether there are tests."""
    found = every_test(repository)
    if found:
        return holds(f"there are {len(found)} tests", (Place(module.path, node.lineno) for module, node in found[:1]))
    if repository.tests:
        return fails("there are files for tests and no test in them", (Place(m.path) for m in repository.tests))
    return fails("there are no tests", ())


def tests_collect(repository: Repository) -> Verdict:
    """Judge whether each file of tests parses, imports what exists here, and hides no test behind another."""
    if not every_test(repository):
        return unclear("there are no tests", ())
    broken = [place for place in repository.unreadable if "test" in place.path]
    if broken:
        return fails("a file of tests does not parse", broken)
    missing = [place for module in repository.tests for place in missing_imports(repository, module)]
    if missing:
        return fails("a test imports what is not in this repository any more", missing)
    if hidden := [place for module in repository.tests for place in repeated(module)]:
        return fails("a test has the name of a later one and never runs", hidden)
    return holds("every file of tests parses, and what it imports from here exists", ())


def missing_imports(repository: Repository, module: Module) -> Iterator[Place]:
    """Yield the imports of modules that this repository should have and has not."""
    homes = {path for path in repository.files if path.endswith(".py")}
    packages = {PurePosixPath(path).parts[0] for path in homes} | {
        PurePosixPath(path).parts[1] for path in homes if path.startswith("src/")
    }
    for node in module.nodes:
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            parts = node.module.split(".")
            if parts[0] in packages and len(parts) > 1 and not leads(homes, "/".join(parts)):
                yield Place(module.path, node.lineno)


def leads(homes: set[str], path: str) -> bool:
    """Whether a module's path is a file or a folder here, from the root or from src."""
    starts = (path, f"src/{path}")
    return any(f"{start}.py" in homes or any(home.startswith(f"{start}/") for home in homes) for start in starts)


def repeated(module: Module) -> Iterator[Place]:
    """Yield the tests that a later one of the same name replaces."""
    last = dict[tuple[str, str], Function]()
    for node in tests_of(module):
        owner = next(module.above(node), None)
        key = (getattr(owner, "name", ""), node.name)
        if key in last and not last[key].decorator_list:
            yield Place(module.path, last[key].lineno)
        last[key] = node


def tests_assert(repository: Repository) -> Verdict:
    """Judge whether each test can fail, and can pass."""
    found = every_test(repository)
    if not found:
        return unclear("there are no tests", ())
    helpers = {node.name for module in repository.tests for node in module.functions if claims(node, set())}
    hollow = [Place(module.path, node.lineno) for module, node in found if not claims(node, helpers)]
    if len(hollow) == len(found):
        return fails("no test asserts anything that depends on the code", hollow)
    if hollow:
        return fails(f"{len(hollow)} of {len(found)} tests assert nothing that depends on the code", hollow)
    return holds(f"all {len(found)} tests assert something", ())


def claims(function: Function, helpers: set[str]) -> bool:
    """Whether a function asserts, expects an error or calls a helper of the tests that does."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert) and not isinstance(node.test, ast.Constant):
            return True
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if (ASSERTS.match(name) and not all_constant(node)) or name in helpers:
                return True
        if isinstance(node, ast.Raise) and not isinstance(node, SCOPES):
            return True
        if isinstance(node, ast.arg) and node.arg in helpers:  # a fixture that asserts
            return True
    return False


def all_constant(call: ast.Call) -> bool:
    """Whether a call says nothing of the code, as `self.assertTrue(False)`."""
    return bool(call.args) and all(isinstance(each, ast.Constant) for each in call.args)


CHECKS: dict[str, Callable[[Repository], Verdict]] = {
    "tests-exist": tests_exist,
    "tests-collect": tests_collect,
    "tests-assert": tests_assert,
}
