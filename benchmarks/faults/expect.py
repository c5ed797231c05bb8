"""What was seen of a fault on one side, and what we expect of ours."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Wanted = dict[str, Callable[["Seen"], bool]]
WIDTH = 150  # of a message in the table
SIGNALS = {-2: "SIGINT", -9: "SIGKILL", -10: "SIGUSR1", -15: "SIGTERM", -25: "SIGXFSZ"}
IMPOSSIBLE = 97  # the status of a run into which its fault could not be put
UNPLAYED = -2000  # the status of a case that broke
NEVER = -1000  # the status of a run that had to be killed


@dataclass
class Ended:
    """A run that ended: its status, or the negative number of the signal that killed it, and what it said."""

    status: int
    said: str
    losses: list[str]
    seconds: float
    output: str = ""

    @property
    def words(self) -> str:
        """How it ended, for a person."""
        return f"hung for {self.seconds:.0f} s, killed" if self.status == NEVER else how(self.status)

    @property
    def last_line(self) -> str:
        """Return the last line that it said."""
        lines = [line.strip() for line in self.said.splitlines() if line.strip() and "💡" not in line]
        return lines[-1] if lines else ""


@dataclass
class Seen:
    """A row of the table on one side: the run, what lay on the disk, and what else came out."""

    run: Ended
    left: dict[str, dict[str, Any]] | None = None
    notes: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    quoted: str = ""
    many: bool = False  # of many runs the notes speak, not the last one's end

    def cell(self) -> str:
        """Return the row's cell: what happened, in the run's own words where it has some; what is left."""
        line = self.quoted or (self.run.last_line if self.run.status > 0 else "")
        said = f": `{shorten(line)}`" if line else ""
        disk = [] if self.left is None else [self.disk()]
        parts = [*([] if self.many else [f"**{self.run.words}**{said}", *disk]), *self.notes]
        return ". ".join(parts)

    def disk(self) -> str:
        """Say what the checkpoints are."""
        left = self.left or {}
        steps = {name: str(found["step"]) for name, found in left.items() if "step" in found}
        whole = ", ".join(name if f"={step}" in name else f"{name} ({step})" for name, step in steps.items())
        broken = ", ".join(name for name, found in left.items() if "error" in found)
        poisoned = ", ".join(name for name, found in left.items() if not found.get("finite", True))
        parts = [f"left: {whole}" * bool(whole), f"unreadable: {broken}" * bool(broken)]
        return "; ".join(filter(None, [*parts, f"NaN weights in {poisoned}" * bool(poisoned)])) or "no checkpoint left"


@dataclass(frozen=True, eq=False)
class Case:
    """A fault: its name, what it is, how it is played on a side, and what ours must do, each demand by its words."""

    name: str
    fault: str
    play: Callable[[Any], Seen]
    wanted: Wanted


def how(status: int) -> str:
    """Say what a status means: the negative number of a signal, or an exit."""
    return f"dies by {SIGNALS.get(status, f'signal {-status}')}" if status < 0 else f"exit {status}"


def shorten(text: str) -> str:
    """Return a line that fits a cell and breaks no table, without numbers and names that chance gives."""
    text = re.sub(r"((?:process|pid|pid\(s\)) )\d\d+", r"\1N", re.sub(r"tmp/tmp\w+", "tmp/...", text))
    text = re.sub(r"\s+", " ", text).replace("|", "/").replace("`", "'")
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."


def exits(*statuses: int) -> Wanted:
    """Demand one of these exit statuses."""
    return {f"exit status {' or '.join(map(str, statuses))}": lambda seen: seen.run.status in statuses}


def says(*patterns: str) -> Wanted:
    """Demand words on stderr."""
    return {
        f"says '{pattern}'": lambda seen, pattern=pattern: bool(re.search(pattern, seen.run.said))  # type: ignore[misc]
        for pattern in patterns
    }


def fact(name: str, *values: Any) -> Wanted:
    """Demand a value of what was measured."""
    wanted = " or ".join(map(str, values))
    return {f"{name} is {wanted}": lambda seen: seen.facts.get(name) in values}


def at(name: str, step: int) -> Wanted:
    """Demand a checkpoint that was written in a step."""
    return {f"{name} is of step {step}": lambda seen: (seen.left or {}).get(name, {}).get("step") == step}


def told_step(seen: Seen) -> bool:
    """Whether the step that a run says it saved is that of its newest checkpoint."""
    told = re.findall(r"saved at step (\d+)", seen.run.said)
    return not told or (seen.left or {}).get("last.pt", {}).get("step") == int(told[-1])


# No traceback, whatever happens: a user gets a line.
CALM: Wanted = {"no traceback": lambda seen: "Traceback" not in seen.run.said}
WHOLE: Wanted = {
    "a last.pt, and every checkpoint whole": lambda seen: (
        "last.pt" in (seen.left or {}) and all("step" in found for found in (seen.left or {}).values())
    ),
}
FINITE: Wanted = {"no weight is NaN": lambda seen: all(found.get("finite") for found in (seen.left or {}).values())}
TRUE: Wanted = {"last.pt is of the step that it says it saved": told_step}
EXACT: Wanted = {
    "every step after the resume is bitwise equal": lambda seen: (
        seen.facts.get("equal", (0, 1))[0] == seen.facts.get("equal", (0, 1))[1] > 0
    ),
    "the final checkpoint is bitwise equal": lambda seen: seen.facts.get("differ") == [],
    "metrics.jsonl ends as it would have": lambda seen: bool(seen.facts.get("journal")),
    "best.pt ends bitwise equal": lambda seen: seen.facts.get("other best") == [],
}
