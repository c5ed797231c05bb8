"""Every sample is free of residue, parses, and is clean under its own ruff, mypy and dependencies."""

from __future__ import annotations

import ast
import json
import os
import re
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests import answers
from tests.harness import Result, Sample, command, nasty

SAMPLES = list(answers.samples())
RESIDUE = re.compile(r"(?<!\$)\{\{|\{%|# copier:|my_project|my-project|My Project|package_name")

every_sample = pytest.mark.parametrize("sample", SAMPLES, indirect=True)


def text_files(sample: Sample) -> list[Path]:
    """What a person reads; the answers file is compared by value instead."""
    binary = {".npz", ".png", ".pt"}
    return [path for path in sample.files() if path.suffix not in binary and path.name != ".copier-answers.yml"]


@every_sample
def test_nothing_of_the_template_is_left(sample: Sample) -> None:
    left = RESIDUE
    if sample.package == "my_project":
        left = re.compile(RESIDUE.pattern.split("|my_project")[0])
    found = [
        f"{path.relative_to(sample.folder)}:{number}: {line}"
        for path in text_files(sample)
        for number, line in enumerate(nasty(path.read_text(encoding="utf-8")).splitlines(), 1)
        if left.search(line)
    ]
    assert not found, "\n".join(found)


@every_sample
def test_every_file_parses(sample: Sample) -> None:
    parsers: dict[str, Callable[[str], object]] = {
        ".toml": tomllib.loads,
        ".yml": yaml.safe_load,
        ".yaml": yaml.safe_load,
        ".json": json.loads,
        ".py": ast.parse,
    }
    for path in sample.files(*parsers):
        assert parsers[path.suffix](path.read_text(encoding="utf-8")) is not None, path


@every_sample
def test_no_name_breaks_a_heading(sample: Sample, default: Sample) -> None:
    headings = [
        [token.tag for token in MarkdownIt().parse((folder / "README.md").read_text("utf-8")) if token.nesting > 0]
        for folder in (sample.folder, default.folder)
    ]
    assert headings[0][:2] == ["h1", "p"]
    assert headings[0].count("h1") == headings[1].count("h1") == 1
    names = ("distributed", "experiments", "own_data", "lightning", "pretrained", "tracker", "agents")
    options = sum(sample.answers.get(name, name == "agents" or "none") not in {False, "none"} for name in names)
    assert headings[0].count("h2") == headings[1].count("h2") - 1 + options  # each has a section of its own


@every_sample
def test_answers_arrive_as_they_were_given(sample: Sample) -> None:
    project = tomllib.loads((sample.folder / "pyproject.toml").read_text("utf-8"))["project"]
    recorded = yaml.safe_load((sample.folder / ".copier-answers.yml").read_text("utf-8"))
    assert recorded.items() >= sample.answers.items()
    assert recorded["rendered_with"] == "unversioned"
    assert project["description"] == recorded["description"]
    assert project["authors"][0]["name"] == recorded["author_name"]
    assert project["authors"][0].get("email", "") == recorded["author_email"]
    assert project["requires-python"] == f">={recorded['python_version']}"
    assert project.get("license", "proprietary") == recorded["license"]
    assert recorded["author_name"] in (sample.folder / "LICENSE").read_text("utf-8")


@every_sample
def test_files_come_and_go_with_the_answers(sample: Sample) -> None:
    recorded = yaml.safe_load((sample.folder / ".copier-answers.yml").read_text("utf-8"))
    there = {name: (sample.folder / name).exists() for name in (".github", ".gitlab-ci.yml")}
    assert there == {
        ".github": recorded["ci"] == "github",
        ".gitlab-ci.yml": recorded["ci"] == "gitlab",
    }
    for name in ("Dockerfile", ".dockerignore"):
        assert (sample.folder / name).exists() == recorded["docker"]


@pytest.fixture(scope="module")
def lint(renders: Callable[[str], Sample]) -> dict[str, Result]:
    """One run of ruff's linter and one of its formatter over all samples, each with its own rules."""
    folder = Path(os.path.commonpath([renders(name).folder for name in SAMPLES]))
    return {
        "check": command(["ruff", "check", "--no-cache", "--output-format=concise"], folder),
        "format": command(["ruff", "format", "--no-cache", "--check"], folder),
    }


@every_sample
@pytest.mark.parametrize("tool", ["check", "format"])
def test_ruff_finds_nothing(sample: Sample, lint: dict[str, Result], tool: str) -> None:
    found = [line for line in lint[tool].output.splitlines() if f"{sample.name}/" in line]
    assert not found, "\n".join(found)
    assert lint[tool].status in (0, 1), lint[tool].output


@every_sample
def test_mypy_finds_nothing(sample: Sample, types: Callable[[Sample], Result]) -> None:
    result = types(sample)
    assert result.status == 0, result.output


def imported(folder: Path) -> set[str]:
    """The top-level names that the Python files of a folder import absolutely."""
    names = set[str]()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add(str(node.module).partition(".")[0])
    return names - sys.stdlib_module_names


@every_sample
@pytest.mark.parametrize("room", ["src", "tests", "examples"])
def test_declared_dependencies_cover_the_imports(sample: Sample, room: str) -> None:
    table = tomllib.loads((sample.folder / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = table["project"]["dependencies"]
    wanted += table["dependency-groups"]["dev"] if room != "src" else []
    declared = {canonicalize_name(Requirement(line).name) for line in wanted}
    own = {sample.package, f"{sample.package}_agents", *({"tests", "conftest"} if room == "tests" else ())}
    for name in imported(sample.folder / room) - own:
        provided = {canonicalize_name(dist) for dist in packages_distributions().get(name, [])}
        assert provided & declared, f"{room} imports {name}, which pyproject.toml does not declare"
