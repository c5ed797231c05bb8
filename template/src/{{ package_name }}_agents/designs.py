"""Designs of models: a page that a person approves before anybody builds it, and the specification it names."""

import re
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError

from . import PACKAGE, pages
from .outcome import write_whole
from .schemas import first_error, read_spec
from .strict import Strict

FOLDER = Path("docs/designs")
TEMPLATE = "TEMPLATE.md"
SECTIONS = ("Problem", "Data", "Architecture", "Training", "Evaluation", "Alternatives", "Risks")
PRESETS = Path(__file__).parents[1] / PACKAGE / "presets"
SPEC = """# What {name} has to be; `design check` reads it. Data and model are written as in a preset.
{config}inputs: []  # shape of one row, without the batch, as in [8, 8]
outputs: []  # shape of the answer to one row, as in [10]
max_parameters:  # numbers that it may learn at most, as in 25M; or `parameters:` for exactly so many
latency_ms:  # 95th percentile of the time to answer one row, at most
assumptions: []  # what was assumed where the requirements leave it open, a line each
"""


class Head(Strict):
    """What stands at the top of a design, between two lines of dashes."""

    title: Annotated[str, Field(pattern=r"\S")]
    status: Literal["draft", "approved", "superseded"]
    date: date
    spec: Annotated[str, Field(pattern=r"\.ya?ml$")]  # the specification, seen from the design


def head(path: Path) -> Head:
    """Return the head of a design; raises ValueError with what is wrong in one line."""
    found = re.match(r"---\n(.*?\n)---\n", pages.read(path), re.DOTALL)
    if not found:
        raise ValueError(f"{path}: want title, status, date and spec at the top, between two lines '---'")
    try:
        return Head.model_validate(yaml.safe_load(found[1]))
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        raise ValueError(first_error(error, str(path))) from None


def status(path: Path) -> str:
    """Return whether a design is a draft, approved or superseded."""
    return head(path).status


def check(path: Path) -> list[str]:
    """Return a line for each reason why a design must not be built: not approved, not filled in, not specified."""
    try:
        top = head(path)
    except ValueError as error:
        return [str(error)]
    lines = [f"it is {top.status}, want approved"] if top.status != "approved" else []
    lines += pages.problems(pages.read(path), SECTIONS)
    try:
        lines += [f"{top.spec} does not say {gap}" for gap in read_spec(path.parent / top.spec).gaps]
    except ValueError as error:
        lines.append(str(error))
    return [f"{path}: {line}" for line in lines]


def all_designs(root: Path) -> list[Path]:
    """Return the designs of a project, without the template."""
    return sorted(path for path in (root / FOLDER).glob("*.md") if path.name != TEMPLATE)


def new(name: str, root: Path, today: date) -> dict[Path, str]:
    """Write a design and its specification, which begins as that of the default preset; refuse to overwrite."""
    if not re.fullmatch(r"[A-Za-z0-9][\w-]*", name):
        raise ValueError(f"got the design '{name}', want a name of letters, digits, - and _")
    page, spec = root / FOLDER / f"{name}.md", root / FOLDER / f"{name}.yaml"
    if there := next((path for path in (page, spec) if path.exists()), None):
        raise ValueError(f"{there} is there already")
    text = pages.read(root / FOLDER / TEMPLATE)
    filled = {r"^title: .*$": f"title: {name}", r"^date: .*$": f"date: {today}", r"^spec: .*$": f"spec: {name}.yaml"}
    for line, value in filled.items():
        text = re.sub(line, value, text, count=1, flags=re.MULTILINE)
    files = {spec: SPEC.format(name=name, config=first_config()), page: text}
    write_whole(files)
    return files


def default_preset() -> str:
    """Return the name of the preset that `train` takes by itself."""
    return str(re.findall(r"^[\w-]+", (PRESETS / "default.txt").read_text("utf-8"), re.MULTILINE)[0])


def first_config() -> str:
    """Return data and model of the default preset as YAML."""
    config = yaml.safe_load((PRESETS / f"{default_preset()}.yaml").read_text("utf-8"))
    return yaml.safe_dump({key: config[key] for key in ("data", "model")}, sort_keys=False, default_flow_style=None)
