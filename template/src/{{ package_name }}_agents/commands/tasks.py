"""The tasks of the project: added, started, finished, checked, reported; their view is kept in step."""

from argparse import ArgumentParser
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

from .. import tasks
from ..outcome import outcome, project_root
from ..process import new_model
from ..task_book import Criterion, Kind
from ..task_view import PLACE, line_of

HELP = "tasks of the project: tasks.json and its view"


def add_arguments(parser: ArgumentParser) -> bool:
    """Say what the command takes; it does not take the options of a run."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = actions.add_parser("add", help="add a task")
    add.add_argument("kind", choices=get_args(Kind), metavar="KIND", help=", ".join(get_args(Kind)))
    add.add_argument("title", metavar="TITLE")
    add.add_argument("--after", action="append", default=[], metavar="ID", help="a task that has to be done before")
    add.add_argument("--accept", action="append", default=[], metavar="CHECK", help="a command or test that shows it")
    model = actions.add_parser("new-model", help="add the nine steps of a model")
    model.add_argument("name", metavar="NAME")
    start = actions.add_parser("start", help="begin a task today")
    done = actions.add_parser("done", help="run a task's criteria and finish it; exit 1 where one does not hold")
    verify = actions.add_parser("verify", help="run a task's criteria, or the definition of done; exit 1 likewise")
    report = actions.add_parser("report", help="write a report to fill in, or check one")
    for action in (add, start):
        action.add_argument("--phase", default="", help="such as design, training or evaluation")
    for action in (start, done):
        action.add_argument("name", metavar="ID", help="the id or title of a task")
    verify.add_argument("name", nargs="?", default="", metavar="ID", help="a task; otherwise the definition of done")
    for action in (done, verify):
        action.add_argument(
            "--metrics", default="", metavar="RUN", help="the run that shows it; its figures are copied"
        )
    done.add_argument("--report", type=Path, metavar="FILE", help="a report, checked before anything else")
    report.add_argument("--check", type=Path, metavar="FILE", help="the report to check; exit 1 where it is wrong")
    report.add_argument("--plan", type=Path, metavar="FILE", help="the plan that it followed")
    report.add_argument("--since", default="", metavar="COMMIT", help="name every file that has changed since then")
    sync = actions.add_parser("sync", help="take over what was edited by hand in the view, and write it anew")
    sync.add_argument("--prefer", choices=("view", "source"), default="", help="what wins where both have changed")
    actions.add_parser("check", help="exit 1 where view and source disagree or tasks contradict one another")
    actions.add_parser("next", help="say which task comes next")
    return False


def main(action: str, **options: Any) -> dict[str, Any]:
    """Do one of the actions in the project above the current folder."""
    chosen: dict[str, Callable[..., dict[str, Any]]] = {
        "add": add,
        "new-model": add_model,
        "start": start,
        "done": done,
    }
    chosen |= {"verify": verify, "sync": sync, "check": check, "next": first, "report": report}
    return chosen[action](project_root(), **options)


def told(store: tasks.Store, **result: Any) -> dict[str, Any]:
    """Return a result, and what was taken over from the view on the way."""
    return {**result, **({"from_the_view": store.changes} if store.changes else {})}


def add(root: Path, *, after: list[str], accept: list[str], **values: str) -> dict[str, Any]:
    """Add a task of a kind, a title and a phase."""
    criteria = tuple(show_by(check) for check in accept)
    with tasks.opened(root) as store:
        before = tuple(store.book.find(name).id for name in after)
        more = {"acceptance_criteria": criteria, "dependencies": before, "created": tasks.today()}
        store.book = store.book.add(**values, **more)
        new = store.book.tasks[-1]
        return told(store, task=new.id, line=line_of(new))


def show_by(check: str) -> Criterion:
    """Make a criterion of what a person writes: a test as pytest names it, or a command."""
    test = check.startswith("tests/") and " " not in check
    return Criterion(text=check, test=check if test else "", command="" if test else check)


def add_model(root: Path, *, name: str) -> dict[str, Any]:
    """Add the nine steps of a model."""
    with tasks.opened(root) as store:
        known = len(store.book.tasks)
        store.book = new_model(store.book, name, created=tasks.today())
        return told(store, tasks={task.id: task.name for task in store.book.tasks[known:]})


def start(root: Path, *, name: str, phase: str) -> dict[str, Any]:
    """Begin a task."""
    task = tasks.start(root, name, phase)
    return {
        "task": task.id,
        "line": line_of(task),
        "waits_for": tasks.Store.load(root / tasks.FILE).book.waits_for(task),
    }


def done(root: Path, *, name: str, metrics: str, report: Path | None) -> dict[str, Any]:
    """Finish a task."""
    problems = checker().check(read(report), root) if report else []
    return tasks.done(root, name, run=metrics, problems=problems, report=str(report or ""))


def verify(root: Path, *, name: str, metrics: str) -> dict[str, Any]:
    """Run criteria."""
    return tasks.verify(root, name, metrics)


def sync(root: Path, *, prefer: str) -> dict[str, Any]:
    """Take over the edits of the view."""
    with tasks.opened(root, prefer) as store:
        return {"view": PLACE if store.view else None, "changes": store.changes}


def check(root: Path) -> dict[str, Any]:
    """Compare view and source."""
    return outcome(tasks.check(root))


def first(root: Path) -> dict[str, Any]:
    """Say which task comes next, and what shows that it is done."""
    book = tasks.Store.load(root / tasks.FILE).read_view().book
    going = [task.id for task in book.tasks if task.status == "in_progress"]
    if not (task := book.first_free()):
        return {"task": None, "in_progress": going}
    shown_by = {c.text: c.command or c.test for c in task.acceptance_criteria}
    return {"task": task.id, "line": line_of(task), "phase": task.phase, "shown_by": shown_by, "in_progress": going}


def read(path: Path) -> str:
    """Return the text of a report."""
    if not path.is_file():
        raise ValueError(f"{path} is not there; want a report in Markdown")
    return path.read_text("utf-8")


def checker() -> ModuleType:
    """Return what checks reports, imported now: it takes as long as all the rest."""
    return import_module("..reports", __package__)


def report(root: Path, *, check: Path | None, plan: Path | None, since: str) -> dict[str, Any]:
    """Check a report, or return one to fill in."""
    if not check:
        return {"report": checker().skeleton(root)}
    text = read(check)
    problems = checker().check(text, root, plan=read(plan) if plan else "", since=since)
    return outcome(problems, file=str(check), files=checker().files_of(text) if not problems else {})
