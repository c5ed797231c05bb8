"""What is meant ill is rendered as the text that it is, or refused before a file is written."""

from __future__ import annotations

import ast
import json
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.harness import command, render
from tests.hostile import FILES, GIVEN, HARMLESS, LAST, REFUSED, RENDERED
from tests.updates import AFTER, BEFORE, alone, commit, git, start, tree, two_versions, update

PARSERS: dict[str, Callable[[str], object]] = {
    ".toml": tomllib.loads,
    ".yml": yaml.safe_load,
    ".yaml": yaml.safe_load,
    ".json": json.loads,
    ".py": ast.parse,
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions of the template with no files but those that answers are written into."""
    folder = alone(tmp_path_factory.mktemp("slim"))
    for path in filter(Path.is_file, (folder / "template").rglob("*")):
        if path.suffix in {".npz", ".pt"} or ("{{ " not in path.read_text("utf-8") and path.name != "__init__.py"):
            path.unlink()
    return two_versions(folder)


def below(folder: Path) -> set[str]:
    """What stands in a folder, two levels of it: a project's neighbours, and what was written beside it."""
    return {str(path.relative_to(folder)) for pattern in ("*", "*/*") for path in folder.glob(pattern)}


def check_whole(folder: Path) -> None:
    """Every file of a project can still be read as what it is."""
    for name, data in tree(folder).items():
        if (suffix := Path(name).suffix) in PARSERS:
            assert PARSERS[suffix](data.decode("utf-8")) is not None, name


@pytest.mark.parametrize("name", RENDERED)
def test_a_text_of_one_line_stays_the_text_that_it_is(template: Path, tmp_path: Path, name: str) -> None:
    given = RENDERED[name]
    render(template, tmp_path / "made", given | {"docker": True}, BEFORE)
    assert below(tmp_path) == {"made", *(f"made/{path.name}" for path in (tmp_path / "made").iterdir())}
    check_whole(tmp_path / "made")
    files = tree(tmp_path / "made")
    assert yaml.safe_load(files[".copier-answers.yml"]).items() >= given.items()
    project = tomllib.loads(files["pyproject.toml"].decode("utf-8"))["project"]
    assert (project["description"], project["authors"]) == (given["description"], [{"name": given["author_name"]}])
    assert files["README.md"].decode("utf-8").startswith(f"# {given['project_name']}\n\n{given['description']}\n")
    assert given["author_name"] in files["LICENSE"].decode("utf-8")


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_text_of_one_line_or_no_name_is_refused(template: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(Exception, match=r"\w") as refused:
        render(template, tmp_path / "deep/made", REFUSED[name], AFTER)
    assert len(str(refused.value).splitlines()) == 1, refused.value
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == []
    assert not Path("/tmp/escape").exists()  # noqa: S108


@pytest.fixture(scope="module")
def honest(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose answers file is as Copier wrote it."""
    return start(template, tmp_path_factory.mktemp("honest") / "project", {})


def changed(honest: Path, project: Path, change: dict[str, Any] | str) -> Path:
    """Copy a project and commit what somebody did to its answers file."""
    shutil.copytree(honest, project)
    file = project / ".copier-answers.yml"
    answers = yaml.safe_load(file.read_text("utf-8"))
    if not isinstance(change, str):
        answers |= change
        change = yaml.safe_dump({key: value for key, value in answers.items() if value is not None})
    file.write_text(change, encoding="utf-8")
    commit(project, "somebody else's")
    return project


@pytest.mark.parametrize("name", FILES)
def test_an_answers_file_is_read_as_data(honest: Path, tmp_path: Path, name: str) -> None:
    project = changed(honest, tmp_path / "deep" / "project", FILES[name])
    try:
        update(project)
    except Exception:  # noqa: BLE001 - Copier's own, from a parser's error to a refusal
        assert git(project, "status", "--porcelain") == ""
        assert name not in HARMLESS
    else:
        assert name in HARMLESS
        check_whole(project)
    assert below(tmp_path) == {"deep", "deep/project"}
    assert [*Path.cwd().glob("pwned*"), *tmp_path.rglob("pwned*")] == []


@pytest.mark.parametrize(("name", "wanted"), [*LAST.items(), *GIVEN.items()])
def test_the_last_line_of_the_command_is_the_reason(honest: Path, tmp_path: Path, name: str, wanted: str) -> None:
    project = changed(honest, tmp_path / "project", FILES.get(name, {}))
    words = [name] if name in GIVEN else []
    done = command(["copier", "update", "--defaults", "--quiet", *words], project)
    assert done.status != 0
    assert wanted in done.output.splitlines()[-1]
    assert git(project, "status", "--porcelain") == ""
