# copier: filter replace("my_project", package_name)
"""Tasks are done when their criteria hold: commands are run, days stamped, figures copied from a run."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from my_project.__main__ import main
from my_project_agents import tasks
from my_project_agents.process import first_book
from my_project_agents.task_book import Book
from my_project_agents.task_view import PLACE

PROJECT = Path(__file__).parents[2]
HOLDS, FAILS = "python -c pass", "python -c 'raise SystemExit(3)'"


@pytest.fixture
def project(workspace: Path) -> Path:
    """A project without any task yet."""
    (workspace / "pyproject.toml").touch()
    (workspace / ".claude").mkdir()
    tasks.Store(workspace / tasks.FILE, first_book("net").model_copy(update={"tasks": ()})).save()
    return workspace


@pytest.fixture
def said(project: Path, capfd: pytest.CaptureFixture[str]) -> Any:
    """Give a command of the project: its exit status and what it printed."""

    def say(*words: str) -> tuple[int, dict[str, Any], str]:
        assert Path.cwd() == project
        try:
            status: Any = main(["tasks", *words])
        except SystemExit as stopped:
            status = stopped.code
        out, err = capfd.readouterr()
        return status, json.loads(out) if out else {}, err

    return say


def book(project: Path) -> Book:
    return tasks.Store.load(project / tasks.FILE).book


def test_a_task_goes_its_way_and_every_status_has_its_day(project: Path, said: Any) -> None:
    assert said("add", "Train", "a net", "--accept", HOLDS, "--phase", "training")[1]["task"] == "T1"
    task = book(project).find("T1")
    assert (task.status, task.created, task.started, task.completed) == ("todo", tasks.today(), None, None)
    assert said("start", "T1")[1]["line"] == "- [ ] Train: a net - training"
    assert book(project).find("T1").started == tasks.today()
    status, result, _ = said("done", "a net")
    assert (status, result["line"]) == (0, f"- [x] Train: a net (completed: {tasks.today()})")
    task = book(project).find("T1")
    assert (task.completed, task.verified) == (tasks.today(), tasks.today())
    assert said("check")[:2] == (0, {"ok": True, "problems": []})


def test_a_task_whose_criterion_does_not_hold_is_not_done_and_the_output_is_kept(project: Path, said: Any) -> None:
    said("add", "Train", "a net", "--accept", HOLDS, "--accept", "python -c 'print(41 + 1); raise SystemExit(3)'")
    status, result, err = said("done", "T1")
    assert (status, result["ok"], book(project).find("T1").status) == (1, False, "todo")
    assert [r["ok"] for r in result["results"]] == [True, False]
    assert result["results"][1]["last_lines"] == ["42"]
    assert Path(result["results"][1]["output"]).read_text() == "42\n"
    assert "does not hold (status 3); see " in err


def test_a_task_waits_for_those_it_depends_on(said: Any) -> None:
    said("add", "Design", "first")
    said("add", "Train", "second", "--after", "first", "--accept", HOLDS)
    status, result, _ = said("done", "T2")
    assert (status, result["problems"], result["results"]) == (1, ["T2 waits for T1"], [])
    said("add", "Data", "third")
    assert said("next")[1]["task"] == "T1"
    said("start", "T1")
    assert said("next")[1]["task"] == "T3", "T2 still waits"
    assert said("done", "T1")[0] == said("done", "T3")[0] == 0
    assert said("next")[1]["task"] == "T2"
    assert said("done", "T2")[0] == 0
    assert said("next")[1] == {"task": None, "in_progress": []}


def test_figures_are_copied_from_a_run_and_nothing_else_knows_them(project: Path, said: Any) -> None:
    run = project / "runs/net-1"
    run.mkdir(parents=True)
    said("add", "Model", "net", "--accept", "python -c 'import sys; sys.exit(sys.argv[1] != \"runs/net-1\")' {run}")
    status, _, err = said("done", "T1")
    assert (status, "name it with --metrics RUN" in err) == (2, True)
    status, _, err = said("done", "T1", "--metrics", "runs/net-1")
    assert (status, "evaluation.json is not there; want a run that was evaluated" in err) == (2, True)
    record = {"primary": "accuracy", "value": 0.96296, "gap": 0.0312, "metrics": {"confusion": [[1]]}}
    (run / "evaluation.json").write_text(json.dumps(record))
    assert said("done", "T1", "--metrics", "runs/net-1")[0] == 0
    assert book(project).find("T1").metrics == {"accuracy": 0.96296, "gap": 0.0312}
    day = f"(completed: {tasks.today()})"
    assert f"- [x] Model: net - accuracy 0.963, gap 0.0312 {day}\n" in (
        project / ".claude/tasks/ml-engineer-tasks.md"
    ).read_text("utf-8")
    assert said("done", "T1", "--metrics", "runs/net-1")[0] == 2


def test_sync_takes_over_what_was_written_by_hand_and_says_so(project: Path, said: Any) -> None:
    assert said("sync")[1] == {"view": PLACE, "changes": []}
    view = project / PLACE
    view.write_text(view.read_text("utf-8").replace("## To Do\n", "## To Do\n- [ ] Train: by hand\n"))
    assert said("next")[1]["line"] == "- [ ] Train: by hand"
    assert said("add", "Data", "rows")[1]["from_the_view"] == ["T1: new, Train: by hand (To Do)"]
    assert [task.title for task in book(project).tasks] == ["by hand", "rows"]


def test_verify_takes_the_day_back_where_a_criterion_holds_no_more(project: Path, said: Any) -> None:
    said("add", "Train", "a net", "--accept", "python -c 'open(\"flag\")'")
    (project / "flag").touch()
    assert said("done", "T1")[0] == 0
    assert said("verify", "T1")[0] == 0
    (project / "flag").unlink()
    assert said("verify", "T1")[0] == 1
    assert book(project).find("T1").verified is None
    assert said("check")[0] == 1


def test_verify_without_a_task_runs_the_definition_of_done(project: Path, said: Any) -> None:
    source = project / tasks.FILE
    values = json.loads(source.read_text("utf-8"))
    values["definition_of_done"] = [{"text": "green", "command": HOLDS}, {"text": "red", "command": FAILS}]
    source.write_text(json.dumps(values))
    status, result, _ = said("verify")
    assert (status, [(r["text"], r["ok"]) for r in result["results"]]) == (1, [("green", True), ("red", False)])


def test_a_report_is_checked_before_a_task_is_done(project: Path, said: Any) -> None:
    said("add", "Train", "a net", "--accept", HOLDS)
    (project / "report.md").write_text("## Output Report\n\n### Files created/modified\n")
    status, result, _ = said("done", "T1", "--report", "report.md")
    assert (status, result["results"], book(project).find("T1").status) == (1, [], "todo")


PLAIN = {"kind": "Train", "status": "todo", "acceptance_criteria": [], "dependencies": []}


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ([{"dependencies": ["T9"]}], "T1 depends on T9, which is not there"),
        ([{"dependencies": ["T2"]}, {"dependencies": ["T1"]}], "T1, T2 wait for one another in a circle"),
        ([{"dependencies": ["T1"]}], "T1 wait for one another in a circle"),
        ([{"id": "T7"}, {"id": "T7"}], "'T7' is there twice"),
        ([{"title": "same"}, {"title": "same"}], "'Train: same' is there twice"),
        ([{"phase": "dreaming"}], "T1 is of phase 'dreaming', want one of design"),
        ([{"status": "done", "completed": "2026-01-31", "dependencies": ["T2"]}, {}], "T1 is done, but T2 is not"),
        ([{"status": "done"}], "T1 wants a title, and a day in `completed`"),
        ([{"completed": "2026-01-31"}], "T1 wants a title, and a day in `completed`"),
        ([{"completed": "31.1.2026", "status": "done"}], "tasks.0.completed: Input should be a valid date"),
        ([{"status": "finished"}], "tasks.0.status: Input should be 'todo', 'in_progress' or 'done'"),
        ([{"kind": "Dream"}], "tasks.0.kind: Input should be"),
        ([{"id": "one"}], "tasks.0.id: "),
        ([{"title": "a - b"}], "want one line without ' - '"),
        ([{"titel": "x"}], "tasks.0.titel: Extra inputs are not permitted"),
        ([{"acceptance_criteria": [{"text": "x"}]}], "'x' wants either a command or a test"),
        ([{"acceptance_criteria": [{"text": "x", "command": "y", "test": "z"}]}], "'x' wants either"),
    ],
)
def test_what_is_wrong_with_tasks_is_found(workspace: Path, changes: list[dict[str, Any]], wrong: str) -> None:
    rows = [{**PLAIN, "id": f"T{n}", "title": f"task {n}", **change} for n, change in enumerate(changes, start=1)]
    values = {"version": 1, "phases": ["design"], "definition_of_done": [], "tasks": rows}
    (workspace / tasks.FILE).write_text(json.dumps(values))
    assert wrong in " ".join(tasks.check(workspace))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("start T9", "there is no task 'T9': want one of T1"),
        ("add Dream x", "invalid choice: 'Dream'"),
        ("add Train x --after T9", "there is no task 'T9'"),
        ("add Design first", "there is a task 'Design: first' already"),
        ("new-model a/b", "got the model 'a/b', want a name of letters"),
        ("report --check nowhere.md", "nowhere.md is not there"),
        ("dance", "invalid choice: 'dance'"),
    ],
)
def test_wrong_use_ends_with_status_two_and_one_line(said: Any, words: str, message: str) -> None:
    said("add", "Design", "first")
    status, out, err = said(*words.split())
    assert (status, out, len(err.splitlines())) == (2, {}, 1)
    assert message in err


def test_a_project_without_tasks_says_so(workspace: Path) -> None:
    assert main(["tasks", "next"]) == 2
    assert tasks.check(workspace) == [f"{workspace / tasks.FILE} is not there; want the tasks of the project"]


def test_a_new_model_has_nine_steps_in_order_each_after_the_one_before(project: Path, said: Any) -> None:
    assert len(said("new-model", "wide_net")[1]["tasks"]) == 9
    steps = book(project).tasks
    assert [task.title.removesuffix(" of wide_net") for task in steps] == [
        "Problem formulation and dataset analysis",
        "Baseline model implementation",
        "Architecture design and experimentation",
        "Training pipeline implementation",
        "Evaluation framework development",
        "Hyperparameter optimization",
        "Model analysis and interpretation",
        "Performance optimization for deployment",
        "Documentation and handoff",
    ]
    assert [task.dependencies for task in steps] == [(), *((task.id,) for task in steps[:-1])]
    assert all(task.acceptance_criteria and task.created == tasks.today() for task in steps)
    assert "docs/designs/wide_net.md" in steps[2].acceptance_criteria[0].command
    assert said("new-model", "wide_net")[0] == 2
    assert said("new-model", "narrow_net")[1]["tasks"]["T18"] == "Model: Documentation and handoff of narrow_net"


@pytest.mark.skipif(not (PROJECT / tasks.FILE).exists(), reason="tasks.json was removed")
def test_the_list_of_this_project_is_in_step_with_its_source() -> None:
    assert tasks.check(PROJECT) == []


def test_days_are_those_of_the_place_where_the_work_is_done() -> None:
    assert isinstance(tasks.today(), date)
    # copier: endfilter
