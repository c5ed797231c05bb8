"""Whether what a service sees and answers is still what its reference says: all tests together, and what they say."""

from typing import Any

import numpy as np

from .dependence import Array, worths
from .drift import MARGIN, Finding, hotelling, judge, look, repeated, worse
from .monitoring import Limits
from .reference import figures
from .watched import Reference

LEAST_LABELS = 20  # answers whose truth is known, before errors are tested

Record = dict[str, Any]


def compare(reference: Reference, table: Array, errors: Array, limits: Limits, *, ordered: bool = True) -> Record:
    """Return the verdict on a window, rows [n, C + k] as `Reference.table` makes them, and on errors [m] of answers.

    Rows are in the `ordered` way in which they came if what resembles its neighbours shall count for less; the rows of
    a file may be sorted.
    """
    about = {"rows": len(table), "labelled": len(errors), "window": limits.window, "level": limits.false_alarms}
    if len(table) < limits.minimum and len(errors) < LEAST_LABELS:
        waiting = f"{len(table)} rows, and {limits.minimum} are wanted for a verdict"
        return {"alert": False, "waiting": waiting, **about, "tests": 0, "findings": [], "figures": {}}
    found = examine(reference, table, limits, ordered=ordered) if len(table) >= limits.minimum else []
    if len(errors) >= LEAST_LABELS and len(reference.errors):
        found.append(worse(reference.errors, errors, limits.errors))
    found = judge(found, limits.false_alarms)
    drifted = sorted((each for each in found if each.drifted), key=lambda each: (each.adjusted, -each.effect))
    shown = {each.name: tell(each) for each in found}
    for name, values in statistics(reference, table).items():
        shown.setdefault(name, {}).update(values)
    lines = [f"{f.name}: {f.about}; size {f.effect:.3g}, limit {f.limit:.3g}, p {f.adjusted:.2g}" for f in drifted]
    return {"alert": bool(drifted), **about, "tests": len(found), "findings": lines, "figures": shown}


def examine(reference: Reference, table: Array, limits: Limits, *, ordered: bool) -> list[Finding]:
    """Return what each test says of rows [n, C + k]."""
    inputs, count = table[:, : len(reference.inputs)], len(reference.columns)
    rows = worths(table, inputs, reference.pairs, ordered=ordered)
    sides = zip(reference.names, reference.columns, table.T, rows, strict=False)
    found = [look(column, name, values, float(size), limits.psi) for name, column, values, size in sides]
    points = table[:, count:]
    points = points[~np.isnan(points).any(1)]
    if points.shape[1] and len(points):
        near = np.clip(points, reference.points.min(0), reference.points.max(0))  # one row far off is no drift
        found.append(
            hotelling(reference.points, near, float(rows[count:].min()), limits.psi + MARGIN * reference.usual)
        )
    size = len(reference.inputs[0].values)
    return [*found, repeated(inputs, reference.common, size, limits.repeated)]


def tell(finding: Finding) -> Record:
    """Return the figures of one test."""
    return {
        "drifted": finding.drifted,
        "size": finding.effect,
        "limit": finding.limit,
        "p": finding.p,
        "p_corrected": finding.adjusted,
        "about": finding.about,
    }


def statistics(reference: Reference, table: Array) -> dict[str, Record]:
    """Return mean, deviation, quantiles or counts of each column of rows [n, C + k]; nothing of no rows."""
    sides = zip(reference.names, reference.columns, table.T, strict=False)
    return {name: figures(column, values) for name, column, values in sides if len(values)}
