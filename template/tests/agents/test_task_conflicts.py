# copier: filter replace("my_project", package_name)
"""Where tasks and their view have both changed, nothing is lost: fields are joined, the same field is a conflict."""

import subprocess
import sys
from pathlib import Path

import pytest

from my_project_agents import outcome, task_view, tasks

from .task_example import EXAMPLE, edit, example, in_source, make, synced


@pytest.fixture
def project(workspace: Path) -> Path:
    """A project with the tasks of the example, and their view."""
    return make(workspace)


def test_what_changed_in_the_source_alone_reaches_the_view(project: Path) -> None:
    in_source(project, '"title": "a memory for long texts"', '"title": "a memory of fixed size"')
    assert tasks.check(project) == [f"{task_view.PLACE} is not what tasks.json says: tasks sync"]
    synced(project)
    assert "- [ ] Design: a memory of fixed size\n" in (project / task_view.PLACE).read_text("utf-8")


def test_changes_of_different_fields_on_both_sides_are_all_kept(project: Path) -> None:
    in_source(project, '"title": "a memory for long texts"', '"title": "a memory of fixed size"')
    edit(project, "- [ ] Design: a memory for long texts", "- [x] Design: a memory for long texts")
    task = synced(project).find("T3")
    assert (task.title, task.status) == ("a memory of fixed size", "done")


@pytest.mark.parametrize(("prefer", "title"), [("view", "a longer memory"), ("source", "a memory of fixed size")])
def test_a_conflict_is_named_and_nothing_is_lost_until_somebody_chooses(project: Path, prefer: str, title: str) -> None:
    in_source(project, '"title": "a memory for long texts"', '"title": "a memory of fixed size"')
    edit(project, "a memory for long texts", "a longer memory")
    before = [(project / name).read_bytes() for name in (tasks.FILE, task_view.PLACE)]
    conflict = "T3: title is 'a memory of fixed size' in tasks.json and 'a longer memory' in the view"
    with pytest.raises(ValueError, match=conflict):
        synced(project)
    assert conflict in tasks.check(project)
    assert [(project / name).read_bytes() for name in (tasks.FILE, task_view.PLACE)] == before
    assert synced(project, prefer).find("T3").title == title


def test_a_write_that_stops_between_view_and_source_is_finished_by_the_next(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = outcome.write_whole

    def stop_after_the_view(files: dict[Path, str]) -> None:
        write(dict(list(files.items())[:1]))
        raise OSError("no space")

    monkeypatch.setattr(tasks, "write_whole", stop_after_the_view)
    with pytest.raises(OSError, match="no space"):
        tasks.start(project, "T3", "design")
    monkeypatch.undo()
    monkeypatch.chdir(project)
    task = synced(project).find("T3")
    assert (task.status, task.phase, task.started) == ("in_progress", "design", tasks.today())


def test_a_project_without_claude_has_tasks_and_no_view(workspace: Path) -> None:
    tasks.Store(workspace / tasks.FILE, example()).save()
    assert tasks.start(workspace, "T3").status == "in_progress"
    assert tasks.check(workspace) == []
    assert [path.name for path in workspace.iterdir()] == [tasks.FILE]


def test_a_view_that_was_deleted_is_written_again(project: Path) -> None:
    (project / task_view.PLACE).unlink()
    assert tasks.check(project) == [f"{task_view.PLACE} is not there: tasks sync writes it"]
    synced(project)
    assert (project / task_view.PLACE).read_text("utf-8") == EXAMPLE


ADD_MANY = """
import sys
from pathlib import Path
from my_project_agents import tasks
for number in range(10):
    with tasks.opened(Path()) as store:
        store.book = store.book.add(kind="Train", title=f"{sys.argv[1]} {number}")
"""


def test_two_processes_that_add_tasks_lose_none(project: Path) -> None:
    words = [sys.executable, "-c", ADD_MANY]
    others = [subprocess.Popen([*words, name], cwd=project) for name in ("left", "right")]
    assert [other.wait() for other in others] == [0, 0]
    book = tasks.Store.load(project / tasks.FILE).book
    assert [task.id for task in book.tasks] == [f"T{n}" for n in range(1, 28)], "seven were there"
    # copier: endfilter
