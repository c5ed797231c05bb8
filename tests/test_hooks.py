"""The published hooks find what they are for, in a line each, and nothing in a sound project."""

from __future__ import annotations

import ast
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from my_project_agents import definitions
from tests.answers import ROOT
from tests.harness import GIT, Result, Sample, command
from tests.hook_examples import BAD, GOOD, SECRETS

PUBLISHED: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
SCRIPTS = [ROOT / hook["entry"] for hook in PUBLISHED]
every_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)


def run(script: str | Path, folder: Path, *words: str) -> Result:
    """Run a script as a hook does."""
    return command([sys.executable, next(path for path in SCRIPTS if path.stem == Path(script).stem), *words], folder)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    """Write files into a repository and have git know them, but what it ignores."""

    def make(files: dict[str, str]) -> Path:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(text.encode())
        for argv in (["init", "--quiet"], ["add", "-A"]):
            assert command([*GIT, *argv], tmp_path).status == 0
        return tmp_path

    return make


@pytest.mark.parametrize(("script", "files", "said"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_said_in_a_line_each(
    script: str, files: dict[str, str], said: list[str], write: Callable[[dict[str, str]], Path]
) -> None:
    folder = write(files)
    for words in ([], [] if "obsolete" in "".join(files) else sorted(files)):  # all that there is, or by name
        result = run(script, folder, *words)
        lines = result.output.splitlines()
        assert result.status == 1, result.output
        assert len(lines) == len(said), result.output
        assert all(want in line for want, line in zip(said, lines, strict=True)), result.output
        assert all("; " in line for line in lines), "what to do?"


@pytest.mark.parametrize(("what", "text"), SECRETS.items(), ids=SECRETS)
def test_a_secret_is_found_and_never_shown(what: str, text: str, write: Callable[[dict[str, str]], Path]) -> None:
    folder = write({"a.txt": f"# a text\n\n{text}\n"})
    result = run("secret_or_large", folder)
    assert (result.status, len(result.output.splitlines())) == (1, 1), result.output
    assert result.output.startswith(f"a.txt:3: looks like {what}; ")
    assert not any(part in result.output for part in text.split() if len(part) > 12)
    (folder / "a.txt").write_text(f"{text}  # pragma: allowlist secret\n", encoding="utf-8")
    assert run("secret_or_large", folder).status == 0


@pytest.mark.parametrize(("script", "files"), GOOD.values(), ids=GOOD)
def test_nothing_is_found_where_nothing_is_wrong(
    script: str, files: dict[str, str], write: Callable[[dict[str, str]], Path]
) -> None:
    result = run(script, write(files), *sorted(files))
    assert (result.status, result.output) == (0, "")


def test_a_path_that_git_has_not_merged_is_found(write: Callable[[dict[str, str]], Path]) -> None:
    folder = write({"a.txt": "one\n", "b.txt": "one\n"})
    side = [["commit", "-qm", "one"], ["switch", "-qc", "side"], ["commit", "-qam", "two"], ["switch", "-q", "main"]]
    for index, argv in enumerate([*side, ["commit", "-qam", "three"], ["merge", "-q", "side"]]):
        if index in {2, 4}:
            (folder / "a.txt").write_text(f"{index}\n", encoding="utf-8")
        assert (command([*GIT, *argv], folder).status == 0) == (argv[0] != "merge"), argv
    lines = run("leftovers", folder).output.splitlines()
    assert [line.partition(";")[0] for line in lines] == [
        "a.txt:1: unmerged",
        "a.txt:1: conflict marker",
        "a.txt:5: conflict marker",
    ]
    assert run("leftovers", folder, "b.txt").status == 0
    assert run("leftovers", folder, "--exclude", r"^a\.").status == 0


@every_script
def test_a_script_explains_itself_and_refuses_wrong_use(script: Path, tmp_path: Path) -> None:
    assert "Exit status: 0 nothing found, 1 findings, 2 wrong use." in run(script, tmp_path, "--help").output
    assert run(script, tmp_path, "--nonsense").status == 2
    if script.stem != "agent_files":
        outside = run(script, tmp_path)
        assert (outside.status, len(outside.output.splitlines())) == (2, 1), outside.output
    wrong = {"secret_or_large": "--max-kb=0", "agent_files": "--max-description=0", "leftovers": "--exclude=("}
    if script.stem in wrong:
        assert run(script, tmp_path, wrong[script.stem]).status == 2


@every_script
def test_a_script_needs_nothing_but_an_old_python(script: Path) -> None:
    tree = ast.parse(script.read_text("utf-8"), feature_version=(3, 9))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
    assert script.stem not in sys.stdlib_module_names
    assert script.stat().st_mode & 0o111


@every_script
def test_a_script_takes_less_than_a_third_of_a_second(script: Path, default: Sample, tmp_path: Path) -> None:
    folder = default.copy(tmp_path / "project").folder
    for argv in (["init", "--quiet"], ["add", "-A"]):
        assert command([*GIT, *argv], folder).status == 0
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = run(script, folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (result.status, result.output) == (0, "")
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.3  # of one processor


@every_script
def test_nothing_is_found_in_this_repository(script: Path, released: Path) -> None:
    for folder in (released, released / "template"):  # agents are those of the second
        result = run(script, folder)
        assert (result.status, result.output) == (0, "")


def test_a_project_has_the_same_bytes(default: Sample) -> None:
    rendered = [path for path in SCRIPTS if path.is_relative_to(ROOT / "template")]
    assert {path.stem for path in rendered} == {"leftovers", "notebook_output", "secret_or_large"}
    for path in rendered:
        assert (default.folder / "hooks" / path.name).read_bytes() == path.read_bytes()


def test_every_script_is_published_under_its_name() -> None:
    assert [hook["id"] for hook in PUBLISHED] == [path.stem.replace("_", "-") for path in SCRIPTS]
    there = {*ROOT.glob("hooks/*.py"), *ROOT.glob("template/hooks/*.py")}
    assert there - {*SCRIPTS} == {ROOT / "template/hooks/configs_load.py"}  # only a project has that to load
    assert {hook["language"] for hook in PUBLISHED} == {"script"}


def test_agents_have_the_keys_and_tools_that_a_project_checks_for() -> None:
    found: dict[str, Any] = {}
    exec(compile((ROOT / "hooks/agent_files.py").read_text("utf-8"), "agent_files", "exec"), found)  # noqa: S102 (ours)
    assert found["TOOLS"] == definitions.TOOLS
    assert found["KEYS"] == definitions.KEYS
