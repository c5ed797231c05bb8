# copier: filter replace("my_project", package_name)
"""A design is built only when a person has approved it, nothing in it is blank, and its specification is whole."""

import json
from datetime import date
from pathlib import Path

import pytest
import yaml

from my_project import config as configs
from my_project.__main__ import main
from my_project_agents import designs, pages
from my_project_agents.schemas import read_spec

PROJECT = Path(__file__).parents[2]
TEMPLATE = PROJECT / designs.FOLDER / designs.TEMPLATE


@pytest.fixture
def project(workspace: Path) -> Path:
    """A project with the template of designs."""
    (workspace / designs.FOLDER).mkdir(parents=True)
    (workspace / "pyproject.toml").touch()
    (workspace / designs.FOLDER / designs.TEMPLATE).write_text(TEMPLATE.read_text("utf-8"))
    return workspace


def ready(project: Path) -> Path:
    """A design to which nothing is missing."""
    page, spec = (project / designs.FOLDER / f"wide.{end}" for end in ("md", "yaml"))
    designs.new("wide", project, date(2026, 1, 31))
    page.write_text(pages.BLANK.sub("said", page.read_text("utf-8")).replace("status: draft", "status: approved"))
    demands = {"inputs": [8, 8], "outputs": [10], "max_parameters": "0.1M", "latency_ms": 100}
    spec.write_text(yaml.safe_dump({**yaml.safe_load(spec.read_text("utf-8")), **demands}))
    return page


def test_a_new_design_is_a_draft_with_blanks_and_does_not_pass(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["design", "new", "wide"]) == 0
    assert json.loads(capfd.readouterr().out) == {"written": ["docs/designs/wide.yaml", "docs/designs/wide.md"]}
    page = project / designs.FOLDER / "wide.md"
    assert designs.status(page) == "draft"
    with pytest.raises(SystemExit) as failed:
        main(["design", "check", "docs/designs/wide.md"])
    told = json.loads(capfd.readouterr().out)
    assert (failed.value.code, told["designs"]) == (1, {"docs/designs/wide.md": "draft"})
    lines = "\n".join(told["problems"])
    assert "docs/designs/wide.md: it is draft, want approved" in lines
    for section in designs.SECTIONS:
        assert f"'{section}' is not filled in: [fill: " in lines
    assert "wide.yaml does not say inputs" in lines


def test_an_approved_design_passes(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    page = ready(project)
    assert designs.check(page) == []
    assert main(["design", "check"]) == 0
    assert json.loads(capfd.readouterr().out)["ok"]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("status: approved", "status: draft", "it is draft, want approved"),
        ("status: approved", "status: superseded", "it is superseded, want approved"),
        ("status: approved", "status: perfect", "status: want 'draft', 'approved' or 'superseded'"),
        ("spec: wide.yaml", "spec: gone.yaml", "gone.yaml is not there"),
        ("date: 2026-01-31", "date: soon", "date: "),
        ("---\n", "", "want title, status, date and spec at the top"),
        ("## Risks", "## Chances", "the section '## Risks' is missing"),
        ("## Risks\n\nsaid", "## Risks\n", "'Risks' is empty"),
        ("## Risks\n\nsaid", "## Risks\n\n[fill: all]", "'Risks' is not filled in: [fill: all]"),
    ],
)
def test_what_is_missing_is_named(project: Path, old: str, new: str, problem: str) -> None:
    page = ready(project)
    assert old in page.read_text("utf-8")
    page.write_text(page.read_text("utf-8").replace(old, new, 1))
    (line,) = designs.check(page)
    assert problem in line


def test_a_design_whose_head_cannot_be_read_does_not_pass(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for head in ("title: [", "title: only"):
        (project / designs.FOLDER / "bad.md").write_text(f"---\n{head}\n---\n")
        with pytest.raises(SystemExit):
            main(["design", "check"])
        told = json.loads(capfd.readouterr().out)
        assert (len(told["problems"]), list(told["designs"].values())) == (1, ["unreadable"])


@pytest.mark.parametrize("gone", ["inputs", "outputs", "max_parameters", "latency_ms", "model"])
def test_a_specification_must_say_everything(project: Path, gone: str) -> None:
    page = ready(project)
    spec = page.with_suffix(".yaml")
    spec.write_text(yaml.safe_dump({k: v for k, v in yaml.safe_load(spec.read_text("utf-8")).items() if k != gone}))
    assert gone in " ".join(designs.check(page))


def test_a_new_specification_begins_as_the_default_preset(project: Path) -> None:
    designs.new("wide", project, date(2026, 1, 31))
    spec, config = read_spec(project / designs.FOLDER / "wide.yaml"), configs.load()
    assert spec.data
    assert (spec.data.kind, spec.model.kind) == (config.data.kind, config.model.kind)


@pytest.mark.parametrize("name", ["wide", "../wide", "a b", ""])
def test_a_design_is_never_overwritten_and_lies_in_its_folder(project: Path, name: str) -> None:
    ready(project)
    with pytest.raises(ValueError, match="is there already|want a name of letters"):
        designs.new(name, project, date(2026, 1, 31))
    # copier: endfilter
