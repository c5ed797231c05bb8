"""Records of decisions, one a page in docs/decisions: begun with the next number, and checked."""

import re
from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from typing import Any

from .. import pages
from ..outcome import outcome, project_root, write_whole
from ..tasks import today

HELP = "records of decisions: begin one; check that they are filled in"
FOLDER = Path("docs/decisions")
SECTIONS = {
    "Context": "what asks for a choice: a line of requirements.md, figures of which runs, what is not known",
    "Decision": "what is done from now on, in a sentence or two",
    "Alternatives": "what else was weighed, and why it was not taken",
    "Consequences": "what becomes easier, what harder, and what would open the question again",
}
STATUS = re.compile(r"proposed|accepted|rejected|superseded by \d{4}")
NAME = re.compile(r"(\d{4})(?:-[a-z0-9-]+)?\.md")
LONGEST = 60  # letters of a title in a file's name


def add_arguments(parser: ArgumentParser) -> bool:
    """Say what the command takes; it does not take the options of a run."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    new = actions.add_parser("new", help=f"write the next record in {FOLDER.as_posix()}, to be filled in")
    new.add_argument("title", metavar="TITLE", help="what is decided, as in 'Keep the labels of two experts apart'")
    check = actions.add_parser("check", help="exit 1 after a line for each record that is not whole")
    check.add_argument("file", type=Path, nargs="?", metavar="FILE", help="a record; otherwise all of them")
    return False


def main(action: str, *, title: str = "", file: Path | None = None) -> dict[str, Any]:
    """Begin or check records in the project above the current folder."""
    root = project_root()
    if action == "new":
        return {"written": begin(title, root).relative_to(root).as_posix()}
    files = [file] if file else records(root)
    problems = [f"{path}: {line}" for path in files for line in check(path)]
    numbers = Counter(path.name[:4] for path in files).items()
    problems += [f"{FOLDER.as_posix()}: {count} records have the number {n}" for n, count in numbers if count > 1]
    return outcome(problems, records=[path.name for path in files])


def records(root: Path) -> list[Path]:
    """Return the records of a project, the oldest first."""
    return sorted((root / FOLDER).glob("*.md"))


def begin(title: str, root: Path) -> Path:
    """Write the next record; raises ValueError for a title that is none."""
    if not (title := title.strip()) or not title.isprintable():
        raise ValueError(f"got the title {title!r}, want what is decided, in one line")
    taken = [int(name[1]) for path in records(root) if (name := NAME.fullmatch(path.name))]
    number = f"{max(taken, default=0) + 1:04}"
    words = re.sub(r"[^a-z0-9]+", "-", title.lower())[:LONGEST].strip("-")
    body = "".join(f"\n## {name}\n\n[fill: {asked}]\n" for name, asked in SECTIONS.items())
    path = root / FOLDER / f"{number}-{words}".rstrip("-")
    path = path.with_name(f"{path.name}.md")
    write_whole({path: f"# {number}. {title}\n\n- Status: proposed\n- Date: {today()}\n{body}"})
    return path


def check(path: Path) -> list[str]:
    """Return a line for each thing that a record lacks."""
    text = pages.read(path)
    head = pages.values(text.partition("\n## ")[0])
    lines = [] if NAME.fullmatch(path.name) else ["want a name such as 0002-use-a-larger-batch.md"]
    if not STATUS.fullmatch(status := head.get("Status", "")):
        lines.append(f"got the status '{status}', want proposed, accepted, rejected or 'superseded by 0002'")
    return lines + pages.problems(text, tuple(SECTIONS))
