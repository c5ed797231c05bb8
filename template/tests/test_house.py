# copier: filter replace("my_project", package_name)
"""The house stays in order: rooms import in one direction, files stay small, shapes are written down."""

import ast
import doctest
import re
from importlib import import_module
from pathlib import Path

import pytest

import my_project

PACKAGE = Path(next(iter(my_project.__path__)))
FILES = sorted(PACKAGE.rglob("*.py"))
NAMES = [str(path.relative_to(PACKAGE)) for path in FILES]
# A room may import from itself and from the rooms before it.
ROOMS = [
    "types",
    "models",
    "data",
    "training",
    "evaluation",
    "config",
    "run",
    "serving",
    "study",
    "experiment",
    "search",
    "commands",
    "__main__",
]
TENSOR_WORDS = re.compile(r"\[[^\]]*\]")


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    depth = len(path.relative_to(PACKAGE).parts)
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            names = [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]
            found.update(names)
    return found


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_rooms_import_in_one_direction(path: Path) -> None:
    if path.name == "__init__.py":
        assert not imported_rooms(path)
        return
    allowed = ROOMS[: ROOMS.index(room(path)) + 1]
    if room(path) == "models":
        allowed = ["types", "models"]
    assert imported_rooms(path) <= set(allowed)


def functions(path: Path) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)]


def body_lines(function: ast.FunctionDef) -> int:
    statements = function.body[1:] if ast.get_docstring(function) else function.body
    return (function.end_lineno or 0) - statements[0].lineno + 1 if statements else 0


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_no_function_body_is_longer_than_a_screen(path: Path) -> None:
    assert [f.name for f in functions(path) if body_lines(f) > 30] == []


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_functions_that_take_tensors_write_their_shapes_down(path: Path) -> None:
    def takes_tensors(function: ast.FunctionDef) -> bool:
        hints = [ast.unparse(a.annotation) for a in function.args.args if a.annotation]
        return any(hint in {"Tensor", "torch.Tensor"} for hint in hints) and not function.name.startswith("__")

    silent = [
        f.name for f in functions(path) if takes_tensors(f) and not TENSOR_WORDS.search(ast.get_docstring(f) or "")
    ]
    assert silent == []


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_every_file_says_what_it_does_and_stays_small(path: Path) -> None:
    text = path.read_text("utf-8")
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 250


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_what_is_logged_bears_the_name_of_its_module(path: Path) -> None:
    text = path.read_text("utf-8")
    assert re.findall(r"^logger = (.+)", text, re.MULTILINE) in ([], ["logging.getLogger(__name__)"])
    assert not re.findall(r"\blogging\.(?:debug|info|warning|error|exception|critical)\(", text)


def test_the_examples_in_docstrings_are_true() -> None:
    for path in FILES:
        if ">>> " in path.read_text("utf-8"):
            name = ".".join((PACKAGE.name, *path.relative_to(PACKAGE).with_suffix("").parts))
            found = doctest.testmod(import_module(name))
            assert found.attempted, name
            assert not found.failed, name


def test_no_model_is_moved_to_a_device_by_name() -> None:
    assert [name for path, name in zip(FILES, NAMES, strict=True) if ".cuda()" in path.read_text("utf-8")] == []
    # copier: endfilter
