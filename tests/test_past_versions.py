"""Projects of long ago update to this version, and what they have trained goes on.

Here stand the oldest and the newest of tests/past_versions.txt; tests/update_matrix.py updates all of them.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests import answers, updates
from tests.answers import ROOT, Answers
from tests.harness import GIT, Warm, render, snapshot
from tests.ownership import owner as whose

LINES = [line.split(maxsplit=1) for line in (ROOT / "tests/past_versions.txt").read_text("utf-8").splitlines()[1:]]
PAST = {commit: f"v0.0.{number}" for number, (commit, _) in enumerate(LINES, 1)}
NOW, NEWEST = "v999.0.0", list(PAST.values())[-1]
# What had a name that an option's file has now: Copier takes it for that file, which these answers exclude.
LEFT = {"v0.0.1": ["tests/test_regression.py"]}
RICH: Answers = answers.NAMES["quoted"] | {
    "license": "BSD-3-Clause",
    "scope": "full",
    "tracker": "tensorboard",
    "ci": "gitlab",
    "torch_index": "cpu",
}


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This repository with the past versions as tags, and the working tree as the newest."""
    folder = tmp_path_factory.mktemp("history")
    for commit in PAST:
        found = subprocess.run([*GIT, "cat-file", "-e", f"{commit}^{{commit}}"], cwd=ROOT, check=False)
        if found.returncode:
            pytest.skip("this clone has no history: `git fetch --unshallow` brings it")
    updates.git(ROOT, "clone", "--quiet", "--shared", "--no-checkout", str(ROOT), str(folder))
    for commit, tag in PAST.items():
        updates.git(folder, "tag", tag, commit)
    updates.commit(snapshot(folder), "now")
    updates.git(folder, "tag", NOW)
    return folder


def check_updated(history: Path, folder: Path, version: str, given: Answers) -> Path:
    """A project of a past version becomes one of now but for what is the owner's; new questions get their defaults."""
    project, fresh = updates.start(history, folder / "project", given, version), folder / "fresh"
    updates.update(project, version=NOW)
    known = updates.recorded(project)
    render(history, fresh, {name: known[name] for name in answers.QUESTIONS if name in known}, NOW)
    assert [name for name in updates.differing(project, fresh) if whose(name) != "yours"] == LEFT.get(version, [])
    assert updates.unmerged(project) == []
    return project


@pytest.mark.parametrize(("version", "given"), [("v0.0.1", {}), (NEWEST, RICH)], ids=["oldest", "newest and rich"])
def test_a_project_of_a_past_version_updates_to_this_one(
    history: Path, tmp_path: Path, version: str, given: Answers
) -> None:
    check_updated(history, tmp_path, version, given)


def test_runs_and_configs_from_before_an_update_load_after_it(history: Path, tmp_path: Path, warm: Warm) -> None:
    project = updates.start(history, tmp_path / "project", {"agents": False}, NEWEST)

    def call(*argv: str) -> str:
        done = warm.run(project, "my_project", *argv)
        assert done.status == 0, done.output
        return done.output

    (project / "ours.yaml").write_text(
        "name: ours\ntrain: {steps: 12, eval_every: 6}\noptim: {lr: 0.002}\n", encoding="utf-8"
    )
    call("train", "--config", "ours.yaml", "--train.out", "runs/before")
    updates.commit(project, "trained")
    updates.update(project, version=NOW)
    call("train", "--resume", "runs/before", "--train.steps", "18")
    call("evaluate", "runs/before")
    call("predict", "runs/before", "examples/digit.csv")
    call("train", "--config", "ours.yaml", "--train.out", "runs/after")
