"""scripts/release.py tags only what is clean, described and passed, and refuses the rest in one line."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.answers import ROOT
from tests.harness import GIT, Result, command, release, snapshot
from tests.test_guards import table

IDENTITY = {f"GIT_{who}_{what}": f"{who}@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
PYPROJECT = '[project]\nname = "scratch"\nversion = "1.1.0"\n\n[tool.release]\ncommands = ["echo ran >> ../log"]\n'
CHANGELOG = "# Changelog\n\n## Unreleased\n\n## [1.1.0] - 2026-11-22\n\n### Added\n\n- A.\n\n### Upgrade\n\nNothing.\n"


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A repository that is ready for its release 1.1.0, with 1.0.0 tagged; its test command writes a line to ../log."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    (folder / "CHANGELOG.md").write_text(CHANGELOG, encoding="utf-8")
    release(folder, "v1.0.0")
    return folder


def run(folder: Path, *words: str) -> Result:
    """Run the script in a repository."""
    return command([sys.executable, ROOT / "scripts/release.py", *words], folder, IDENTITY)


def git(folder: Path, *words: str) -> str:
    """Return what git prints."""
    return command([*GIT, *words], folder).output.strip()


def change(folder: Path, name: str, old: str, new: str) -> None:
    """Change a file and commit it."""
    path = folder / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    git(folder, "commit", "-qam", "change")


def take(folder: Path, name: str) -> None:
    """Take a file away and commit that."""
    git(folder, "rm", "-q", name)
    git(folder, "commit", "-qm", "take")


def test_a_release_is_an_annotated_tag_with_its_notes_on_what_has_passed(scratch: Path) -> None:
    result = run(scratch, "1.1.0")
    assert result.status == 0, result.output
    assert git(scratch, "cat-file", "-t", "v1.1.0") == "tag"
    assert git(scratch, "rev-parse", "v1.1.0^{commit}") == git(scratch, "rev-parse", "HEAD")
    message = git(scratch, "tag", "--list", "--format=%(contents)", "v1.1.0")
    assert "### Upgrade" in message
    assert "- A." in message
    assert (scratch.parent / "log").read_text() == "ran\n"
    assert "nothing was pushed" in result.output


def test_what_has_passed_on_a_commit_is_not_run_again_and_counts_for_no_other(scratch: Path) -> None:
    assert run(scratch, "1.1.0").status == 0
    git(scratch, "tag", "--delete", "v1.1.0")
    assert run(scratch, "1.1.0").status == 0
    assert (scratch.parent / "log").read_text() == "ran\n"
    git(scratch, "tag", "--delete", "v1.1.0")
    change(scratch, "CHANGELOG.md", "- A.", "- B.")
    assert run(scratch, "1.1.0").status == 0
    assert (scratch.parent / "log").read_text() == "ran\n" * 2


def test_a_dry_run_runs_and_tags_nothing(scratch: Path) -> None:
    result = run(scratch, "1.1.0", "--dry-run")
    assert result.status == 0, result.output
    assert "can be tagged" in result.output
    assert git(scratch, "tag") == "v1.0.0"
    assert not (scratch.parent / "log").exists()


REFUSED: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "a changed file": (
        "1.1.0",
        lambda folder: (folder / "CHANGELOG.md").write_text("new\n", encoding="utf-8"),
        "the tree is not clean: 1 changed",
    ),
    "a new file": ("1.1.0", lambda folder: (folder / "new").touch(), "the tree is not clean: 1 changed, as in 'new'"),
    "a new file of two words": ("1.1.0", lambda folder: (folder / "a b").touch(), "1 changed, as in 'a b'"),
    "another branch": ("1.1.0", lambda folder: git(folder, "switch", "-qc", "side"), "on branch 'side'"),
    "no version": ("one", lambda _: None, "'one' is no version"),
    "another version": ("1.2.0", lambda _: None, "pyproject.toml has version 1.1.0, not 1.2.0"),
    "a version that is tagged": ("1.1.0", lambda folder: git(folder, "tag", "v1.1.0"), "v1.1.0 is tagged already"),
    "an older version": ("1.1.0", lambda folder: git(folder, "tag", "v1.10.0"), "v1.10.0 is tagged already"),
    "a higher tag with a hyphen": (
        "1.1.0",
        lambda folder: git(folder, "tag", "v2.0.0-rc1"),
        "v2.0.0-rc1 is tagged already",
    ),
    "a higher tag without v": ("1.1.0", lambda folder: git(folder, "tag", "2.0.0"), "2.0.0 is tagged already"),
    "no pyproject.toml": ("1.1.0", lambda folder: take(folder, "pyproject.toml"), "scratch/pyproject.toml: add"),
    "no changelog": ("1.1.0", lambda folder: take(folder, "CHANGELOG.md"), "scratch/CHANGELOG.md: add"),
    "no TOML": ("1.1.0", lambda folder: change(folder, "pyproject.toml", "]", ""), "pyproject.toml is no TOML"),
    "no own version": (
        "1.1.0",
        lambda folder: change(folder, "pyproject.toml", "version", "other"),
        "no 'version' under [project]: add it",
    ),
    "no commands": (
        "1.1.0",
        lambda folder: change(folder, "pyproject.toml", "[tool.release]", "[tool.other]"),
        "no 'commands' under [tool.release]: add it",
    ),
    "one command without a list": (
        "1.1.0",
        lambda folder: change(folder, "pyproject.toml", '["echo ran >> ../log"]', "'echo'"),
        "has commands = 'echo' under [tool.release]: want a list",
    ),
    "a damaged record": (
        "1.1.0",
        lambda folder: (folder / ".git/passed.json").write_text("", encoding="utf-8"),
        ".git/passed.json is damaged: delete it",
    ),
    "a record of something else": (
        "1.1.0",
        lambda folder: (folder / ".git/passed.json").write_text("[]", encoding="utf-8"),
        ".git/passed.json is damaged: delete it",
    ),
    "no section": ("1.1.0", lambda folder: change(folder, "CHANGELOG.md", "[1.1.0]", "[1.0.9]"), "has no section"),
    "no date": ("1.1.0", lambda folder: change(folder, "CHANGELOG.md", "2026-11-22", "soon"), "want YYYY-MM-DD"),
    "no day": (
        "1.1.0",
        lambda folder: change(folder, "CHANGELOG.md", "2026-11-22", "2026-99-99"),
        "has date '2026-99-99', want YYYY-MM-DD",
    ),
    "no upgrade part": (
        "1.1.0",
        lambda folder: change(folder, "CHANGELOG.md", "### Upgrade", "### Other"),
        "no part '### Upgrade'",
    ),
    "an empty upgrade part": (
        "1.1.0",
        lambda folder: change(folder, "CHANGELOG.md", "Nothing.\n", ""),
        "no part '### Upgrade'",
    ),
    "lines without a version": (
        "1.1.0",
        lambda folder: change(folder, "CHANGELOG.md", "## Unreleased\n", "## Unreleased\n\n- C.\n"),
        "lines under Unreleased",
    ),
    "a test that fails": (
        "1.1.0",
        lambda folder: change(folder, "pyproject.toml", "echo ran >> ../log", "exit 3"),
        "'exit 3' ended with status 3",
    ),
    "a test that leaves something": (
        "1.1.0",
        lambda folder: change(folder, "pyproject.toml", "../log", "left"),
        "the tree is not clean",
    ),
}


@pytest.mark.parametrize(("version", "spoil", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_release_that_is_not_ready_is_refused_in_one_line(
    scratch: Path, version: str, spoil: Callable[[Path], object], reason: str
) -> None:
    spoil(scratch)
    tags = git(scratch, "tag")
    result = run(scratch, version)
    assert result.status == 1
    lines = [line for line in result.output.splitlines() if line and not line.startswith("+ ")]
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert reason in lines[0]
    assert git(scratch, "tag") == tags


def test_without_git_or_a_repository_it_says_so_in_one_line(tmp_path: Path) -> None:
    nowhere = run(tmp_path, "1.1.0")
    without = command([sys.executable, ROOT / "scripts/release.py", "1.1.0"], tmp_path, {"PATH": str(tmp_path)})
    for result, reason in ((nowhere, "not a git repository"), (without, "install it and put it on PATH")):
        assert result.status == 1
        assert len(result.output.splitlines()) == 1
        assert result.output.startswith("error: git ")
        assert reason in result.output


def test_a_release_passes_the_test_command_of_the_readme_and_the_full_matrix() -> None:
    wanted = table("pyproject.toml")["tool"]["release"]["commands"]
    assert wanted[0] == "uv run pytest"
    assert wanted[1:] == ["uv run pytest tests/full_matrix.py"]
    assert f"pip install uv && {wanted[0]}\n" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_version_is_the_same_wherever_it_stands() -> None:
    version = table("pyproject.toml")["project"]["version"]
    assert table("hooks/audit/pyproject.toml")["project"]["version"] == version
    assert f'name = "copier-torch"\nversion = "{version}"\n' in (ROOT / "uv.lock").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## \[(.+?)\]", changelog, re.MULTILINE)[:1] in ([], [version])  # none before the first
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert "version" not in citation  # the tag says it


def test_a_git_address_renders_the_newest_tag_and_hears_of_a_newer_one(tmp_path: Path) -> None:
    repository = snapshot(tmp_path / "copier-torch")
    release(repository, "v1.0.0")
    address = f"git+file://{repository}"
    made = command(["copier", "copy", "--defaults", "--quiet", address, "made"], tmp_path)
    assert made.status == 0, made.output
    recorded = yaml.safe_load((tmp_path / "made/.copier-answers.yml").read_text(encoding="utf-8"))
    assert (recorded["_src_path"], recorded["_commit"]) == (address, "v1.0.0")
    project = tmp_path / "made"
    assert command(["copier", "check-update", "--quiet"], project).status == 0
    git(repository, "commit", "--quiet", "--allow-empty", "--message", "next")
    git(repository, "tag", "v1.0.1")
    newer = command(["copier", "check-update"], project)
    assert "latest version is 1.0.1" in newer.output
    assert command(["copier", "check-update", "--quiet"], project).status == 2
