"""An update across a made-up major version: the worked migration keeps what owners have changed, and needs trust."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.answers import ROOT
from tests.harness import GIT, Result, command, prune, release, render, snapshot

UPDATE = [sys.executable, "-m", "copier", "update", "--defaults"]
PRESETS = Path("src/my_project/presets")
MIGRATIONS = """\
_migrations:
  - version: v2.0.0
    when: "{{ _stage in ['before', 'after'] }}"
    command: ["{{ _copier_python }}", "{{ _copier_conf.src_path }}/hooks/migrations/v2.0.0.py"]

_exclude:
"""
MOVED = {"presets/linear.yaml": "presets/logistic.yaml", "golden/linear.json": "golden/logistic.json"}


def replace(path: Path, old: str, new: str) -> None:
    """Change a text in a file; it has to be there."""
    text = path.read_text("utf-8")
    assert re.search(old, text), f"{path} has no {old}"
    path.write_text(re.sub(old, new, text), encoding="utf-8")


def next_major(folder: Path) -> None:
    """Make the version that renames an option everywhere and moves three files."""
    package = folder / "template/src/{{ package_name }}"
    for path in (folder / "template").rglob("*"):
        if path.suffix in {".py", ".yaml", ".md"} and "ema_decay" in path.read_text("utf-8"):
            replace(path, r"\bema_decay\b", "averaging")
    (package / "presets/linear.yaml").rename(package / "presets/logistic.yaml")
    (folder / "template/tests/golden/linear.json").rename(folder / "template/tests/golden/logistic.json")
    (folder / "template/configs/example.yaml").rename(folder / "template/configs/first.yaml")
    replace(folder / "template/configs/first.yaml", "configs/example.yaml", "configs/first.yaml")
    for old, new in MOVED.items():
        replace(folder / "copier.yml", re.escape(old), new)
    replace(folder / "copier.yml", r"(?m)^_exclude:\n", MIGRATIONS)
    (folder / "hooks/migrations/example.py").rename(folder / "hooks/migrations/v2.0.0.py")


def edit(project: Path) -> None:
    """Change what an owner changes."""
    replace(project / "configs/example.yaml", "steps: 400", "steps: 500")
    replace(project / PRESETS / "linear.yaml", r"\Z", "train: {steps: 70}  # mine\n")
    replace(project / PRESETS / "cnn.yaml", r"ema_decay: [\d.]+", "ema_decay: 0.5")  # on the line that v2 changes
    own = "# ema_decay: is not renamed here.\nmodel: {kind: mlp}\noptim:\n  lr: 0.01\n\n  ema_decay: 0.25  # slow\n"
    (project / PRESETS / "own.yaml").write_text(own, encoding="utf-8")
    (project / "tests/golden/linear.json").unlink()


def commit(project: Path) -> None:
    """Commit everything."""
    for argv in (["init", "--quiet"], ["add", "-A"], ["commit", "--quiet", "-m", "All"]):
        assert command([*GIT, *argv], project).status == 0


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A template with the tags v1.0.0 and v2.0.0, an edited project of the first, and a fresh one of the second."""
    folder = tmp_path_factory.mktemp("majors")
    template = prune(snapshot(folder / "template"), "*", "configs/*", "hooks/*", "src/*/**/*", "tests/golden/*")
    shutil.rmtree(template / "template/src/{{ package_name }}_agents")
    release(template, "v1.0.0")
    render(template, folder / "project", {"agents": False})
    edit(folder / "project")
    commit(folder / "project")
    next_major(template)
    release(template, "v2.0.0")
    render(template, folder / "fresh", {"agents": False})
    return {path.name: path for path in folder.iterdir()}


@pytest.fixture(scope="module", params=["inline", "rej"])
def updated(request: pytest.FixtureRequest, folders: dict[str, Path]) -> tuple[Path, Result]:
    """The project after an update that trusts the template, and what that said."""
    project = folders["project"].with_name(request.param)
    assert command(["cp", "-r", folders["project"], project], project.parent).status == 0
    return project, command([*UPDATE, "--trust", "--conflict", request.param], project)


def test_without_trust_the_update_is_refused_in_two_lines_and_nothing_changes(folders: dict[str, Path]) -> None:
    result = command(UPDATE, folders["project"])
    assert result.status == 4
    assert "Traceback" not in result.output
    why, what_to_do = result.output.splitlines()
    assert why == "Template uses potentially unsafe feature: migrations."
    assert "`--trust`" in what_to_do
    assert command([*GIT, "status", "--porcelain", "--ignored"], folders["project"]).output == ""


def test_the_update_says_what_it_has_moved_and_merged(updated: tuple[Path, Result]) -> None:
    project, result = updated
    assert result.status == 0, result.output
    said = [line.removeprefix("migration: ") for line in result.output.splitlines() if line.startswith("migration: ")]
    assert sorted(said) == [
        "configs/first.yaml, which was configs/example.yaml: merged with what you had changed",
        f"{PRESETS}/cnn.yaml: merged with what you had changed",
        f"{PRESETS}/logistic.yaml, which was {PRESETS}/linear.yaml: merged with what you had changed",
        f"{PRESETS}/own.yaml: yours, with the new names",
        "tests/golden/logistic.json, which was tests/golden/linear.json: stays deleted",
    ]
    assert command([*GIT, "ls-files", "--unmerged"], project).output == ""
    assert command([sys.executable, "hooks/leftovers.py"], project).output == ""


def test_edits_live_on_in_the_new_files(updated: tuple[Path, Result], folders: dict[str, Path]) -> None:
    project, fresh = updated[0], folders["fresh"]
    assert not (project / "configs/example.yaml").exists()
    assert not (project / PRESETS / "linear.yaml").exists()
    expected = {
        Path("configs/first.yaml"): ("steps: 400", "steps: 500"),
        PRESETS / "logistic.yaml": (r"\Z", "train: {steps: 70}  # mine\n"),
    }
    expected[PRESETS / "cnn.yaml"] = (r"averaging: [\d.]+", "averaging: 0.5")
    for name, (old, new) in expected.items():
        assert (project / name).read_text("utf-8") == re.sub(old, new, (fresh / name).read_text("utf-8"))
    own = (project / PRESETS / "own.yaml").read_text("utf-8")
    assert own.startswith("# ema_decay: is not renamed here.\n")
    assert own.endswith("\n\n  averaging: 0.25  # slow\n")


def files(folder: Path) -> Iterator[Path]:
    """The files of a project by their names in it, but for git's own and the answers."""
    for path in folder.rglob("*"):
        if path.is_file() and ".git" not in path.parts and path.name != ".copier-answers.yml":
            yield path.relative_to(folder)


def test_everything_else_is_as_in_a_fresh_project(updated: tuple[Path, Result], folders: dict[str, Path]) -> None:
    project, fresh = updated[0], folders["fresh"]
    edited = {Path("configs/first.yaml"), *(PRESETS / f"{name}.yaml" for name in ("logistic", "cnn", "own"))}
    gone = {Path("tests/golden/logistic.json")}
    assert {*files(project)} == {*files(fresh)} - gone | {PRESETS / "own.yaml"}
    differing = {
        name for name in {*files(fresh)} - gone if (project / name).read_bytes() != (fresh / name).read_bytes()
    }
    assert differing == edited - {PRESETS / "own.yaml"}


@pytest.mark.parametrize("updated", ["inline"], indirect=True)
def test_every_config_loads_under_the_new_name_and_none_under_the_old(updated: tuple[Path, Result]) -> None:
    (updated[0] / PRESETS / "late.yaml").write_text("optim: {ema_decay: 0.5}\n", encoding="utf-8")
    result = command([sys.executable, "hooks/configs_load.py"], updated[0])
    (updated[0] / PRESETS / "late.yaml").unlink()
    assert result.status == 1
    assert result.output.startswith(f"{PRESETS}/late.yaml:1: unknown option 'optim.ema_decay'")
    assert len(result.output.splitlines()) == 1  # all others were taken


def test_what_is_in_the_way_stops_the_update_before_it_begins(folders: dict[str, Path], tmp_path: Path) -> None:
    project = tmp_path / "project"
    assert command(["cp", "-r", folders["project"], project], tmp_path).status == 0
    (project / "configs/first.yaml").write_text("name: mine\n", encoding="utf-8")
    commit(project)
    script = folders["template"] / "hooks/migrations/v2.0.0.py"
    for stage, status in {"before": 1, "after": 0}.items():
        result = command([sys.executable, script], project, {"STAGE": stage, "VERSION_FROM": "v1.0.0"})
        assert result.status == status, result.output
    assert command([*GIT, "status", "--porcelain"], project).output == ""


def test_a_file_whose_option_was_off_comes_when_it_is_switched_on(folders: dict[str, Path], tmp_path: Path) -> None:
    project = tmp_path / "project"
    render(folders["template"], project, {"agents": False, "task": "regression"}, "v1.0.0")
    commit(project)
    result = command([*UPDATE, "--trust", "--data", "task=classification"], project)
    assert result.status == 0, result.output
    assert "stays deleted" not in result.output
    for name in ("tests/golden/logistic.json", PRESETS / "logistic.yaml"):
        assert (project / name).read_bytes() == (folders["fresh"] / name).read_bytes()


def test_by_hand_it_says_in_one_line_what_it_wants(tmp_path: Path) -> None:
    script = ROOT / "hooks/migrations/example.py"
    for given in ({}, {"STAGE": "before"}, {"STAGE": "soon", "VERSION_FROM": "v1.0.0"}):
        result = command([sys.executable, script], tmp_path, given)
        assert result.status == 1
        assert re.fullmatch(r"migration: got STAGE .* want before or after and a version; .*\n", result.output)
    elsewhere = command([sys.executable, script], tmp_path, {"STAGE": "before", "VERSION_FROM": "v1.0.0"})
    assert elsewhere.status == 1
    assert re.fullmatch(r"migration: no .copier-answers.yml .* run it in the project's folder\n", elsewhere.output)


def test_the_real_template_has_no_migration() -> None:
    assert "_migrations" not in (ROOT / "copier.yml").read_text("utf-8")
