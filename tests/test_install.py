"""The default project, really installed: its wheel, its command, its hooks."""

from __future__ import annotations

import json
import os
import sys
import zipfile
from pathlib import Path

import pytest

from tests.harness import GIT, SHARED, Result, Sample, command
from tests.test_workflows import project_commands

SMALL = ("nothing left of", "no secret and", "presets and configs load", "data are what")


@pytest.fixture(scope="module")
def wheel(default: Sample, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the default project."""
    folder = tmp_path_factory.mktemp("wheel")
    project = default.copy(folder / "project")
    result = command(["uv", "build", "--wheel", "--out-dir", folder], project.folder)
    assert result.status == 0, result.output
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of an environment that holds the wheel and what it declares, nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    python = folder / "bin" / "python"
    made = command(["uv", "venv", "--python", sys.executable, folder], folder.parent)
    assert made.status == 0, made.output
    filled = command(["uv", "pip", "install", "--python", python, wheel], folder.parent)
    assert filled.status == 0, filled.output
    return python.parent


def test_the_wheel_holds_every_file_of_the_package(wheel: Path, default: Sample) -> None:
    folder = default.folder / "src"
    package = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in names if ".dist-info/" not in name and not name.endswith("/")} == package
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_installed_command_trains_from_another_folder(scripts: Path, tmp_path: Path) -> None:
    result = command([scripts / "my-project", "train", "--fast-dev-run"], tmp_path)
    assert result.status == 0, result.output
    folder = next((tmp_path / "runs").iterdir())
    assert json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))["split"] == "val"


def test_the_installed_command_explains_itself(scripts: Path, tmp_path: Path) -> None:
    result = command([scripts / "my-project", "--help"], tmp_path)
    assert result.status == 0, result.output
    for name in ("train", "evaluate", "predict", "report", "data"):
        assert name in result.output


def test_every_hook_passes_right_after_git_init(default: Sample, tmp_path: Path, type_cache: Path) -> None:
    folder = default.copy(tmp_path / "project").folder
    for argv in (["init", "--quiet"], ["add", "-A"]):
        assert command([*GIT, *argv], folder).status == 0
    shim = tmp_path / "bin" / "my-project"  # what installing the project would make
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nPYTHONPATH={folder / "src"} exec python -m my_project "$@"\n', encoding="utf-8")
    shim.chmod(0o755)
    environment = SHARED | {
        "PATH": os.pathsep.join([str(shim.parent), SHARED["PATH"]]),
        "PRE_COMMIT_HOME": str(tmp_path / "hooks"),
        "MYPY_CACHE_DIR": str(type_cache),
    }
    result = command(["pre-commit", "run", "--all-files"], folder, environment)
    assert result.status == 0, result.output
    for name in ("ruff check", "ruff format", "mypy", "agnix", "Agent Skills", "what agents read", "tasks and", *SMALL):
        assert any(line.startswith(name) and line.endswith("Passed") for line in result.output.splitlines()), name


def test_the_commands_of_the_workflow_are_green_on_the_first_push(
    default: Sample, tmp_path: Path, type_cache: Path
) -> None:
    folder = default.copy(tmp_path / "project").folder
    fresh = {"UV_FIND_LINKS": "", "UV_CONSTRAINT": "", "UV_NO_SYNC": "false", "UV_PROJECT_ENVIRONMENT": "new"}
    installed = {"PYTHONPATH": str(folder / "src"), "MYPY_CACHE_DIR": str(type_cache)}
    commands = project_commands(default)
    assert run_command("uv sync --locked --dry-run", folder, fresh).status != 0  # nothing is locked yet
    assert run_command("uv lock", folder, fresh).status == 0
    shorter = {  # what they install and test, other tests do: here they only begin
        "uv sync --locked": ("uv sync --locked --dry-run", fresh),
        "uv run pytest": ("uv run pytest --collect-only --quiet --no-cov", SHARED),
    }
    for words in commands:
        given, variables = shorter.get(words, (words, SHARED))
        result = run_command(given, folder, variables | installed)
        assert result.status == 0, f"{words}: {result.output}"
    assert len(commands) == 5


def run_command(words: str, folder: Path, variables: dict[str, str]) -> Result:
    """Run a line of a workflow as its shell does."""
    return command(["bash", "-euo", "pipefail", "-c", words], folder, variables)
