# copier: filter replace("my_project", package_name)
"""Decisions have numbered records without blanks, and every change of a format a page on what to do."""

import json
from pathlib import Path

import pytest

from my_project.__main__ import main
from my_project.training.storage import MIGRATIONS
from my_project_agents import pages
from my_project_agents.commands import adr

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def project(workspace: Path) -> Path:
    (workspace / "pyproject.toml").touch()
    return workspace


def ready(title: str, project: Path, status: str = "accepted") -> Path:
    """A record to which nothing is missing."""
    path = adr.begin(title, project)
    path.write_text(pages.BLANK.sub("said", path.read_text("utf-8")).replace("proposed", status), encoding="utf-8")
    return path


def test_a_new_record_has_the_next_number_and_its_blanks_are_named(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ready("Keep one loop", project)
    assert main(["adr", "new", "Use a batch of 256, not 64"]) == 0
    assert json.loads(capfd.readouterr().out) == {"written": "docs/decisions/0002-use-a-batch-of-256-not-64.md"}
    with pytest.raises(SystemExit) as failed:
        main(["adr", "check"])
    told = json.loads(capfd.readouterr().out)
    assert (failed.value.code, told["records"]) == (1, ["0001-keep-one-loop.md", "0002-use-a-batch-of-256-not-64.md"])
    assert len(told["problems"]) == len(adr.SECTIONS)
    assert all("0002-use-a-batch-of-256-not-64.md: '" in line for line in told["problems"])


def test_a_record_that_is_whole_passes(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ready("Keep one loop", project, "superseded by 0002")
    ready("Keep two loops", project)
    assert main(["adr", "check"]) == 0
    assert json.loads(capfd.readouterr().out)["ok"]


def test_a_number_is_never_given_twice(project: Path) -> None:
    first, second = ready("One", project), ready("Two", project)
    first.unlink()
    assert adr.begin("Three", project).name == "0003-three.md"
    second.rename(second.with_name("0003-two.md"))
    with pytest.raises(SystemExit):
        main(["adr", "check"])


@pytest.mark.parametrize(
    ("title", "name"),
    [("  Ü: è?  ", "0001.md"), ("a/../b", "0001-a-b.md"), ("w" * 200, f"0001-{'w' * adr.LONGEST}.md")],
)
def test_any_title_makes_a_name_that_every_system_takes(title: str, name: str, project: Path) -> None:
    path = ready(title, project)
    assert path == project / adr.FOLDER / name
    assert path.read_text("utf-8").startswith(f"# 0001. {title.strip()}\n")
    assert adr.check(path) == []


@pytest.mark.parametrize("title", ["", "  ", "two\nlines"])
def test_a_title_that_is_none_is_refused(title: str, project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["adr", "new", title]) == 2
    assert "want what is decided, in one line" in capfd.readouterr().err
    assert not (project / "docs").exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Status: accepted", "Status: maybe", "got the status 'maybe', want proposed"),
        ("## Decision", "## Choice", "the section '## Decision' is missing"),
    ],
)
def test_what_a_record_lacks_is_named(old: str, new: str, said: str, project: Path) -> None:
    path = ready("Keep one loop", project)
    path.write_text(path.read_text("utf-8").replace(old, new), encoding="utf-8")
    assert any(line.startswith(said) for line in adr.check(path))
    assert adr.check(path.rename(path.with_name("loop.md")))[0].startswith("want a name")


def test_the_records_of_this_project_are_whole() -> None:
    assert [line for path in adr.records(DOCS.parent) for line in adr.check(path)] == []


def unexplained(formats: list[int], docs: Path) -> list[int]:
    """The formats that a checkpoint had, without a page on what became of it."""
    return [number for number in formats if not (docs / f"migrations/checkpoint-{number + 1}.md").is_file()]


def test_each_change_of_the_format_of_checkpoints_has_a_page() -> None:
    if not (DOCS / "migrations").is_dir():
        pytest.skip("docs/migrations was removed")
    assert unexplained([*MIGRATIONS], DOCS) == []
    assert unexplained([*MIGRATIONS, 99], DOCS) == [99]
    # copier: endfilter
