"""The requirements page: nothing in it may be blank, and its numbers become what a run may cost."""

from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .. import pages
from ..outcome import outcome, project_root, write_whole
from ..quantities import Gigabytes, Milliseconds

HELP = "requirements.md: what is blank in it; its numbers as budgets"
FILE = "requirements.md"
SECTIONS = ("Problem", "Success metric", "Target", "Latency", "Memory", "Users", "Data")
NUMBERS: dict[
    str, tuple[str, str, Callable[[str], float]]
] = {  # name of a budget: the section and the line it stands in, and how it is read
    "target": ("Target", "Value", float),
    "latency_ms": ("Latency", "At most", lambda text: Milliseconds.model_validate(text).value),
    "memory_gb": ("Memory", "At most", lambda text: Gigabytes.model_validate(text).value),
}


def add_arguments(parser: ArgumentParser) -> bool:
    """Say what the command takes; it does not take the options of a run."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("check", help="exit 1 after a line for each blank")
    budgets = actions.add_parser("budgets", help="turn target, latency and memory into options and a file")
    budgets.add_argument("--out", type=Path, metavar="FILE", help="write latency_ms and memory_gb as YAML")
    return False


def main(action: str, *, out: Path | None = None) -> dict[str, Any]:
    """Check requirements.md of the project above the current folder, or take its numbers."""
    text = pages.read(project_root() / FILE)
    problems, found = check(text)
    result = outcome([f"{FILE}: {line}" for line in problems], **found)
    if action == "check":
        return result
    limits = {name: value for name, value in found.items() if name.endswith(("_ms", "_gb"))}
    if out:
        head = f"# Made of {FILE}: the most that may be spent.\n"
        write_whole({out: head + "".join(f"{name}: {value:g}\n" for name, value in limits.items())})
    return {"option": f"--evaluation.target {found['target']:g}", "budgets": limits, "written": str(out or "")}


def check(text: str) -> tuple[list[str], dict[str, Any]]:
    """Return a line for each thing that is blank or no number, and the figure with its numbers."""
    problems, found = pages.problems(text, SECTIONS), dict[str, Any]()
    parts = {name: pages.values(body) for name, body in pages.sections(text).items()}
    metric = parts.get("Success metric", {}).get("Figure", "")
    if not metric and "Success metric" in parts:
        problems.append("'Success metric' wants a line '- Figure: NAME'")
    found["metric"] = metric
    for name, (section, line, read) in NUMBERS.items():
        given = parts.get(section, {}).get(line, "")
        if not given and section in parts:
            problems.append(f"'{section}' wants a line '- {line}: NUMBER'")
        elif given and not pages.BLANK.search(given):
            try:
                found[name] = read(given)
            except ValidationError as error:
                problems.append(f"'{section}': {error.errors()[0]['msg'].removeprefix('Value error, ')}")
            except ValueError:
                problems.append(f"'{section}': got '{given}', want a number")
    return problems, found
