# copier: filter replace("my_project", package_name)
"""Some tasks and their view, and what a person does to them by hand."""

from datetime import date
from pathlib import Path

from my_project_agents import task_view, tasks
from my_project_agents.process import first_book
from my_project_agents.task_book import Book

DAY = date(2026, 1, 31)
EXAMPLE = """# Machine Learning Engineer Tasks

## In Progress
- [ ] Model: wide net - training
- [ ] Experiment: dropout of a half

## To Do
- [ ] Design: a memory for long texts
- [ ] Train: wide net with the new rows
- [ ] Evaluate: wide net on the test rows
- [ ] Optimize: learning rate of wide net

## Completed
- [x] Model: baseline - accuracy 0.9481, gap 0.012 (completed: 2026-01-31)
"""


def empty() -> Book:
    return first_book("net").model_copy(update={"tasks": ()})


def example() -> Book:
    book = empty().add(kind="Model", title="wide net", status="in_progress", phase="training", started=DAY)
    book = book.add(kind="Experiment", title="dropout of a half", status="in_progress", started=DAY)
    for kind, title in [
        ("Design", "a memory for long texts"),
        ("Train", "wide net with the new rows"),
        ("Evaluate", "wide net on the test rows"),
        ("Optimize", "learning rate of wide net"),
    ]:
        book = book.add(kind=kind, title=title)
    figures = {"accuracy": 0.94814, "gap": 0.012}
    return book.add(kind="Model", title="baseline", status="done", completed=DAY, metrics=figures)


def make(root: Path) -> Path:
    """Write the tasks of the example and their view into a project."""
    (root / ".claude").mkdir()
    tasks.Store(root / tasks.FILE, example()).save()
    return root


def edit(root: Path, old: str, new: str) -> None:
    view = root / task_view.PLACE
    text = view.read_text("utf-8")
    assert old in text
    view.write_text(text.replace(old, new, 1), encoding="utf-8")


def synced(root: Path, prefer: str = "") -> Book:
    with tasks.opened(root, prefer):
        pass
    assert [line for line in tasks.check(root) if "view" in line] == []
    return tasks.Store.load(root / tasks.FILE).book


def in_source(project: Path, old: str, new: str) -> None:
    source = project / tasks.FILE
    text = source.read_text("utf-8")
    place = text.index(old)
    source.write_text(text[:place] + new + text[place + len(old) :], encoding="utf-8")
    # copier: endfilter
