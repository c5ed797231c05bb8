# copier: filter replace("my_project", package_name)
"""The view of the tasks has the form that agents know, and what is edited there by hand comes back into tasks.json."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from my_project_agents import task_view, tasks

from .task_example import DAY, EXAMPLE, edit, empty, make, synced


@pytest.fixture
def project(workspace: Path) -> Path:
    """A project with the tasks of the example, and their view."""
    return make(workspace)


def test_the_view_has_the_headings_prefixes_figures_and_days_that_agents_know(project: Path) -> None:
    assert (project / task_view.PLACE).read_text("utf-8") == EXAMPLE


def test_the_view_is_read_back_as_it_was_written() -> None:
    items, problems = task_view.parse(EXAMPLE)
    assert problems == []
    assert [(item.section, item.name) for item in items[:3]] == [
        ("In Progress", "Model: wide net"),
        ("In Progress", "Experiment: dropout of a half"),
        ("To Do", "Design: a memory for long texts"),
    ]
    assert (items[0].note, items[-1].note, items[-1].completed) == ("training", "accuracy 0.9481, gap 0.012", DAY)


@given(title=st.text(min_size=1, max_size=40), phase=st.sampled_from(["", "design", "a - b"]))
def test_every_title_that_is_taken_is_read_back_and_every_other_is_refused(title: str, phase: str) -> None:
    try:
        book = empty().add(kind="Train", title=title, status="in_progress", phase=phase)
    except ValueError:
        return
    (item,), problems = task_view.parse(task_view.render(book))
    assert (item.title, item.note, problems) == (title, phase, [])


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("## To Do", "## Todo", "heading 'Todo', want each of In Progress, To Do, Completed once"),
        ("## Completed", "### Completed", "'## Completed' is missing"),
        ("# Machine Learning Engineer Tasks", "# Tasks", "line 1: want '# Machine Learning Engineer Tasks'"),
        ("2026-01-31", "2026-02-30", "got the day '2026-02-30'"),
        ("2026-01-31", "31.1.2026", "got the day '31.1.2026'"),
        ("Design: a", "Dream: a", "got the kind 'Dream', want one of Data, Design"),
        ("- [ ] Design: ", "a note\n- [ ] Design: ", "line 8: got 'a note', want a task, as in"),
        ("- [ ] Design: ", "- Design: ", "line 8: got '- Design: a memory for long texts'"),
        ("Train: wide net with the new rows", "Design: a memory for long texts", "is there twice"),
        ("\n## In Progress", "- [ ] Train: early\n## In Progress", "a task before the first heading"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_and_nothing_is_written(
    project: Path, old: str, new: str, wrong: str
) -> None:
    edit(project, old, new)
    before = [(project / name).read_bytes() for name in (tasks.FILE, task_view.PLACE)]
    assert wrong in " ".join(tasks.check(project))
    with pytest.raises(ValueError, match=r"ml-engineer-tasks\.md: "):
        tasks.start(project, "T3")
    assert [(project / name).read_bytes() for name in (tasks.FILE, task_view.PLACE)] == before


def test_a_line_that_was_moved_and_ticked_changes_the_status_and_gets_its_days(project: Path) -> None:
    line = "- [ ] Design: a memory for long texts\n"
    edit(project, line, "")
    edit(project, "## In Progress\n", f"## In Progress\n{line}")
    edit(project, "- [ ] Train", "- [x] Train")
    edit(project, "- [x] Model: baseline", "- [ ] Model: baseline")
    book = synced(project)
    design, train, baseline = book.find("T3"), book.find("T4"), book.find("T7")
    assert (design.status, design.started, design.phase) == ("in_progress", tasks.today(), "")
    assert (train.status, train.completed, train.verified) == ("done", tasks.today(), None)
    assert (baseline.status, baseline.completed, baseline.metrics) == ("todo", None, {})


def test_a_line_that_was_ticked_without_its_criteria_is_found(project: Path) -> None:
    store = tasks.Store.load(project / tasks.FILE)
    criteria = [{"text": "it holds", "command": "python -c pass"}]
    store.book = store.book.change(store.book.find("T3"), acceptance_criteria=criteria)
    store.save()
    edit(project, "- [ ] Design", "- [x] Design")
    synced(project)
    assert tasks.check(project) == ["T3 is done, but its criteria were not run: tasks verify T3"]
    assert tasks.verify(project, "T3")["ok"]
    assert tasks.check(project) == []


def test_new_lines_become_tasks(project: Path) -> None:
    edit(project, "## To Do\n", "## To Do\n- [ ] Data: licences of the new rows\n")
    edit(project, "- [ ] Experiment", "- [ ] Model: narrow net - evaluation\n- [ ] Experiment")
    book = synced(project)
    assert (book.find("T8").name, book.find("T8").phase) == ("Model: narrow net", "evaluation")
    assert (book.find("T9").name, book.find("T9").status) == ("Data: licences of the new rows", "todo")


@pytest.mark.parametrize(
    ("old", "new", "task"),
    [
        ("Design: a memory for long texts", "Design: a memory for very long texts", "T3"),
        ("Train: wide net with the new rows", "Experiment: half of the epochs", "T4"),
        ("Optimize: learning rate of wide net", "Optimize: batch size", "T6"),
    ],
)
def test_a_changed_title_stays_the_same_task(project: Path, old: str, new: str, task: str) -> None:
    edit(project, old, new)
    book = synced(project)
    assert (book.find(task).name, len(book.tasks)) == (new, 7)


def test_a_line_that_was_moved_with_a_title_much_like_its_old_one_stays_the_same_task(project: Path) -> None:
    edit(project, "- [ ] Design: a memory for long texts\n", "")
    edit(project, "## In Progress\n", "## In Progress\n- [ ] Design: a memory for very long texts - design\n")
    book = synced(project)
    task = book.find("T3")
    assert (task.title, task.status, len(book.tasks)) == ("a memory for very long texts", "in_progress", 7)


def test_a_changed_phase_is_taken_over_and_a_new_one_is_known_from_then_on(project: Path) -> None:
    edit(project, "wide net - training", "wide net - polishing")
    book = synced(project)
    assert (book.find("T1").phase, book.phases[-1]) == ("polishing", "polishing")


def test_a_line_that_is_gone_is_put_back(project: Path) -> None:
    edit(project, "- [ ] Optimize: learning rate of wide net\n", "")
    with tasks.opened(project) as store:
        assert store.changes == ["T6: its line was gone and is put back (Optimize: learning rate of wide net)"]
    assert (project / task_view.PLACE).read_text("utf-8") == EXAMPLE


def test_figures_are_never_taken_from_the_view(project: Path) -> None:
    edit(project, "accuracy 0.9481", "accuracy 0.9999")
    with tasks.opened(project) as store:
        assert store.changes == ["T7: no figures are taken from the view: tasks done T7 --metrics RUN"]
    assert (project / task_view.PLACE).read_text("utf-8") == EXAMPLE
    # copier: endfilter
