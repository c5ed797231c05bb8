"""Reports in the formats that the agents agree on, read and checked: a plan, what was implemented, what a task left."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from .schemas import Report, first_error

NOTHING = {"none", "nothing"}
ENTRY = re.compile(r"(?:[-*]|\d+\.)\s+(.*)")
FILE_ENTRY = re.compile(r"`([^`]+)`\s+[-\u2013:]\s+(\S.*)")  # `path` - what
BLANK = re.compile(r"\[[^\]`]*\](?!\()")  # [purpose], as the format has it where nothing was filled in


class Format(NamedTuple):
    """The headings of a report: those that it must have, and those that it may have."""

    wanted: tuple[str, ...]
    files: str
    allowed: tuple[str, ...] = ()


MORE = ("Assumptions", "Design concerns", "Beyond the spec")
ITEMS = {  # heading of a task's report, and its field in schemas.Report
    "Files created/modified": "files",
    "Tests added and their results": "tests",
    "Documentation updated": "documentation",
    "E2E scenarios affected": "e2e_scenarios",
    "Decisions made and why": "decisions",
    "Remaining concerns or risks": "concerns",
    "Breaking changes": "breaking_changes",
}
MAY = {"Assumptions": "assumptions", "Design concerns": "design_concerns", "Beyond the spec": "beyond_the_spec"}
FORMATS = {
    "Implementation Plan": Format(
        ("Files to Create/Modify", "Implementation Order", "Proceeding with implementation..."),
        "Files to Create/Modify",
        MORE,
    ),
    "Implementation Complete": Format(
        ("Files Created/Modified", "Testing", "Next Steps"), "Files Created/Modified", MORE
    ),
    "Output Report": Format(tuple(ITEMS), "Files created/modified", MORE),
}


def read(text: str) -> tuple[str, dict[str, list[str]]]:
    """Return the heading of a report and the entries below each of its sections; raises ValueError for another text."""
    heading, sections, section = "", dict[str, list[str]](), ""
    for line in (line.strip() for line in text.splitlines()):
        if line.startswith("## "):
            heading = heading or line[3:].strip()
        elif line.startswith("### ") and heading:
            section = line[4:].strip()
            sections[section] = []
        elif line and section:
            entry = ENTRY.fullmatch(line)
            sections[section] += [entry[1].strip()] if entry else [line]
    if heading not in FORMATS:
        raise ValueError(f"got the heading '{heading}', want '## ' and one of {', '.join(FORMATS)}")
    return heading, sections


def files_of(text: str) -> dict[str, str]:
    """Return the files that a report names, and what is said of each."""
    heading, sections = read(text)
    found = (FILE_ENTRY.fullmatch(entry) for entry in sections.get(FORMATS[heading].files, ()))
    return {entry[1]: entry[2] for entry in found if entry}


def check(text: str, root: Path, *, plan: str = "", since: str = "") -> list[str]:
    """Return a line for each way in which a report breaks its format, or says what the project does not show."""
    try:
        heading, sections = read(text)
    except ValueError as error:
        return [str(error)]
    wanted, place, allowed = FORMATS[heading]
    problems = [f"the section '### {name}' is missing" for name in wanted if name not in sections]
    problems += [f"'### {name}' is no section of {heading}" for name in sections if name not in wanted + allowed]
    empty = [name for name in sections if not sections[name] and not name.startswith("Proceeding")]
    problems += [f"'### {name}' is empty; write None where there is nothing" for name in empty]
    blanks = [
        f"'{found[0]}' is not filled in" for entries in sections.values() for e in entries if (found := BLANK.search(e))
    ]
    unread = [e for e in sections.get(place, ()) if not FILE_ENTRY.fullmatch(e)]
    problems += blanks + [f"{place}: got '{entry}', want '`path` - what'" for entry in unread]
    if heading == "Implementation Complete" and not any(e.startswith("Run: `") for e in sections.get("Testing", ())):
        problems.append("### Testing wants a line '- Run: `command`'")
    if heading == "Output Report" and not problems:
        problems += check_items(sections)
    if heading != "Implementation Plan":
        problems += [f"{path} is not there" for path in files_of(text) if not (root / path).exists()]
        problems += beyond(text, plan, sections) if plan else []
    return problems + (untold(text, root, since) if since and heading != "Implementation Plan" else [])


def check_items(sections: dict[str, list[str]]) -> list[str]:
    """Return what the schema finds wrong in a task's report."""
    try:
        to_schema(sections)
    except ValidationError as error:
        return [first_error(error, "report")]
    except ValueError as error:
        return [str(error)]
    return []


def to_schema(sections: dict[str, list[str]]) -> Report:
    """Return a task's report as data; raises ValueError where an entry is not in its form."""
    values = dict[str, Any]()
    for name, key in {**ITEMS, **MAY}.items():
        entries = [e for e in sections.get(name, ()) if e.strip(". ").lower() not in NOTHING]
        if key in {"files", "tests"}:
            found = [(entry, FILE_ENTRY.fullmatch(entry)) for entry in entries]
            if bad := [entry for entry, match in found if not match]:
                raise ValueError(f"{name}: got '{bad[0]}', want '`path` - what'")
            values[key] = [{"path": match[1], "what": match[2]} for _, match in found if match]
        elif key == "breaking_changes":
            pairs = [entry.partition(" - ") for entry in entries]
            if bad := [what for what, dash, how in pairs if not dash or not how.strip()]:
                raise ValueError(f"{name}: got '{bad[0]}', want 'what changes - how to migrate'")
            values[key] = [{"change": what, "migration": how} for what, _, how in pairs]
        else:
            values[key] = entries
    return Report.model_validate(values)


def beyond(text: str, plan: str, sections: dict[str, list[str]]) -> list[str]:
    """Return the files that no plan named, where no section says why."""
    others = [path for path in files_of(text) if path not in files_of(plan)]
    said = " ".join(sections.get("Beyond the spec", ()))
    return [f"{path} is in no plan: say why below '### Beyond the spec'" for path in others if path not in said]


def changed_files(root: Path, since: str = "HEAD") -> list[str]:
    """Return the files of a project that differ from a commit, new ones too; none where there is no git."""
    if not (git := shutil.which("git")):
        return []
    asks = (["diff", "--name-only", since], ["ls-files", "--others", "--exclude-standard"])
    told = [subprocess.run([git, *ask], cwd=root, capture_output=True, text=True, check=False) for ask in asks]  # noqa: S603
    if told[0].returncode and since != "HEAD":
        raise ValueError(f"--since {since}: {' '.join(told[0].stderr.split())}")
    return sorted({line for output in told for line in output.stdout.splitlines()})


def untold(text: str, root: Path, since: str) -> list[str]:
    """Return a line for each file that changed and is not named, or is named and did not change."""
    changed, named = changed_files(root, since), files_of(text)
    lines = [
        f"{path} has changed since {since}, and the report does not name it" for path in changed if path not in named
    ]
    return lines + [f"{path} has not changed since {since}" for path in named if path not in changed]


def skeleton(root: Path) -> str:
    """Return a task's report to be filled in, with the files that differ from the last commit."""
    changed = changed_files(root)
    tests = [path for path in changed if path.startswith("tests/")]
    filled = {
        "Files created/modified": [f"- `{path}` - [what]" for path in changed],
        "Tests added and their results": [f"- `{path}` - [result]" for path in tests],
    }
    parts = [f"### {name}\n\n" + "\n".join(filled.get(name) or ["- [none, or a line each]"]) for name in ITEMS]
    return "\n\n".join(["## Output Report", *parts]) + "\n"
