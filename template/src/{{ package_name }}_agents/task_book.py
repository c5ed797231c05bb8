"""What tasks.json holds: phases, tasks with their acceptance criteria, and what must hold for every task."""

import json
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveFloat, field_validator, model_validator

from .strict import Strict

Kind = Literal["Model", "Experiment", "Design", "Train", "Evaluate", "Optimize", "Data", "Infrastructure"]
Status = Literal["todo", "in_progress", "done"]
ALWAYS = {"id", "kind", "title", "status", "acceptance_criteria", "dependencies"}  # written also where they are empty


class Criterion(Strict):
    """What must hold before a task is done, and the command or the test that shows it."""

    text: Annotated[str, Field(pattern=r"\S")]
    command: str = ""  # run in the project's root, without a shell; {run} stands for the run of --metrics
    test: str = ""  # a test file, or one test, as pytest names it
    limit_s: PositiveFloat = 900

    @model_validator(mode="after")
    def says_how(self) -> Self:
        """Demand one way to show it."""
        if bool(self.command) == bool(self.test):
            raise ValueError(f"'{self.text}' wants either a command or a test")
        return self


class Task(Strict):
    """One thing to do."""

    id: Annotated[str, Field(pattern=r"^T[1-9]\d*$")]
    kind: Kind
    title: str
    status: Status
    acceptance_criteria: tuple[Criterion, ...]
    dependencies: tuple[str, ...]
    phase: str = ""
    created: date | None = None
    started: date | None = None
    completed: date | None = None
    verified: date | None = None  # the day on which all criteria held last
    metrics: dict[str, float] = Field(default_factory=dict)  # copied from the evaluation of `run`
    run: str = ""
    report: str = ""
    shown: str = ""  # its line in the view, when view and source last agreed

    @field_validator("title", "phase")
    @classmethod
    def one_part(cls, text: str) -> str:
        """Refuse what could not be read back from the view."""
        if text != " ".join(text.split()) or " - " in text or "(completed:" in text:
            raise ValueError(f"got {text!r}, want one line without ' - ', '(completed:' and double blanks")
        return text

    @model_validator(mode="after")
    def dated(self) -> Self:
        """Demand a title, and a day where it is done."""
        if not self.title or (self.status == "done") != bool(self.completed):
            raise ValueError(f"{self.id} wants a title, and a day in `completed` where it is done, nowhere else")
        return self

    @property
    def name(self) -> str:
        """Return kind and title, as the view has them."""
        return f"{self.kind}: {self.title}"


class Book(Strict):
    """All that tasks.json holds."""

    version: Literal[1]
    phases: tuple[str, ...]
    definition_of_done: tuple[Criterion, ...]  # what `tasks verify` runs where no task is named
    tasks: tuple[Task, ...]

    def find(self, name: str) -> Task:
        """Return the task of that id or title; raises ValueError where there is none."""
        for task in self.tasks:
            if name in {task.id, task.title, task.name}:
                return task
        raise ValueError(f"there is no task '{name}': want one of {', '.join(t.id for t in self.tasks) or 'none'}")

    def change(self, old: Task, **values: Any) -> "Book":
        """Return the book with a task changed, checked anew; a phase that is new is one from now on."""
        new = Task.model_validate({**dict(old), **values})
        tasks = tuple(new if task.id == old.id else task for task in self.tasks)
        return self.model_copy(update={"tasks": tasks, "phases": self.phases_with(new)})

    def add(self, **values: Any) -> "Book":
        """Return the book with one more task, whose id is the next number."""
        number = 1 + max((int(task.id[1:]) for task in self.tasks), default=0)
        plain = {"status": "todo", "acceptance_criteria": (), "dependencies": ()}
        new = Task.model_validate({**plain, **values, "id": f"T{number}"})
        for name in new.dependencies:
            self.find(name)
        if new.name in {task.name for task in self.tasks}:
            raise ValueError(f"there is a task '{new.name}' already")
        return self.model_copy(update={"tasks": (*self.tasks, new), "phases": self.phases_with(new)})

    def phases_with(self, task: Task) -> tuple[str, ...]:
        """Return the phases, and that of a task behind them where it is new."""
        return self.phases if task.phase in {"", *self.phases} else (*self.phases, task.phase)

    def waits_for(self, task: Task) -> list[str]:
        """Return the ids that have to be done before a task."""
        done = {other.id for other in self.tasks if other.status == "done"}
        return [name for name in task.dependencies if name not in done]

    def first_free(self) -> Task | None:
        """Return the first task to do that waits for none."""
        return next((task for task in self.tasks if task.status == "todo" and not self.waits_for(task)), None)

    def problems(self) -> list[str]:
        """Return a line for each way in which the tasks contradict one another."""
        ids, found = [task.id for task in self.tasks], list[str]()
        keys = [*ids, *(task.name for task in self.tasks)]
        found += [f"'{key}' is there twice" for key in dict.fromkeys(keys) if keys.count(key) > 1]
        for task in self.tasks:
            done, waits = task.status == "done", self.waits_for(task)
            lines = {f"{task.id} depends on {name}, which is not there": name not in ids for name in task.dependencies}
            lines |= {
                f"{task.id} is done, but {name} is not, on which it depends": done for name in waits if name in ids
            }
            lines[f"{task.id} is of phase '{task.phase}', want one of {', '.join(self.phases)}"] = bool(
                task.phase and task.phase not in self.phases
            )
            unseen = done and task.acceptance_criteria and not task.verified
            lines[f"{task.id} is done, but its criteria were not run: tasks verify {task.id}"] = bool(unseen)
            found += [line for line, holds in lines.items() if holds]
        return found + self.circles()

    def circles(self) -> list[str]:
        """Return a line that names the tasks which can never begin, if there are any."""
        waiting = {task.id: set(task.dependencies) for task in self.tasks}
        while free := [name for name, before in waiting.items() if not before & waiting.keys()]:
            for name in free:
                del waiting[name]
        return [f"{', '.join(waiting)} wait for one another in a circle"] if waiting else []

    def text(self) -> str:
        """Return the JSON for the disk; what has its default is left out."""
        values = self.model_dump(mode="json", exclude_defaults=True)
        for task, slim in zip(self.tasks, values["tasks"], strict=True):
            slim |= {"dependencies": list(task.dependencies)}
        return json.dumps(values, indent=2, ensure_ascii=False) + "\n"
