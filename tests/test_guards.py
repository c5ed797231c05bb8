"""What keeps the template a template: rules about its files that no render would notice."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from tests.answers import ROOT
from tests.harness import GIT, Sample, command

TEMPLATE = ROOT / "template"
PYTHON = sorted(path for path in TEMPLATE.rglob("*.py") if ".venv" not in path.parts)


def table(path: str) -> dict[str, Any]:
    """A TOML file of the repository."""
    return tomllib.loads((ROOT / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: path.relative_to(TEMPLATE).name)
def test_a_python_file_of_the_template_holds_no_jinja(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.findall(r"\{\{|\{%|\{#", text)
    statements = [line.strip() for line in text.splitlines() if line.strip().startswith("# copier:")]
    if statements:
        example = ' | replace("digit.csv", example_input)' if path.parent.name == "examples" else ""
        assert statements[0] == f'# copier: filter replace("my_project", package_name){example}'
        assert statements[-1] == "# copier: endfilter"


def test_git_keeps_every_file_of_the_template() -> None:
    ignored = command([*GIT, "status", "--porcelain", "--ignored", "--", "template"], ROOT).output
    caches = re.compile(r"__pycache__/$|_cache/$|\.venv/$|\.coverage$|\.hypothesis/$")
    hidden = [line for line in ignored.splitlines() if line.startswith("!!")]
    assert [line for line in hidden if not caches.search(line.strip('"'))] == []


def test_every_row_of_exclude_names_a_file_that_exists() -> None:
    rows = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))["_exclude"]
    switched = [row for row in rows if "{%" in row and "_copier_operation" not in row]
    assert switched
    for row in switched:
        path = re.sub(r"\{%.*?%\}", "", row)
        assert path.startswith("/"), f"{row} would match at any depth"
        assert "| default(" in row, f"{row} fails for a project older than the question"
        assert list(TEMPLATE.glob(path[1:])), f"{row} takes nothing away"


@pytest.mark.parametrize("end", ["", "_agents"])
def test_the_working_name_leads_to_the_package(end: str) -> None:
    link = ROOT / "working" / f"my_project{end}"
    assert link.resolve() == TEMPLATE / "src" / f"{{{{ package_name }}}}{end}"
    assert not link.readlink().is_absolute()


def test_the_repository_has_the_rendered_projects_own_dependencies() -> None:
    rendered, own = table("template/pyproject.toml"), table("pyproject.toml")
    wanted = rendered["project"]["dependencies"] + rendered["dependency-groups"]["dev"]
    groups = own["dependency-groups"]
    assert rendered["dependency-groups"]["docs"] == groups["docs"]
    elsewhere = groups["pretrained"] + groups["trackers"]
    assert [line for line in wanted if line not in elsewhere] == groups["project"]
    assert {*wanted} == {*groups["project"], *elsewhere}


@pytest.mark.parametrize("tool", ["mypy", "pytest"])
def test_the_repository_judges_the_template_as_a_project_judges_itself(tool: str) -> None:
    places = {"files", "mypy_path", "overrides", "testpaths", "pythonpath", "addopts"}
    rendered, own = (
        {key: value for key, value in settings.get("ini_options", settings).items() if key not in places}
        for settings in (table(path)["tool"][tool] for path in ("template/pyproject.toml", "pyproject.toml"))
    )
    assert rendered == own


def test_the_lock_file_fits_the_dependencies_and_holds_one_registry_only() -> None:
    packages = {package["name"]: package for package in table("uv.lock")["package"]}
    own = packages.pop("copier-torch")["metadata"]["requires-dev"]["dev"]
    groups = table("pyproject.toml")["dependency-groups"]
    lines = [line for name in ("project", "agents", "store", "docs", "dev") for line in groups[name]]
    wanted = [Requirement(line) for line in lines if isinstance(line, str)]
    assert {(one["name"], one["specifier"]) for one in own} == {(one.name, str(one.specifier)) for one in wanted}
    assert len({tuple(package["source"].items()) for package in packages.values()}) == 1
    assert all("registry" in package["source"] for package in packages.values())


def test_ci_runs_the_command_that_the_readme_names() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.endswith("uv run pytest")] == ["pip install uv && uv run pytest"]


@pytest.mark.parametrize("argv", ["ruff check", "ruff format --check", "mypy"])
def test_the_repository_and_the_template_as_it_stands_are_clean(argv: str) -> None:
    result = command(argv.split(), ROOT)
    assert result.status == 0, result.output


def longest_body(tree: ast.AST) -> tuple[int, str]:
    """The length of the longest function body, without its docstring, and its name."""
    lengths = [(0, "")]
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body:
                lengths.append((int(body[-1].end_lineno or 0) - body[0].lineno + 1, node.name))
    return max(lengths)


def test_the_default_render_stays_small(default: Sample) -> None:
    sources = {path: path.read_text("utf-8") for path in default.source.rglob("*.py")}
    lines = {path.name: len(text.splitlines()) for path, text in sources.items()}
    assert len(sources) <= 20, sorted(lines)
    assert sum(lines.values()) <= 1600, lines
    assert max(lines.values()) <= 250, lines
    for path, text in sources.items():
        assert longest_body(ast.parse(text))[0] <= 30, (path.name, longest_body(ast.parse(text)))


def test_the_repositorys_own_python_keeps_the_same_house() -> None:
    for folder in ("tests", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert len(text.splitlines()) <= 250, path.name
            assert longest_body(ast.parse(text))[0] <= 30, (path.name, longest_body(ast.parse(text)))
