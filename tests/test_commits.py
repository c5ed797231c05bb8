"""Commits through the real pre-commit: what an update leaves is caught, and other projects can name the hooks."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Literal

import copier
import pytest
import yaml

from tests.answers import ROOT
from tests.harness import GIT, SHARED, Result, command, prune, release, render, snapshot
from tests.hook_examples import AGENT, CONFLICT, SECRETS, notebook

SLOW = "ruff-check,ruff-format,mypy,configs-load,data-verify"
FILE, HEADING = ".editorconfig", "# What editors agree on"  # the template's, and edited
PUBLISHED = [hook["id"] for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))]


def git(folder: Path, *words: str) -> Result:
    """Run git, with the small hooks alone."""
    home = folder.parent / "pre-commit"
    return command([*GIT, *words], folder, SHARED | {"SKIP": SLOW, "PRE_COMMIT_HOME": str(home)})


def replace(path: Path, old: str, new: str) -> None:
    """Change a text in a file; it has to be there."""
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with its hooks installed, in which a line has changed that has changed in the next version as well."""
    template = prune(snapshot(tmp_path_factory.mktemp("template")), "*", "hooks/*")
    release(template, "v1.0.0")
    folder = tmp_path_factory.mktemp("conflict") / "project"
    render(template, folder, {"agents": False})
    release(folder, "start")
    assert command(["pre-commit", "install"], folder, SHARED).status == 0
    replace(folder / FILE, HEADING, "# What mine agree on")
    result = git(folder, "commit", "-qam", "Mine")
    assert result.status == 0, result.output
    replace(template / "template" / FILE, HEADING, "# What all agree on")
    release(template, "v1.0.1")
    return folder


def updated(project: Path, folder: Path, conflict: Literal["inline", "rej"]) -> Path:
    """A copy of the project after an update to the next version."""
    assert command(["cp", "-r", project, folder], folder.parent).status == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # copier's own
        copier.run_update(
            folder, conflict=conflict, defaults=True, overwrite=True, quiet=True, settings=copier.Settings()
        )
    return folder


def test_a_conflict_written_into_a_file_is_caught(project: Path, tmp_path: Path) -> None:
    folder = updated(project, tmp_path / "project", "inline")
    refused = command(["pre-commit", "run"], folder, SHARED)
    assert refused.status == 1
    assert "Unmerged files" in refused.output  # pre-commit's own word
    said = command(["python", "hooks/leftovers.py"], folder, SHARED).output
    assert f"{FILE}:1: unmerged; " in said
    git(folder, "add", "-A")
    caught = git(folder, "commit", "-qm", "Update")
    assert caught.status == 1
    number = (folder / FILE).read_text("utf-8").splitlines().index("<" * 7 + " before updating") + 1
    assert f"{FILE}:{number}: conflict marker; " in caught.output
    text = (folder / FILE).read_text("utf-8").splitlines(keepends=True)
    settled = [line for line in text if not line.startswith(("<" * 7, "=" * 7, ">" * 7, "# What mine"))]
    (folder / FILE).write_text("".join(settled), encoding="utf-8")
    assert git(folder, "commit", "-qam", "Update").status == 0


def test_a_conflict_put_beside_a_file_is_caught(project: Path, tmp_path: Path) -> None:
    folder = updated(project, tmp_path / "project", "rej")
    for words in (["commit", "-qam", "Update"], ["add", "-A"], ["commit", "-qm", "Update"]):
        result = git(folder, *words)
        assert (result.status == 0) == (words[0] == "add"), result.output
        assert words[0] == "add" or f"{FILE}.rej:1: rejected part of a patch; " in result.output
    git(folder, "rm", "-qf", f"{FILE}.rej")
    assert git(folder, "commit", "-qam", "Update").status == 0


def test_any_project_can_name_the_hooks(released: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    files = {
        "README.md": CONFLICT,
        "settings.txt": SECRETS["a private key"],
        "a.ipynb": notebook(outputs=[{}]),
        ".claude/agents/walker.md": AGENT,
    }
    repository = {"repo": str(released), "rev": "v0.0.1", "hooks": [{"id": name} for name in PUBLISHED]}
    for name, text in (files | {".pre-commit-config.yaml": yaml.safe_dump({"repos": [repository]})}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    for argv in (["init", "--quiet"], ["add", "-A"]):
        assert git(folder, *argv).status == 0
    environment = SHARED | {"PRE_COMMIT_HOME": str(tmp_path / "pre-commit")}
    result = command(["pre-commit", "run", "--all-files"], folder, environment)
    assert result.output.count("Failed") == len(PUBLISHED), result.output
    assert all(f"{name}:" in result.output for name in files)
    for name in files:
        git(folder, "rm", "-qf", name)
    result = command(["pre-commit", "run", "--all-files"], folder, environment)
    assert result.status == 0, result.output
