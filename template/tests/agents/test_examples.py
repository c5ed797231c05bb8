# copier: filter replace("my_project", package_name)
"""What docstrings show is what happens."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import my_project_agents

PACKAGE = Path(next(iter(my_project_agents.__path__)))
SHOWING = [path for path in sorted(PACKAGE.rglob("*.py")) if ">>> " in path.read_text("utf-8")]


@pytest.mark.parametrize("path", SHOWING, ids=[path.stem for path in SHOWING])
def test_the_examples_in_docstrings_are_true(path: Path) -> None:
    name = ".".join((PACKAGE.name, *path.relative_to(PACKAGE).with_suffix("").parts))
    found = doctest.testmod(import_module(name))
    assert found.attempted > 0
    assert found.failed == 0
    # copier: endfilter
