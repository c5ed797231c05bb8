# copier: filter replace("my_project", package_name)
"""A sub-agent that leaves code without a test, or breaks what others call, is sent back once."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from my_project_agents import stops

NET = """\"\"\"A net.\"\"\"

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class NetConfig:
    dim: int
    depth: int = 2


def build(name, *, seed=0):
    return name


class Net:
    def forward(self, batch, carry=None):
        return batch

    def _inner(self):
        return 1
"""


def git(folder: Path, *words: str) -> None:
    name = ["-c", "user.name=Tests", "-c", "user.email=tests@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *name, *words], cwd=folder, check=True, capture_output=True)  # noqa: S607


@pytest.fixture
def project(workspace: Path) -> Path:
    """A repository with one file of code and one of tests."""
    for path, text in {"src/demo/net.py": NET, "tests/test_net.py": "import net\n"}.items():
        (workspace / path).parent.mkdir(parents=True)
        (workspace / path).write_text(text, encoding="utf-8")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "A net"]):
        git(workspace, *words)
    return workspace


def stop(project: Path, **more: Any) -> str:
    return stops.decide({"hook_event_name": "SubagentStop", "agent_type": "ml-writer", **more}, project)


def write(project: Path, path: str, text: str) -> None:
    (project / path).write_text(text, encoding="utf-8")


def test_code_without_a_test_is_named(project: Path) -> None:
    assert stop(project) == ""
    write(project, "src/demo/new.py", "x = 1\n")
    assert stop(project).startswith("code without a test: src/demo/new.py;")
    git(project, "add", "-A")
    assert "src/demo/new.py" in stop(project)
    write(project, "tests/test_other.py", "import other\n")
    assert stop(project) == "no test names src/demo/new.py: write one"
    write(project, "tests/test_other.py", "import new\n")
    assert stop(project) == ""


def test_more_lines_in_a_file_want_a_test_and_fewer_do_not(project: Path) -> None:
    write(project, "src/demo/net.py", NET.replace("    def _inner(self):\n        return 1\n", ""))
    assert stop(project) == ""
    write(project, "src/demo/net.py", NET + "\nX = 1\n")
    assert "src/demo/net.py" in stop(project)
    write(project, "tests/test_net.py", "import net\n\nassert net.X\n")
    assert stop(project) == ""


def test_it_is_sent_back_once_and_only_for_what_it_wrote_itself(project: Path) -> None:
    write(project, "src/demo/new.py", "x = 1\n")
    assert stop(project, stop_hook_active=True) == ""
    transcript = project.parent / "told.jsonl"
    for told, sent_back in {
        '{"name":"Read","input":{"file_path":"/x/new.py"}}': False,
        '{"name":"Write","input":{"file_path":"/x/other.py"}}': False,
        '{"name":"Write","input":{"file_path":"/x/new.py"}}': True,
        '{"name": "Bash", "input": {"command": "cp x new.py"}}': True,
    }.items():
        transcript.write_text(told, encoding="utf-8")
        assert bool(stop(project, agent_transcript_path=str(transcript))) == sent_back


def test_a_folder_without_git_stops_nobody(workspace: Path) -> None:
    (workspace / "src").mkdir()
    (workspace / "src/new.py").write_text("x = 1\n", encoding="utf-8")
    assert stop(workspace) == ""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("def build(name, *, seed=0)", "def make(name, *, seed=0)", "build is gone"),
        ("def build(name, *, seed=0)", "def build(name)", "build: takes no seed any more"),
        ("def build(name, *, seed=0)", "def build(name, *, seed)", "build: now needs seed"),
        ("def build(name, *, seed=0)", "def build(name, mode, *, seed=0)", "build: now needs mode"),
        (
            "def build(name, *, seed=0)",
            "def build(mode=None, name=None, *, seed=0)",
            "build: has name at another place",
        ),
        ("batch, carry=None", "batch, *, carry=None", "Net.forward: has carry at another place"),
        ("batch, carry=None", "batch, mask=None, carry=None", "Net.forward: has carry at another place"),
        ("batch, carry=None", "batch, carry=None, *more", ""),
        ("batch, carry=None", "batch", "Net.forward: takes no carry any more"),
        ("    dim: int\n", "", "NetConfig: takes no dim any more"),
        ("depth: int = 2", "depth: int", "NetConfig: now needs depth"),
        ("class Net:", "class Grid:", "Net is gone"),
        ("def build(name, *, seed=0)", "def build(name, *, seed=0, fast=False)", ""),
        ("def build(name, *, seed=0)", "def build(name, **more)", ""),
        ("depth: int = 2", "depth: int = 2\n    width: int = 3", ""),
        ("def _inner(self)", "def _other(self, x)", ""),
    ],
)
def test_a_broken_interface_is_named(project: Path, old: str, new: str, told: str) -> None:
    write(project, "src/demo/net.py", NET.replace(old, new))
    write(project, "tests/test_net.py", "import net  # changed\n")
    said = stop(project)
    assert (f"src/demo/net.py: {told}" in said) if told else (said == "")


def test_a_file_that_is_gone_takes_its_interfaces_along(project: Path) -> None:
    (project / "src/demo/net.py").unlink()
    assert "src/demo/net.py: build is gone" in stop(project)
    # copier: endfilter
