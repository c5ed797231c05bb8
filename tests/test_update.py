"""An update cannot hurt: across a version that touches every file, out come a fresh project and what its owner did.

Here stand the answer sets that differ most: `uv run pytest -n 0 tests/update_matrix.py` updates all of them.
"""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests import answers, owner
from tests.answers import ALL, Answers
from tests.harness import Warm, command, render
from tests.ownership import LINE, kept, patterns
from tests.ownership import owner as whose
from tests.updates import (
    AFTER,
    BEFORE,
    LATER,
    NEXT,
    NOTE,
    alone,
    commit,
    differing,
    git,
    recorded,
    rename_question,
    start,
    tree,
    two_versions,
    unmerged,
    update,
)

SETS = answers.samples()
NAMES = {name for given in answers.NAMES.values() for name in given}
DEFAULTS = {name: row["default"] for name, row in answers.QUESTIONS.items() if "{" not in str(row["default"])}
DEFAULTS |= {name: False for name, row in answers.QUESTIONS.items() if row["default"] == "{{ scope == 'full' }}"}
SWITCHES = re.findall(r"'(\w+)':", ALL["switches"]["default"])


@pytest.fixture(scope="session")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of the template with a version that touches every file, and one that renames a question."""
    folder = two_versions(alone(tmp_path_factory.mktemp("versions")))
    rename_question(folder)
    return folder


def whole(path: Path) -> str:
    """The text of a file of the template, with those that it includes."""
    text, root = path.read_text("utf-8"), next(each for each in path.parents if (each / "copier.yml").exists())
    return re.sub(r'\{% include "(.+)" %\}', lambda match: (root / match[1]).read_text("utf-8"), text)


def test_the_next_version_touches_every_file(versions: Path) -> None:
    names = git(versions, "ls-files", "template").splitlines()
    same = {*names} - {*git(versions, "diff", "--name-only", BEFORE, AFTER).splitlines()}
    same = {name for name in same if f"<!-- {NEXT} -->" not in whole(versions / name)}  # by what it includes
    assert [name for name in same if "answers_file" not in name] == []


def test_what_the_documents_call_the_owners_is_what_copier_leaves_alone() -> None:
    assert kept() == patterns("yours", "data")
    documents = re.findall(r"'([^']+)'", ALL["yours"]["default"])
    assert sorted(f"/{name}" for name in documents) == sorted(patterns("yours"))


def test_every_switch_is_known_to_the_message() -> None:
    rows = " ".join(row for row in ALL["_exclude"] if "{%" in row and "_copier_operation" not in row)
    message = (answers.ROOT / "messages/after_update.txt").read_text(encoding="utf-8")
    asked = {*re.findall(r"(\w+) \| default", rows)}
    assert asked == {*SWITCHES} == {*re.findall(r"(\w+)=was\.\1", message)}


def test_shared_files_end_with_a_line_after_which_the_owner_writes(versions: Path) -> None:
    folder = versions / "template"
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix not in {".npz", ".pt"}]
    marked = {path.relative_to(folder).as_posix(): whole(path) for path in files}
    marked = {name: text for name, text in marked.items() if LINE in text}
    assert sorted(f"/{name}" for name in marked) == sorted(patterns("shared"))
    assert [name for name, text in marked.items() if LINE not in text.splitlines()[-1]] == []


def check_equal_to_fresh(versions: Path, folder: Path, given: Answers) -> None:
    """Updated is fresh but for what is the owner's, which is as it was; once more changes nothing."""
    project, fresh = start(versions, folder / "project", given), folder / "fresh"
    before = tree(project)
    update(project)
    render(versions, fresh, given, AFTER)
    other = differing(project, fresh)
    assert [name for name in other if whose(name) not in {"yours", "data"}] == []
    assert [name for name in other if tree(project)[name] != before[name]] == []
    assert len(other) < len(before) / 4, "nearly everything is updated"
    commit(project, "updated")
    assert f"is still at {AFTER}" in update(project)
    assert git(project, "status", "--porcelain") == ""


def test_updated_equals_fresh_but_for_what_is_the_owners(versions: Path, tmp_path: Path) -> None:
    check_equal_to_fresh(versions, tmp_path, SETS["default"])


def check_changed_answers(versions: Path, folder: Path, given: Answers, wanted: Answers) -> None:
    """An update that changes answers gives what they give afresh, takes nothing of the owner's, and names what went."""
    project, fresh = start(versions, folder / "project", given), folder / "fresh"
    (project / "README.md").write_text(owner.README, encoding="utf-8")
    (project / "src/ours.txt").write_text("ours\n", encoding="utf-8")
    commit(project, "ours")
    before = tree(project)
    said = update(project, wanted)
    render(versions, fresh, wanted, AFTER)
    after, new = tree(project), tree(fresh)
    ours = {name for name in before if whose(name) == "yours"} | {"src/ours.txt"}
    assert [name for name in ours if after.get(name) != before[name]] == []
    assert {*after} == {*new} | ours
    assert [name for name in new if after[name] != new[name] and whose(name) not in {"yours", "data"}] == []
    assert [name for name in new if name not in before and after[name] != new[name]] == []
    assert unmerged(project) == []
    named = [f"{line.strip()}*" for line in said.splitlines() if line.startswith("    ")]
    moved = {*before} ^ {*after} | (ours - {*new} - {"src/ours.txt"})
    assert [name for name in moved if not any(fnmatch(name, path) for path in named)] == []


def with_names(given: Answers, names: Answers) -> Answers:
    """Answers that are all given, those of names from others: another package name would be another project."""
    rest = {name: value for name, value in given.items() if name not in NAMES}
    return DEFAULTS | rest | {name: value for name, value in names.items() if name in NAMES}


@pytest.mark.parametrize(("name", "other"), [("all-off", "all-on"), ("all-on", "all-off")])
def test_changed_answers_give_what_they_give_afresh(versions: Path, tmp_path: Path, name: str, other: str) -> None:
    check_changed_answers(versions, tmp_path, SETS[name], with_names(SETS[other], SETS[name]))


def check_edits_survive(versions: Path, folder: Path, given: Answers) -> Path:
    """Everything that an owner does is still there, and there is nothing to merge."""
    project = start(versions, folder / "project", given)
    owner.edit(project)
    commit(project, "ours")
    edited = tree(project)
    update(project)
    assert unmerged(project) == []
    assert owner.lost(project, edited) == []
    return project


def check_green(project: Path, warm: Warm, *more: list[str]) -> None:
    """What a project's own hooks ask passes, and it trains a preset of its owner's."""
    for argv in (["ruff", "check", "--no-cache"], ["ruff", "format", "--no-cache", "--check"]):
        assert (done := command(argv, project)).status == 0, done.output
    package = owner.package(project).name
    wanted = ["data verify", "train ours --fast-dev-run", "tasks check", "agents check"]
    for argv in ([package, *line.split()] for line in wanted):
        assert (done := warm.run(project, *argv)).status == 0, done.output
    for argv in more:
        assert (done := warm.run(project, *argv, limit=900)).status == 0, done.output


def test_an_owners_edits_survive_and_the_projects_checks_are_green(versions: Path, tmp_path: Path, warm: Warm) -> None:
    project = check_edits_survive(versions, tmp_path, {})
    check_green(project, warm, ["pytest", "-q", "-p", "no:cacheprovider", "--no-cov", "tests/test_house.py"])


def test_a_line_that_both_changed_is_left_to_the_owner(versions: Path, tmp_path: Path) -> None:
    project = start(versions, tmp_path / "project", SETS["all-off"])
    file = project / "src/my_project/training/optimizer.py"
    file.write_text(f"# Ours.\n{file.read_text('utf-8')}", encoding="utf-8")
    commit(project, "ours")
    update(project)
    assert unmerged(project) == [file.relative_to(project).as_posix()]


def test_a_renamed_question_keeps_its_answer_and_who_crosses_a_version_is_told(versions: Path, tmp_path: Path) -> None:
    project = start(versions, tmp_path / "project", SETS["all-off"] | {"docker": True})
    before = tree(project)
    assert command(["copier", "check-update", "--quiet"], project).status == 2
    done = command(["copier", "update", "--defaults"], project)
    assert done.status == 0, done.output
    known = recorded(project)
    assert (known["container"], "docker" in known) == (True, False)
    assert tree(project).keys() == before.keys()
    assert unmerged(project) == []
    assert f"was at {BEFORE} and is now at {LATER}" in done.output
    assert f"{LATER[1:]}: {NOTE}" in done.output
    assert "These" not in done.output, "nothing went and nothing came"
    commit(project, "updated")
    assert command(["copier", "check-update", "--quiet"], project).status == 0
