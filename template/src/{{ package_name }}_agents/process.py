"""The nine steps by which a model comes about, as tasks with what shows that they are done."""

from pathlib import Path
from typing import Any, NamedTuple

from . import PACKAGE
from .task_book import Book, Criterion

PHASES = ("design", "training", "evaluation", "deployment")
COMMANDS = Path(__file__).parents[1] / PACKAGE / "commands"
OPTIONAL = ("reproduce", "export")
COMMAND = f"uv run {PACKAGE.replace('_', '-')}"


class Step(NamedTuple):
    """A step: its phase, its kind, and what must hold at its end, as pairs of a text and a command or test file."""

    phase: str
    kind: str
    title: str
    shown_by: dict[str, str]


STEPS = (
    Step(
        "design",
        "Data",
        "Problem formulation and dataset analysis",
        {
            "The requirements are filled in": "requirements check",
            "The data are what their manifest says": "data verify",
        },
    ),
    Step("training", "Model", "Baseline model implementation", {"A run stands beside the baselines": "evaluate {run}"}),
    Step(
        "design",
        "Design",
        "Architecture design and experimentation",
        {"The design is approved and its specification is whole": "design check docs/designs/{name}.md"},
    ),
    Step(
        "training",
        "Train",
        "Training pipeline implementation",
        {"The model passes what every model must do": "tests/test_models.py"},
    ),
    Step(
        "evaluation",
        "Evaluate",
        "Evaluation framework development",
        {
            "A run is measured and reported": "report {run}",
            "The gate and the report are tested": "tests/test_report.py",
        },
    ),
    Step(
        "training",
        "Optimize",
        "Hyperparameter optimization",
        {
            "The run comes out the same again": "reproduce {run}",
            "The run reaches the target, beats every baseline and does not overfit": "evaluate {run} --gate",
        },
    ),
    Step(
        "evaluation",
        "Evaluate",
        "Model analysis and interpretation",
        {"The product page says what the model can and cannot do": "handoff check docs/handoffs/product.md"},
    ),
    Step(
        "deployment",
        "Optimize",
        "Performance optimization for deployment",
        {
            "The exported model answers the same, within its budgets": "export {run}",
            "The infrastructure page has the figures of the run": "handoff fill {run}",
            "It says what training and serving need": "handoff check docs/handoffs/infrastructure.md",
        },
    ),
    Step("deployment", "Model", "Documentation and handoff", {"All hand-off pages are filled in": "handoff check"}),
)
DEFINITION_OF_DONE = (
    Criterion(text="The code is linted", command="uv run ruff check"),
    Criterion(text="The code is formatted", command="uv run ruff format --check"),
    Criterion(text="Public functions are typed", command="uv run mypy"),
    Criterion(text="All tests pass, and cover enough", command="uv run pytest", limit_s=3600),
    Criterion(text="Tasks and their view are in step", command=f"{COMMAND} tasks check"),
)


def criterion(text: str, shown_by: str, name: str) -> Criterion:
    """Make a criterion of a test file or of a command of the project."""
    if shown_by.startswith("tests/"):
        return Criterion(text=text, test=shown_by)
    return Criterion(text=text, command=f"{COMMAND} {shown_by.replace('{name}', name)}")


def is_here(shown_by: str) -> bool:
    """Say whether the project has what would show it: some commands come with an answer."""
    command = shown_by.partition(" ")[0]
    return command not in OPTIONAL or (COMMANDS / f"{command}.py").exists()


def new_model(book: Book, name: str, **days: Any) -> Book:
    """Return the book with the nine steps for a model, each of which waits for the one before."""
    if not name.replace("_", "").replace("-", "").isalnum():
        raise ValueError(f"got the model '{name}', want a name of letters, digits, - and _")
    before = tuple[str, ...]()
    for step in STEPS:
        criteria = tuple(criterion(text, how, name) for text, how in step.shown_by.items() if is_here(how))
        more = {"phase": step.phase, "acceptance_criteria": criteria, "dependencies": before}
        book = book.add(kind=step.kind, title=f"{step.title} of {name}", **more, **days)
        before = (book.tasks[-1].id,)
    return book


def first_book(name: str) -> Book:
    """Return the tasks that a new project begins with."""
    return new_model(Book(version=1, phases=PHASES, definition_of_done=DEFINITION_OF_DONE, tasks=()), name)
