"""Every sample is free of residue, parses, and is clean under its own ruff, mypy and dependencies."""

from __future__ import annotations

import ast
import json
import os
import re
import sys
import tomllib
from collections.abc import Callable
from fnmatch import fnmatch
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests import answers, ownership
from tests.harness import GIT, Result, Sample, command, nasty

SAMPLES = list(answers.samples())
RESIDUE = re.compile(r"(?<!\$)\{\{|\{%|# copier:|my_project|my-project|My Project|package_name")
RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
FORBIDDEN = re.compile(r"[<>:\"\\|?*\x00-\x1f]|[ .]$")
WINDOWS = [*GIT, "-c", "core.autocrlf=true"]
# Without a zero byte git takes these for texts, unless it is told.
DATA = b"\x93NUMPY\r\n\xfe\xff \r\n"
OWN = [f"values.{kind}" for kind in ("npy", "npz", "onnx", "parquet", "png", "pt", "safetensors")]

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
    names = ("distributed", "sweep", "own_data", "lightning", "pretrained", "tracker", "agents", "docs")
    sections = dict.fromkeys(names, 1) | {"experiments": 5, "serving": 5}
    given = {name: sample.answers.get(name, name == "agents" or "none") not in {False, "none"} for name in sections}
    options = sum(count for name, count in sections.items() if given[name])
    assert headings[0].count("h2") == headings[1].count("h2") - 1 + options


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
    there = {name: (sample.folder / name).exists() for name in (".github", ".gitlab-ci.yml", "renovate.json")}
    assert there == {
        ".github": recorded["ci"] == "github",
        ".gitlab-ci.yml": recorded["ci"] == "gitlab",
        "renovate.json": recorded["ci"] == "gitlab",
    }
    for name in ("Dockerfile", ".dockerignore", ".devcontainer"):
        assert (sample.folder / name).exists() == recorded["docker"]
    for name in ("docs/conf.py", "docs/index.md", "docs/quick-start.md", "tests/test_site.py"):
        assert (sample.folder / name).exists() == recorded["docs"]
    for name in ("docs/architecture.md", "docs/decisions.md", "docs/migrations", "docs/designs", "docs/handoffs"):
        assert (sample.folder / name).exists() == recorded["agents"]
    assert (sample.folder / "docs").exists() == (recorded["docs"] or recorded["agents"])


def creator(manifest: dict[str, str]) -> str:
    """The last name of whoever made the data, as a text that gives credit has it."""
    made = manifest.get("creators") or manifest.get("attribution") or manifest["source"]
    return next(iter(re.findall(r"Alpaydin|Yeh|Kuhn|Keeling|Princeton|Austen|Bureau of Transportation", made)), made)


@every_sample
def test_the_readme_names_who_made_the_data_and_their_licence(sample: Sample) -> None:
    readme = (sample.folder / "README.md").read_text("utf-8")
    found = list((sample.source / "data").glob("*/manifest.json"))
    assert found or sample.family == "reasoning"  # puzzles are made from a seed
    for path in found:
        manifest = json.loads(path.read_text("utf-8"))
        assert creator(manifest) in readme, path.parent.name
        assert "https://creativecommons.org/licenses/by/4.0/" in readme or not manifest["licence"].startswith("CC BY")


@every_sample
def test_it_is_decided_whose_every_file_is(sample: Sample) -> None:
    names = [path.relative_to(sample.folder).as_posix() for path in sample.files()]
    assert [name for name in names if ownership.owner(name) == "nobody's"] == []
    assert {ownership.owner(name) for name in names} == {*ownership.OWNERS}
    for name in names:
        whose = ownership.owner(name)
        assert (whose in {"yours", "data"}) == any(fnmatch(f"/{name}", pattern) for pattern in ownership.kept()), name
        assert whose != "shared" or ownership.LINE in (sample.folder / name).read_text("utf-8"), name


@every_sample
def test_windows_takes_every_name(sample: Sample) -> None:
    names = [path.relative_to(sample.folder) for path in sample.folder.rglob("*")]
    parts = {part for name in names for part in name.parts}
    assert [part for part in parts if RESERVED.fullmatch(part) or FORBIDDEN.search(part)] == []
    assert len({str(name).casefold() for name in names}) == len(names)
    assert max(len(str(name)) for name in names) < 160  # a path may have 260 letters


@pytest.mark.parametrize("project", ["default", "all-on"], indirect=True)
def test_a_checkout_on_windows_has_the_same_bytes(project: Sample, tmp_path: Path) -> None:
    for name in OWN:
        (project.folder / name).write_bytes(DATA)
    clone = tmp_path / "clone"
    for argv in (["init", "--quiet"], ["add", "-A"], ["commit", "--quiet", "-m", "All"]):
        assert command([*WINDOWS, *argv], project.folder).status == 0
    assert command([*WINDOWS, "clone", "--quiet", project.folder, clone], tmp_path).status == 0
    for path in project.files():
        place, text = path.relative_to(project.folder), path.read_bytes()
        if place.parts[0] != ".git":
            assert text == (clone / place).read_bytes(), place
            assert place.name in OWN or b"\r\n" not in text or b"\0" in text, place


def test_no_package_is_named_as_windows_names_its_devices() -> None:
    devices = {"aux", "con", "nul", "prn", *(f"{name}{number}" for name in ("com", "lpt") for number in range(1, 10))}
    assert devices <= {*answers.ALL["reserved_names"]["default"].split()}


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
@pytest.mark.parametrize("room", ["src", "tests", "examples", "docs"])
def test_declared_dependencies_cover_the_imports(sample: Sample, room: str) -> None:
    table = tomllib.loads((sample.folder / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = table["project"]["dependencies"]
    wanted += table["dependency-groups"]["dev"] if room != "src" else []
    wanted += table["dependency-groups"]["docs"] if room == "docs" and sample.answers.get("docs") else []
    declared = {canonicalize_name(Requirement(line).name) for line in wanted}
    own = {sample.package, f"{sample.package}_agents", *({"tests", "conftest"} if room == "tests" else ())}
    for name in imported(sample.folder / room) - own:
        provided = {canonicalize_name(dist) for dist in packages_distributions().get(name, [])}
        assert provided & declared, f"{room} imports {name}, which pyproject.toml does not declare"
