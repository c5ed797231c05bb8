# copier: filter replace("my_project", package_name)
"""Criteria are commands that run in this environment, to their end or their time limit; files are written whole."""

import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from my_project.__main__ import build_parser
from my_project_agents import PACKAGE, acceptance, process
from my_project_agents.outcome import write_whole
from my_project_agents.task_book import Criterion

PROJECT = Path(__file__).parents[2]


CHILD = "import pathlib, time; time.sleep(1); pathlib.Path('late').touch()"
PARENT = f'python -c "import subprocess, sys; subprocess.run([sys.executable, \'-c\', sys.argv[1]])" "{CHILD}"'


def test_a_command_that_does_not_end_is_stopped_with_all_that_it_started(workspace: Path) -> None:
    started = time.monotonic()
    (result,) = acceptance.run_all((Criterion(text="it ends", command=PARENT, limit_s=0.7),), workspace, "T1")
    assert (result["ok"], result["ended"]) == (False, "not ended after 0.7 s")
    time.sleep(max(0.0, 3 - (time.monotonic() - started)))
    assert not (workspace / "late").exists(), "what it started goes on"


def test_a_command_that_is_not_there_does_not_hold(workspace: Path) -> None:
    (result,) = acceptance.run_all((Criterion(text="x", command="no-such-program --help"),), workspace, "T1")
    assert (result["ok"], result["ended"], result["last_lines"]) == (
        False,
        "status 127",
        ["no-such-program: No such file or directory"],
    )


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (f"uv run {PACKAGE.replace('_', '-')} data verify", ["-m", PACKAGE, "data", "verify"]),
        ("uv run pytest tests", ["-m", "pytest", "tests"]),
        ("python examples/notebook.py", ["examples/notebook.py"]),
        ("uv run ruff check", ["-m", "ruff", "check"]),
    ],
)
def test_commands_of_the_project_run_in_this_environment(command: str, words: list[str]) -> None:
    assert acceptance.words_of(Criterion(text="x", command=command)) == [sys.executable, *words]


def test_a_criterion_may_be_a_test(workspace: Path) -> None:
    (workspace / "tests").mkdir()
    (workspace / "tests/test_one.py").write_text("def test_a(): pass\ndef test_b(): assert 0\n")
    good, bad = (Criterion(text=t, test=f"tests/test_one.py::test_{t}") for t in "ab")
    assert [r["ok"] for r in acceptance.run_all((good, bad), workspace, "T1")] == [True, False]


STEPS = process.first_book("net")
CRITERIA = [*STEPS.definition_of_done, *(criterion for task in STEPS.tasks for criterion in task.acceptance_criteria)]


@pytest.mark.parametrize("criterion", CRITERIA, ids=lambda criterion: criterion.text)
def test_the_nine_steps_are_shown_by_tests_and_commands_that_this_project_has(criterion: Criterion) -> None:
    words = acceptance.words_of(criterion, "runs/net-1")
    if criterion.test:
        assert (PROJECT / criterion.test).is_file()
    elif words[2] == PACKAGE:
        assert build_parser(words[3], {}).parse_args(words[3:]).command == words[3]
    else:
        assert find_spec(words[2])


def test_a_file_is_written_whole_or_not_at_all(workspace: Path) -> None:
    path = workspace / "file"
    write_whole({path: "old"})
    with path.open() as reader:
        write_whole({path: "new"})
        assert (reader.read(), path.read_text()) == ("old", "new")
    with pytest.raises(UnicodeEncodeError):
        write_whole({path: "\ud800"})
    assert (path.read_text(), list(workspace.iterdir())) == ("new", [path])
    # copier: endfilter
