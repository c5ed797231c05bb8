"""What is done with tasks: tasks.json is the source, its view is written with it, every new status has its day."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from importlib import import_module, util
from os import O_RDONLY, close
from os import open as open_folder
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from . import task_view
from .acceptance import red, run_all
from .outcome import outcome, write_whole
from .task_book import Book, Task
from .task_merge import Merge, merge

FILE = "tasks.json"


class Store:
    """tasks.json and its view; the view is read whenever the tasks are, so that no edit made by hand is lost."""

    def __init__(self, path: Path, book: Book) -> None:
        self.path, self.book = path, book
        self.changes: list[str] = []  # what was edited by hand

    @classmethod
    def load(cls, path: Path) -> "Store":
        """Read tasks.json; raises ValueError with what is wrong in one line."""
        try:
            return cls(path, Book.model_validate_json(path.read_text("utf-8")))
        except FileNotFoundError:
            raise ValueError(f"{path} is not there; want the tasks of the project") from None
        except ValidationError as error:
            wrong = error.errors()[0]
            where = ".".join(str(part) for part in wrong["loc"]) or "all of it"
            raise ValueError(f"{path}: {where}: {wrong['msg'].removeprefix('Value error, ')}") from None

    @property
    def view(self) -> Path | None:
        """Return where the view lies; nowhere in a project without .claude."""
        path = self.path.parent / task_view.PLACE
        return path if path.parents[1].is_dir() else None

    def save(self) -> None:
        """Write view and source, each in one move; the view first, so that what is cut off looks like an edit of it."""
        if self.view:
            for task in self.book.tasks:
                self.book = self.book.change(task, shown=task_view.shown(task))
        view = {self.view: task_view.render(self.book)} if self.view else {}
        write_whole({**view, self.path: self.book.text()})

    def read_view(self, prefer: str = "") -> Merge:
        """Return the tasks with the edits of the view in them; raises ValueError where a line cannot be read."""
        if not self.view or not self.view.exists():
            return Merge(self.book)
        items, problems = task_view.parse(self.view.read_text("utf-8"))
        if problems:
            raise ValueError(f"{task_view.PLACE}: {'; '.join(problems)}")
        return merge(self.book, items, today(), prefer)


def today() -> date:
    """Return the day it is here."""
    return datetime.now(UTC).astimezone().date()


@contextmanager
def held(root: Path) -> Iterator[None]:
    """Let one command after the other change the tasks of a project; where there are no locks, all at once."""
    if not util.find_spec("fcntl"):
        yield
        return
    fcntl, folder = import_module("fcntl"), open_folder(root, O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        close(folder)


@contextmanager
def opened(root: Path, prefer: str = "") -> Iterator[Store]:
    """Hold the tasks for a change: what was edited by hand is read first, and all is written at the end."""
    with held(root):
        store = Store.load(root / FILE)
        merged = store.read_view(prefer)
        if merged.conflicts:
            raise ValueError(f"{'; '.join(merged.conflicts)}: tasks sync --prefer view or source settles it")
        store.book, store.changes = merged.book, merged.changes
        yield store
        store.save()


def check(root: Path) -> list[str]:
    """Return a line for each way in which tasks contradict one another, or the view the source."""
    try:
        store = Store.load(root / FILE)
    except ValueError as error:
        return [str(error)]
    problems, view = store.book.problems(), store.view
    if not view:
        return problems
    if not view.exists():
        return [*problems, f"{task_view.PLACE} is not there: tasks sync writes it"]
    items, unread = task_view.parse(text := view.read_text("utf-8"))
    if unread:
        return problems + [f"{task_view.PLACE}: {line}" for line in unread]
    merged = merge(store.book, items, today())
    problems += merged.conflicts + [f"not yet in {FILE}: {line}" for line in merged.changes]
    if text != task_view.render(store.book):
        problems.append(f"{task_view.PLACE} is not what tasks.json says: tasks sync")
    return problems


def start(root: Path, name: str, phase: str = "") -> Task:
    """Begin a task today."""
    with opened(root) as store:
        task = store.book.find(name)
        if task.status == "done":
            raise ValueError(f"{task.id} is done; untick it in {task_view.PLACE} if it is to be done again")
        days = {"started": task.started or today(), "phase": phase or task.phase}
        store.book = store.book.change(task, status="in_progress", **days)
        return store.book.find(task.id)


def done(root: Path, name: str, *, run: str = "", problems: list[str], report: str = "") -> dict[str, Any]:
    """Finish a task whose criteria hold, with the figures of its run; otherwise SystemExit(1) says what is missing."""
    with opened(root) as store:
        task, book = store.book.find(name), store.book
    if task.status == "done":
        raise ValueError(f"{task.id} is done already: tasks verify {task.id} runs its criteria again")
    problems = [*problems, *(f"{task.id} waits for {other}" for other in book.waits_for(task))]
    results = [] if problems else run_all(task.acceptance_criteria, root, task.id, run)
    problems += red(results)
    if problems:
        return outcome(problems, task=task.id, results=results)
    figures = figures_of(root, run) if run else {}
    with opened(root) as store:
        task, day = store.book.find(task.id), today()
        days = {"started": task.started or day, "completed": day, "verified": day}
        store.book = store.book.change(task, status="done", metrics=figures, run=run, report=report, **days)
        return outcome([], task=task.id, line=task_view.line_of(store.book.find(task.id)), results=results)


def figures_of(root: Path, run: str) -> dict[str, float]:
    """Return the figures of a run from its evaluation.json; raises ValueError where it has none."""
    path = root / run / "evaluation.json"
    if not path.is_file():
        raise ValueError(f"{path} is not there; want a run that was evaluated")
    record = json.loads(path.read_text("utf-8"))
    return {record["primary"]: record["value"], "gap": record["gap"]}


def verify(root: Path, name: str = "", run: str = "") -> dict[str, Any]:
    """Run the criteria of a task, or the definition of done; SystemExit(1) where one does not hold."""
    store = Store.load(root / FILE)
    if not name:
        results = run_all(store.book.definition_of_done, root, "done")
        return outcome(red(results), results=results)
    task = store.book.find(name)
    results = run_all(task.acceptance_criteria, root, task.id, run or task.run)
    if task.status == "done":
        with opened(root) as store:
            store.book = store.book.change(store.book.find(task.id), verified=None if red(results) else today())
    return outcome(red(results), task=task.id, results=results)
