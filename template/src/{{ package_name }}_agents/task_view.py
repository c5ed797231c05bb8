"""The tasks as a list in Markdown, for people and agents: written from tasks.json, and read back."""

import re
from dataclasses import dataclass
from datetime import date
from typing import get_args

from .task_book import Book, Kind, Status, Task

PLACE = ".claude/tasks/ml-engineer-tasks.md"
TITLE = "# Machine Learning Engineer Tasks"
SECTIONS: dict[Status, str] = {"in_progress": "In Progress", "todo": "To Do", "done": "Completed"}
BY_SECTION = {section: status for status, section in SECTIONS.items()}
KINDS = frozenset(get_args(Kind))
LINE = re.compile(
    r"- \[(?P<box>[ xX])\] (?P<kind>\w+): (?P<title>.*?)(?: - (?P<note>.*?))?(?: \(completed: (?P<day>[^)]*)\))?\s*"
)
EXAMPLES = {
    "In Progress": "- [ ] Model: NAME - PHASE",
    "To Do": "- [ ] Train: WHAT",
    "Completed": "- [x] Model: NAME - FIGURES (completed: YYYY-MM-DD)",
}


@dataclass(frozen=True, kw_only=True)
class Item:
    """What a line of the view says."""

    section: str
    ticked: bool
    kind: str
    title: str
    note: str  # the phase of what is in progress, the figures of what is done
    completed: date | None

    @property
    def name(self) -> str:
        """Return kind and title."""
        return f"{self.kind}: {self.title}"


def line_of(task: Task) -> str:
    """Return the line of a task."""
    done = task.status == "done"
    figures = ", ".join(f"{name} {value:.4g}" for name, value in task.metrics.items())
    note = {"done": figures, "in_progress": task.phase, "todo": ""}[task.status]
    tail = f" - {note}" if note else ""
    return f"- [{'x' if done else ' '}] {task.name}{tail}" + (f" (completed: {task.completed})" if done else "")


def shown(task: Task) -> str:
    """Return section and line of a task, as it is remembered what the view showed."""
    return f"{SECTIONS[task.status]}: {line_of(task)}"


def remembered(task: Task) -> Item | None:
    """Return what the view showed when it last agreed with the source."""
    section, _, line = task.shown.partition(": ")
    return read_line(line, section) if task.shown else None


def render(book: Book) -> str:
    """Return the whole view; the newest of what is done comes first."""
    parts = [TITLE]
    for status, section in SECTIONS.items():
        tasks = [task for task in book.tasks if task.status == status]
        if status == "done":
            tasks.sort(key=lambda task: task.completed or date.min, reverse=True)
        parts.append("\n".join([f"## {section}", *map(line_of, tasks)]))
    return "\n\n".join(parts) + "\n"


def read_line(line: str, section: str) -> Item:
    """Read one line; raises ValueError with what is wanted."""
    found = LINE.fullmatch(line)
    if not found or not found["title"]:
        raise ValueError(f"got '{line}', want a task, as in '{EXAMPLES[section]}'")
    if found["kind"] not in KINDS:
        raise ValueError(f"got the kind '{found['kind']}', want one of {', '.join(sorted(KINDS))}")
    day = None
    if found["day"] is not None:
        try:
            day = date.fromisoformat(found["day"]) if re.fullmatch(r"\d{4}-\d\d-\d\d", found["day"]) else None
        except ValueError:
            day = None
        if not day:
            raise ValueError(f"got the day '{found['day']}', want one as in 2026-01-31")
    return Item(
        section=section,
        ticked=found["box"] != " ",
        kind=found["kind"],
        title=found["title"],
        note=found["note"] or "",
        completed=day,
    )


def parse(text: str) -> tuple[list[Item], list[str]]:
    """Return the tasks of a view, and a line for each thing in it that is none."""
    items, problems, headings, section = list[Item](), list[str](), list[str](), ""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("## "):
            section = line[3:].strip()
            headings.append(section)
            if section not in BY_SECTION or headings.count(section) > 1:
                problems.append(f"line {number}: heading '{section}', want each of {', '.join(BY_SECTION)} once")
        elif line.strip() and (number > 1 or line != TITLE):
            try:
                items.append(read_line(line, section if section in BY_SECTION else "To Do"))
                problems += [] if section else [f"line {number}: a task before the first heading"]
            except ValueError as error:
                problems.append(f"line {number}: {error}")
    problems += [f"the heading '## {name}' is missing" for name in BY_SECTION if name not in headings]
    problems += [] if text.startswith(TITLE + "\n") else [f"line 1: want '{TITLE}'"]
    names = [item.name for item in items]
    return items, problems + [f"'{name}' is there twice" for name in dict.fromkeys(names) if names.count(name) > 1]
