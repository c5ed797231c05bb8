# copier: filter replace("my_project", package_name)
"""The requirements hold no blanks, and their numbers become what a run may cost."""

import json
from pathlib import Path

import pytest
import yaml

from my_project.__main__ import main
from my_project.config import load
from my_project_agents import pages
from my_project_agents.commands import requirements

PROJECT = Path(__file__).parents[2]
VALUES = {
    "Success metric": "- Figure: accuracy\n\nUsers count mistakes.",
    "Target": "- Value: 0.95",
    "Latency": "- At most: 0.1 s",
    "Memory": "- At most: 512 MB",
}
FILLED = "# Requirements\n\n" + "".join(f"## {s}\n\n{VALUES.get(s, 'Said.')}\n\n" for s in requirements.SECTIONS)


@pytest.fixture
def page(workspace: Path) -> Path:
    """Requirements without a blank."""
    (workspace / "pyproject.toml").touch()
    (workspace / requirements.FILE).write_text(FILLED)
    return workspace / requirements.FILE


def test_requirements_without_blanks_pass_with_their_numbers(page: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["requirements", "check"]) == 0
    numbers = {"metric": "accuracy", "target": 0.95, "latency_ms": 100.0, "memory_gb": 0.512}
    assert json.loads(capfd.readouterr().out) == {"ok": True, "problems": [], **numbers}
    assert page.read_text() == FILLED


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("## Problem\n\nSaid.", "## Problem\n", "'Problem' is empty"),
        ("## Users\n\nSaid.", "## Users\n\n[fill: who]", "'Users' is not filled in: [fill: who]"),
        ("## Data", "## Date", "the section '## Data' is missing"),
        ("- Figure: accuracy", "accuracy", "'Success metric' wants a line '- Figure: NAME'"),
        ("- Value: 0.95", "- Value: high", "'Target': got 'high', want a number"),
        ("- Value: 0.95", "- Value: [fill: a number]", "'Target' is not filled in: [fill: a number]"),
        ("- At most: 0.1 s", "- At most: 0.1", "'Latency': got '0.1', want a number with its unit, as in '45ms (GPU)'"),
        ("- At most: 0.1 s", "soon", "'Latency' wants a line '- At most: NUMBER'"),
        ("- At most: 512 MB", "- At most: little", "'Memory': got 'little', want a number with its unit"),
    ],
)
def test_each_blank_is_named_in_a_line(
    page: Path, old: str, new: str, problem: str, capfd: pytest.CaptureFixture[str]
) -> None:
    page.write_text(FILLED.replace(old, new))
    with pytest.raises(SystemExit) as failed:
        main(["requirements", "check"])
    out, err = capfd.readouterr()
    assert failed.value.code == 1
    (line,) = json.loads(out)["problems"]
    assert line.startswith(f"requirements.md: {problem}")
    assert err.splitlines() == [line]


def test_numbers_become_options_and_budgets(page: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["requirements", "budgets", "--out", "budgets.yaml"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["budgets"] == {"latency_ms": 100, "memory_gb": 0.512}
    assert yaml.safe_load((page.parent / "budgets.yaml").read_text()) == told["budgets"]
    name, value = told["option"].removeprefix("--").split()
    assert load(overrides={name: value}).evaluation.target == 0.95


def test_requirements_that_are_not_there_are_wrong_use(workspace: Path) -> None:
    (workspace / "pyproject.toml").touch()
    assert main(["requirements", "check"]) == 2


def test_the_page_of_the_project_has_every_section() -> None:
    path = PROJECT / requirements.FILE
    if not path.exists():
        pytest.skip("requirements.md was removed")
    text = path.read_text("utf-8")
    assert [*pages.sections(text)] == [*requirements.SECTIONS]
    problems, found = requirements.check(text)
    assert found["metric"]
    assert all("is not filled in" in line for line in problems), "nothing but blanks is wrong with a new page"
    # copier: endfilter
