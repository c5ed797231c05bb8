"""Losses and gradients that are not finite, and what of them reaches the disk."""

import json
from functools import partial
from pathlib import Path
from typing import Any

from ..bench import Fault, Lab, fault, go_on
from ..expect import CALM, FINITE, WHOLE, Case, Seen, Wanted, exits, fact, says

ROW = 100


def spoilt(lab: Lab, stop: Fault, **options: Any) -> Seen:
    """Train with a fault in the numbers; look at the weights that are left and at the note that names the batch."""
    ended = lab.run(stop, **options)
    seen = Seen(ended, lab.left())
    note = written(lab.folder / "run")
    rows = flat(note.get("rows", []))
    seen.facts.update(step=note.get("step"), rows=len(rows), names_row=ROW in rows, steps=len(ended.losses))
    if note:
        seen.notes.append(f"{note['file']} names step {note['step']} and its {len(rows)} rows")
    seen.notes.append(f"{len(ended.losses)} batches trained")
    return seen


def written(folder: Path) -> dict[str, Any]:
    """Return what a run wrote down of the first batch that was not finite: step, rows, file."""
    path = folder / "metrics.jsonl"
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
    found = next((line for line in lines if line["split"] == "nonfinite"), None)
    return {**found, "file": path.name} if found else {}


def flat(rows: Any) -> list[int]:
    """Return row numbers in any nesting as one list."""
    return [number for row in rows for number in flat(row)] if isinstance(rows, list) else [int(rows)]


def then_resumed(lab: Lab, stop: Fault) -> Seen:
    """Stop on a loss that is not finite, then resume without the fault."""
    seen = spoilt(lab, stop)
    if seen.run.status:
        go_on(lab, seen)
    return seen


def inside_a_row(lab: Lab) -> Seen:
    """Train on a set with NaN in one row."""
    return spoilt(lab, fault("hooks.poison_row", row=ROW))


def loss(factor: float, after: int = 12) -> Fault:
    """A loss that becomes NaN or infinite in a step."""
    return fault("hooks.spoil_loss", after=after, factor=factor)


NAN, INF = float("nan"), float("inf")
GRADIENT = fault("hooks.spoil_gradient", after=12)
STOPPED: Wanted = CALM | exits(3) | WHOLE | FINITE | says("step 12") | fact("step", 12)
RESUMED: Wanted = STOPPED | fact("rows", 64) | fact("resumed", 0)
ON: Wanted = CALM | exits(0) | WHOLE | FINITE | fact("steps", 40)
RAISED: Wanted = exits(1, 3) | WHOLE | FINITE | says("12")
CLEAN: Wanted = CALM | exits(0, 3) | WHOLE | FINITE

CASES = [
    *(
        case
        for name, word, factor in (("nan", "NaN", NAN), ("inf", "infinite", INF))
        for case in (
            Case(f"{name}-stop", f"{word} loss once, `stop`", partial(then_resumed, stop=loss(factor)), RESUMED),
            Case(
                f"{name}-skip",
                f"{word} loss once, `skip`",
                partial(spoilt, stop=loss(factor), nonfinite="skip"),
                ON | fact("step", 12),
            ),
            Case(
                f"{name}-raise",
                f"{word} loss once, `raise`",
                partial(spoilt, stop=loss(factor), nonfinite="raise"),
                RAISED,
            ),
        )
    ),
    Case(
        "nan-unclipped",
        "NaN loss once, `stop`, without clipping",
        partial(spoilt, stop=loss(NAN), grad_clip=0),
        STOPPED,
    ),
    Case(
        "nan-save",
        "NaN loss in a step after which it saves",
        partial(then_resumed, stop=loss(NAN, 10)),
        CLEAN | exits(3) | fact("step", 10),
    ),
    Case(
        "nan-first",
        "NaN loss in the first step",
        partial(then_resumed, stop=loss(NAN, 1)),
        CLEAN | exits(3) | fact("step", 1) | fact("resumed", 0),
    ),
    Case(
        "nan-accumulated",
        "NaN loss in one of four batches of an update, `skip`",
        partial(spoilt, stop=loss(NAN, 46), nonfinite="skip", accumulate=4),
        CALM | exits(0) | WHOLE | FINITE | fact("steps", 160),
    ),
    Case(
        "nan-row",
        "NaN in one row of the data",
        inside_a_row,
        CALM | exits(3) | WHOLE | FINITE | fact("names_row", True),
    ),
    Case(
        "gradient",
        "infinite gradient once, the loss finite",
        partial(spoilt, stop=GRADIENT),
        CLEAN | says("(?i)gradient|finite"),
    ),
    Case(
        "gradient-unclipped",
        "infinite gradient once, without clipping",
        partial(spoilt, stop=GRADIENT, grad_clip=0),
        CLEAN,
    ),
    Case(
        "gradient-save",
        "infinite gradient in a step after which it saves, without clipping",
        partial(spoilt, stop=fault("hooks.spoil_gradient", after=10), grad_clip=0),
        CLEAN,
    ),
    Case(
        "gradient-skip",
        "infinite gradient once, without clipping, `skip`",
        partial(spoilt, stop=GRADIENT, grad_clip=0, nonfinite="skip"),
        ON,
    ),
]
