# copier: filter replace("my_project", package_name)
"""The page on the architecture says what the tree says: its paths exist, and it names every room."""

import re
from importlib import import_module
from pathlib import Path

import pytest

import my_project

PROJECT = Path(__file__).parents[2]
PAGE = PROJECT / "docs/architecture.md"
PACKAGE = Path(next(iter(my_project.__path__)))
TREE = re.compile(r"```text\n(src/.*?)```", re.DOTALL)
WORD = re.compile(r"`([\w./{} ]+(?:/|\.(?:py|md|json|yaml|txt)))`")


@pytest.fixture
def page() -> str:
    """The text of the page, where it still is."""
    if not PAGE.exists():
        pytest.skip("docs/architecture.md was removed")
    return PAGE.read_text("utf-8")


def in_the_tree(page: str) -> list[str]:
    """Return the paths of the tree on the page, seen from the project."""
    found, folder = list[str](), ""
    for line in TREE.findall(page)[0].splitlines():
        name = re.split(r" {2,}", line.strip())[0]
        folder = "" if not line.startswith(" ") else folder
        found.append(folder + name)
        folder = name if name.startswith("src/") else folder
    return found


def test_every_path_on_the_page_exists(page: str) -> None:
    names = [
        *in_the_tree(page),
        *(name for name in WORD.findall(page) if name not in {"runs/", "tasks.json"}),
    ]
    assert len(names) > 25
    assert [name for name in names if not any((place / name).exists() for place in (PROJECT, PACKAGE))] == []


def test_every_room_of_the_package_is_on_the_page(page: str) -> None:
    entries = [path for path in PACKAGE.iterdir() if path.name not in {"__init__.py", "__pycache__"}]
    rooms = {path.name + ("/" if path.is_dir() else "") for path in entries}
    named = {Path(name).name + ("/" if name.endswith("/") else "") for name in in_the_tree(page)}
    assert rooms <= named


def test_every_part_that_a_batch_passes_through_is_there(page: str) -> None:
    parts = {
        "types": ("Batch", "StepOutput", "Measurement"),
        "data.loader": ("train_batches",),
        "training.trainer": ("Trainer",),
        "training.optimizer": ("Optimization",),
    }
    for module, names in parts.items():
        for name in names:
            assert name in page
            assert hasattr(import_module(f"my_project.{module}"), name)
    # copier: endfilter
