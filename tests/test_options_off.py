"""An option that is switched off: what goes is named and comes back, what is the owner's stays and hinders nothing."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.answers import ROOT
from tests.harness import Warm, command, release
from tests.updates import BEFORE, alone, commit, git, start, tree, unmerged

EDITED = "src/my_project/serving/card.py"
WORDS = "intended_use: All of it.\nlimitations: Some.\n"
SEARCH = "space:\n  optim.lr: {low: 0.001, high: 0.01}\n"
GIVE_UP = "git restore --staged --worktree . && git clean -fd"


@pytest.fixture(scope="module")
def switched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A project that its owner edited before it went on without serving and sweep, and what Copier said."""
    template = alone(tmp_path_factory.mktemp("template"))
    release(template, BEFORE)
    project = start(template, tmp_path_factory.mktemp("owners") / "project", {"serving": True, "sweep": True})
    with (project / EDITED).open("a", encoding="utf-8") as file:
        file.write("# Ours.\n")
    (project / "configs/card.yaml").write_text(WORDS, encoding="utf-8")
    (project / "configs/ours.yaml").write_text(SEARCH, encoding="utf-8")
    (project / "requirements.md").unlink()
    commit(project, "ours")
    options = ["--vcs-ref", ":current:", "--data", "serving=false", "--data", "sweep=false"]
    done = command(["copier", "update", "--defaults", *options], project)
    assert done.status == 0, done.output
    return project, done.output


@pytest.fixture
def project(switched: tuple[Path, str], tmp_path: Path) -> Path:
    """The project, to do with as one likes."""
    return Path(shutil.copytree(switched[0], tmp_path / "project"))


def test_what_is_the_owners_stays_as_it_is_there_or_deleted(project: Path) -> None:
    assert (project / "configs/card.yaml").read_text("utf-8") == WORDS
    assert (project / "configs/ours.yaml").read_text("utf-8") == SEARCH
    assert not (project / "requirements.md").exists()
    assert not (project / EDITED).exists()
    assert unmerged(project) == []


def test_the_hook_passes_what_only_the_option_read(project: Path, warm: Warm) -> None:
    git(project, "restore", "configs/monitoring.yaml", "configs/search.yaml")
    result = warm.run(project, "run_file", "hooks/configs_load.py")
    assert (result.status, result.output) == (0, "")


def test_the_printed_command_names_what_was_edited_until_it_is_committed(
    switched: tuple[Path, str], project: Path
) -> None:
    said = switched[1]
    assert "    src/*/serving\n" in said
    found = re.search(r"^    (git log .+)$", said, re.MULTILINE)
    assert found
    for step in ("true", "git add -A"):
        done = command(["sh", "-c", f"{step} && {found[1]}"], project)
        assert (done.status, done.output) == (0, f"{EDITED}\n")
    commit(project, "updated")
    assert command(["sh", "-c", found[1]], project).output == ""


def test_what_went_comes_back_and_an_update_is_given_up(project: Path) -> None:
    git(project, "restore", EDITED)
    assert (project / EDITED).read_text("utf-8").endswith("# Ours.\n")
    page = (ROOT / "docs/update.md").read_text("utf-8")
    skill = (ROOT / "template/.claude/skills/template-update/SKILL.md").read_text("utf-8")
    assert f"`{GIVE_UP}`" in page
    assert f"`{GIVE_UP}`" in skill
    (project / "brought.txt").write_text("by the template\n", encoding="utf-8")
    assert command(["sh", "-c", GIVE_UP], project).status == 0
    assert git(project, "status", "--porcelain") == ""
    assert {*tree(project)} == {*git(project, "ls-files").splitlines()}
