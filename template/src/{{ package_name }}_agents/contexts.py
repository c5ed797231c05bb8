"""The context of a request: what is wanted, what is there already, what to read; gathered from a project."""

import json
import re
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .schemas import Context, first_error
from .scripts import source

HELP = "write the context of a request, which the specialist works from, as JSON"
PAPERS = {".pdf", ".bib"}


def add_arguments(parser: ArgumentParser) -> None:
    """Say what the script takes."""
    parser.add_argument("--task", required=True, metavar="TEXT", help="what is wanted, in one sentence")
    parser.add_argument("--model-type", required=True, metavar="WORD", help="as in transformer")
    parser.add_argument("--parameters", metavar="N", help='as in "25M target"')
    parser.add_argument(
        "--feature", action="append", dest="features", default=[], metavar="WORD", help="one of several"
    )
    parser.add_argument("--paper", action="append", default=[], metavar="FILE", help="beside those in docs")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write it, too")


def main(task: str, paper: list[str], out: Path | None, **wanted: Any) -> dict[str, Any]:
    """Gather the context of the project that this is called in."""
    context = gather(Path.cwd(), task, wanted, paper)
    if out:
        out.write_text(json.dumps(context, indent=2) + "\n", encoding="utf-8")
    return context


def gather(root: Path, task: str, wanted: dict[str, Any], paper: list[str]) -> dict[str, Any]:
    """Return a valid context: the files whose names the request shares words with, designs, papers, other models."""
    package = source(root)
    words = {*re.findall(r"[a-z0-9]{3,}", f"{task} {wanted['model_type']}".lower())}
    models = [path for path in sorted((package / "models").glob("*.py")) if path.stem != "__init__"]
    near = [path for path in models if words & {*path.stem.split("_"), path.stem}]
    designs = [path for path in sorted(root.glob("docs/designs/*.md")) if words & {*re.split(r"\W|_", path.stem)}]
    papers = [path for path in sorted(root.glob("docs/**/*")) if path.suffix in PAPERS]
    context = {
        "task": task,
        "requirements": {"framework": "pytorch", **{key: value for key, value in wanted.items() if value}},
        "existing_code": {
            "files": [str(path.relative_to(root)) for path in near],
            "status": "partial_implementation" if near else "not_started",
        },
        "reference_materials": {
            "papers": [*paper, *(str(path.relative_to(root)) for path in [*papers, *designs])],
            "implementations": [str(path.relative_to(root)) for path in models if path not in near],
        },
    }
    return check(context, "context").model_dump(mode="json", exclude_unset=True)


def check(values: Any, where: str) -> Context:
    """Return a context; ValueError with the first thing that is wrong with it."""
    try:
        return Context.model_validate(values)
    except ValidationError as error:
        raise ValueError(first_error(error, where)) from None


def read(path: Path) -> Context:
    """Read a context; ValueError in one line where it is none."""
    try:
        return check(json.loads(path.read_text("utf-8")), str(path))
    except OSError as error:
        raise ValueError(f"--context {path}: {error.strerror}; want a file as gather_context.py writes it") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"--context {path}: no JSON: {error}") from None


def missing(context: Context, root: Path) -> list[str]:
    """Say which of the files that a context names are not there."""
    read = context.reference_materials
    named = context.existing_code.files + read.papers + read.implementations
    return [f"{path} is named, but not there" for path in named if not (root / path).exists()]
