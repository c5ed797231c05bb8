"""The published hooks find what they are for, in a line each, and nothing in a sound project."""

from __future__ import annotations

import ast
import os
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
from tests.hook_examples import BAD, CONFLICT, GOOD, LONG, SECRETS, SEVERAL, agent

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


@pytest.mark.parametrize(("what", "text"), [*SECRETS.items(), *SEVERAL.items()], ids=[*SECRETS, *SEVERAL])
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


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_a_long_text_is_judged_in_a_second(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    lines = run("secret_or_large", tmp_path, "a.txt").output.splitlines()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert len(lines) == text.count("\n")
    assert after.ru_utime - before.ru_utime < 3  # on a machine that is slow


def test_a_secret_is_found_in_utf_16(tmp_path: Path) -> None:
    for coding in ("utf-16-le", "utf-16-be"):
        (tmp_path / "a.txt").write_bytes(f"\ufeffone\r\n{SECRETS['a key of AWS']}\r\n".encode(coding))
        assert run("secret_or_large", tmp_path, "a.txt").output.startswith("a.txt:2: looks like a key of AWS; ")


@pytest.mark.parametrize("settings", ["utf-8:strict", "cp1252:strict"])
@every_script
def test_a_name_that_is_no_text_is_shown(script: Path, settings: str, write: Callable[[dict[str, str]], Path]) -> None:
    texts = {"leftovers": CONFLICT, "secret_or_large": SECRETS["a private key"], "notebook_output": "[]"}
    folder = write(agent())
    name = {"agent_files": ".claude/agents/\udcfe.md", "notebook_output": "\udcfe.ipynb"}.get(script.stem, "\udcfe")
    (folder / name).write_text(texts.get(script.stem, ""), encoding="utf-8")
    assert command([*GIT, "add", "-A"], folder).status == 0
    result = command([sys.executable, script], folder, {"PYTHONIOENCODING": settings})
    assert result.status == 1, result.output
    assert all(line.startswith(name.replace("\udcfe", r"\udcfe")) for line in result.output.splitlines())


@pytest.mark.parametrize("script", ["leftovers", "notebook_output", "secret_or_large"])
def test_a_script_says_that_there_is_no_git(script: str, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"x" * 1_000_001)
    for names in ([], ["a.bin"]) if script != "notebook_output" else ([],):
        path = next(path for path in SCRIPTS if path.stem == script)
        result = command([sys.executable, path, *names], tmp_path, {"PATH": "/nonexistent"})
        assert (result.status, len(result.output.splitlines())) == (2, 1), result.output
        assert result.output.startswith("git cannot be started")


def test_a_name_is_found_however_it_is_written(write: Callable[[dict[str, str]], Path]) -> None:
    folder = write({"a.txt": CONFLICT, "sub/b.txt": CONFLICT, "sub/c.rej": "@@"})
    assert command([*GIT, "config", "grep.fullName", "true"], folder).status == 0
    found = {str(folder / "a.txt"): 2, "sub/../a.txt": 2, ".": 5, "sub": 3, "sub/c.rej": 1, "./sub/b.txt": 2}
    for name, count in found.items():
        result = run("leftovers", folder, name)
        assert (result.status, len(result.output.splitlines())) == (1, count), name
    for name, count in {"b.txt": 2, "../a.txt": 2, "../sub/c.rej": 1, "..": 5}.items():
        result = run("leftovers", folder / "sub", name)
        assert (result.status, len(result.output.splitlines())) == (1, count), name


@pytest.mark.parametrize(("script", "name"), [("leftovers", "x"), ("secret_or_large", "x"), ("secret_or_large", ".")])
def test_a_name_of_no_file_is_wrong_use(script: str, name: str, write: Callable[[dict[str, str]], Path]) -> None:
    result = run(script, write({"a.txt": CONFLICT}), name)
    assert (result.status, len(result.output.splitlines())) == (2, 1), result.output
    assert result.output.startswith(f"{name}: is ")


@pytest.mark.parametrize("script", ["notebook_output", "agent_files", "secret_or_large"])
def test_nothing_waits_for_a_pipe(script: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert run(script, tmp_path, "pipe").output.count("\n") == 1


@pytest.mark.parametrize("row", [b"/abs: x", b": x", b"a/**b: x", b"../*: x", b"\xfe: x"])
def test_a_row_that_names_no_path_is_told(row: bytes, write: Callable[[dict[str, str]], Path]) -> None:
    folder = write({"hooks/obsolete.txt": ""})
    (folder / "hooks/obsolete.txt").write_bytes(b"# of 2.0\n\n" + row)
    result = run("leftovers", folder)
    if row == b"a/**b: x" and sys.version_info >= (3, 13):
        assert (result.status, result.output) == (0, "")  # a pattern like others there
    else:
        assert (result.status, len(result.output.splitlines())) == (2, 1), result.output
        assert result.output.startswith("hooks/obsolete.txt:3: ")


def test_agents_are_found_from_a_folder_below(write: Callable[[dict[str, str]], Path]) -> None:
    folder = write(agent("Read", "Reed") | {"src/a/b.py": ""})
    result = run("agent_files", folder / "src/a")
    assert result.output.startswith("../../.claude/agents/runner.md:4: unknown tool 'Reed'")


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
