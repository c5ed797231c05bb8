"""What was edited by hand in the view comes back into the source; where both have changed, a conflict is named."""

import difflib
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from .task_book import Book, Status, Task
from .task_view import BY_SECTION, SECTIONS, Item, read_line, remembered, shown

ALIKE = 0.6  # share of letters in common from which a line is another one's new title


@dataclass
class Merge:
    """The book with the edits of the view in it, and what is to be told of them."""

    book: Book
    changes: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)


def merge(book: Book, items: list[Item], today: date, prefer: str = "") -> Merge:
    """Take every edit of the view over; `prefer` ("view" or "source") settles what both sides changed."""
    merged, pairs = Merge(book), pair(book, items)
    for task in book.tasks:
        if item := pairs.get(task.id):
            take(merged, task, item, today, prefer)
        elif task.shown:
            merged.changes.append(f"{task.id}: its line was gone and is put back ({task.name})")
    known = {id(item) for item in pairs.values()}
    for item in items:
        if id(item) not in known:
            add(merged, item, today)
    return merged


def add(merged: Merge, item: Item, today: date) -> None:
    """Make a task of a line that was written by hand."""
    status, days = status_of(item, None), {"created": today}
    days |= {"completed": item.completed or today} if status == "done" else {}
    days |= {"started": today} if status == "in_progress" else {}
    phase = item.note if status == "in_progress" else ""
    merged.book = merged.book.add(kind=item.kind, title=item.title, status=status, phase=phase, **days)
    merged.changes.append(f"{merged.book.tasks[-1].id}: new, {item.name} ({SECTIONS[status]})")


def pair(book: Book, items: list[Item]) -> dict[str, Item]:
    """Say which line is which task's: the one of its name, else the most like it, else the one in its place."""
    names = {name: t.id for t in book.tasks for name in (t.name, (remembered(t) or read_line(*as_shown(t))).name)}
    pairs = {names[item.name]: item for item in items if item.name in names}
    lost = {t.id: base for t in book.tasks if (base := remembered(t)) and t.id not in pairs}
    new = [item for item in items if item.name not in names]
    closeness = {(a, n): alike(lost[a], item) for a in lost for n, item in enumerate(new)}
    for (task, number), share in sorted(closeness.items(), key=lambda entry: -entry[1]):
        if share >= ALIKE and task in lost and new[number] not in pairs.values():
            pairs[task] = new[number]
            del lost[task]
    for section in BY_SECTION:
        in_place(section, book, items, pairs, lost)
    return pairs


def as_shown(task: Task) -> tuple[str, str]:
    """Return line and section of a task as the view would have them."""
    section, _, line = shown(task).partition(": ")
    return line, section


def alike(base: Item, item: Item) -> float:
    """Return the share of letters that two titles have in common; nothing where their kinds differ."""
    return difflib.SequenceMatcher(None, base.title, item.title).ratio() if base.kind == item.kind else 0.0


def in_place(section: str, book: Book, items: list[Item], pairs: dict[str, Item], lost: dict[str, Item]) -> None:
    """Give a new line to the lost one that stood behind the same task in the same section."""
    order = ["", *(t.id for t in book.tasks if (base := remembered(t)) and base.section == section)]
    owners, before = {id(item): name for name, item in pairs.items()}, ""
    for item in (item for item in items if item.section == section):
        if id(item) not in owners and before in order[:-1] and order[order.index(before) + 1] in lost:
            before = order[order.index(before) + 1]
            pairs[before] = item
            del lost[before]
        else:
            before = owners.get(id(item), before)


def status_of(item: Item, base: Item | None) -> Status:
    """Return what a line's section and box say; a box that was opened or ticked counts more than the section."""
    status = BY_SECTION[item.section]
    if item.ticked:
        return "done"
    if status == "done":  # moved there without a tick, or its tick was taken away
        return "todo" if base and base.section == item.section else "done"
    return status


def take(merged: Merge, task: Task, item: Item, today: date, prefer: str) -> None:
    """Take over what changed in a task's line, field by field; name what changed on both sides."""
    own = read_line(*as_shown(task))
    base, new = remembered(task) or own, dict[str, Any]()
    before, mine = fields(base, base), fields(own, own)
    for name, value in fields(item, base).items():
        was, now = before.get(name), mine.get(name)
        if value in {was, now}:
            continue  # only the source has changed, or nothing has
        if was == now or prefer == "view":
            new[name] = value
        elif prefer != "source":
            merged.conflicts.append(f"{task.id}: {name} is '{now}' in tasks.json and '{value}' in the view")
    if new:
        put(merged, task, new, today)
    if status_of(item, base) == "done" and item.note not in {"", base.note, own.note}:
        merged.changes.append(f"{task.id}: no figures are taken from the view: tasks done {task.id} --metrics RUN")


def fields(item: Item, base: Item) -> dict[str, Any]:
    """Return what a line says: a phase only where it has one or had one, a day only where it is done."""
    status = status_of(item, base)
    found = {"status": status, "kind": item.kind, "title": item.title}
    if status == "in_progress" and (item.note or base.section == item.section):
        found["phase"] = item.note
    return found | ({"completed": item.completed} if status == "done" and item.completed else {})


def put(merged: Merge, task: Task, new: dict[str, Any], today: date) -> None:
    """Write the edits of a line into the book, with the days that belong to a new status."""
    told = ", ".join(f"{name} {getattr(task, name) or 'none'} -> {value}" for name, value in new.items())
    if (status := new.get("status")) == "done":
        new = {"completed": today, "started": task.started or today, **new, "verified": None}
    elif status:
        new |= {"completed": None, "verified": None, "metrics": {}, "run": ""}
        new |= {"started": today} if status == "in_progress" and not task.started else {}
    merged.book = merged.book.change(task, **new)
    merged.changes.append(f"{task.id}: {told}")
