# copier: filter replace("my_project", package_name)
"""A review names what a reader of a change has to look at first."""

import subprocess
from pathlib import Path

import pytest

from my_project_agents import reviews

CODE = '''"""A module."""

from dataclasses import dataclass


@dataclass
class Box:
    """A box."""

    width: int
    depth: int = 1

    def area(self, scale: float = 1.0) -> float:
        """Return its area."""
        return self.width * self.depth * scale


def fold(box: Box, times: int = 1) -> Box:
    """Return a folded box."""
    return Box(box.width, times)


def _hidden(box: Box) -> None:
    """Do nothing that counts."""
'''


@pytest.fixture
def project(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit."""
    for name in ("GIT_AUTHOR", "GIT_COMMITTER"):
        monkeypatch.setenv(f"{name}_NAME", "Tests")
        monkeypatch.setenv(f"{name}_EMAIL", "tests@example.org")
    for name, text in {"src/p/boxes.py": CODE, "tests/test_boxes.py": "import boxes\n", "README.md": "Boxes\n"}.items():
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / name).write_text(text)
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "Boxes"]):
        subprocess.run(["git", *words], cwd=workspace, check=True)  # noqa: S607
    return workspace


def change(project: Path, old: str, new: str) -> list[str]:
    """Change the module, and its test so that it counts as tested; return what the review says."""
    path = project / "src/p/boxes.py"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    (project / "tests/test_boxes.py").write_text("import boxes  # again\n")
    found = reviews.review(project)
    assert found["ok"] == (not found["findings"])
    return [f"{each['rule']} {each['where'].rpartition('/')[2]}: {each['what']}" for each in found["findings"]]


def test_nothing_changed_is_nothing_found(project: Path) -> None:
    found = reviews.review(project)
    assert (found["ok"], found["files"], found["lines"]) == (True, {}, {"added": 0, "removed": 0})


def test_lines_are_counted_also_of_files_that_are_new(project: Path) -> None:
    (project / "README.md").write_text("Boxes\nof wood\n")
    (project / "notes.txt").write_text("one\ntwo\n")
    found = reviews.review(project)
    assert found["files"] == {"README.md": {"added": 1, "removed": 0}, "notes.txt": {"added": 2, "removed": 0}}
    assert found["ok"]


def test_code_that_changed_without_a_test_is_named(project: Path) -> None:
    path = project / "src/p/boxes.py"
    path.write_text(path.read_text().replace("* scale", "* scale + 0"))
    (found,) = reviews.review(project)["findings"]
    assert (found["rule"], found["where"]) == ("changed without a test", "src/p/boxes.py")
    (project / "tests/test_boxes.py").write_text("import boxes  # its area\n")
    assert reviews.review(project)["ok"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("def fold(", "def bend(", "fold is gone"),
        ("times: int = 1)", "times: int)", "fold: now needs times"),
        ("times: int = 1)", "turns: int = 1)", "fold: takes no times any more"),
        ("times: int = 1)", "by: int = 0, times: int = 1)", "fold: has times at another place"),
        ("scale: float = 1.0", "", "Box.area: takes no scale any more"),
        ("    depth: int = 1\n", "    depth: int = 1\n    height: int\n", "Box: now needs height"),
    ],
)
def test_what_callers_can_no_longer_do_is_a_breaking_change(project: Path, old: str, new: str, told: str) -> None:
    assert change(project, old, new) == [f"breaking change boxes.py: {told}"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("times: int = 1)", "times: int = 1, way: str = 'up')"),
        ("def _hidden(box: Box)", "def _hidden()"),
        ("    depth: int = 1\n", "    depth: int = 1\n    height: int = 1\n"),
    ],
)
def test_what_breaks_no_caller_is_none(project: Path, old: str, new: str) -> None:
    assert change(project, old, new) == []


def test_a_body_that_became_too_long_is_named_and_new_names_are_listed(project: Path) -> None:
    lines = "\n".join(f"    print({number})" for number in range(31))
    (found,) = change(project, "def _hidden", f'def long() -> None:\n    """Never end."""\n{lines}\n\n\ndef _hidden')
    assert found == "long function boxes.py:long: a body of 31 lines, want at most 30"
    assert reviews.review(project)["new"] == {"src/p/boxes.py": ["long"]}


def test_a_commit_that_is_not_there_is_refused(project: Path) -> None:
    with pytest.raises(ValueError, match="git diff: "):
        reviews.review(project, "nothing")
    # copier: endfilter
