"""Whether to train anew: what fresh labels say of the answers, how old the model is, what has drifted."""

import csv
import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy  # its stats are loaded where they are used: that takes a second

from .dependence import Array
from .monitoring import Limits
from .store import Store
from .verdict import LEAST_LABELS
from .watched import Record, Reference, error_of

LEVEL, DRAWS = 0.95, 9999

logger = logging.getLogger(__name__)


class Labels(NamedTuple):
    """What is known of right answers."""

    fresh: Array | None  # [n] errors of the answers whose truth was given just now
    recent: int  # rows of the window whose truth is known


def read_labels(path: Path) -> list[tuple[str, Any]]:
    """Read ids and targets: a CSV whose first line names both, or lines of JSON; ValueError names the line at fault."""
    want = 'want a .csv whose first line has id and target, or a .jsonl with lines like {"id": "...", "target": ...}'
    if path.suffix not in {".csv", ".jsonl"} or not path.is_file():
        raise ValueError(f"--labels: {path}: {want}")
    found = list[tuple[str, Any]]()
    with path.open(newline="", encoding="utf-8-sig") as file:
        try:
            lines = csv.DictReader(file) if path.suffix == ".csv" else map(json.loads, filter(str.strip, file))
            for number, line in enumerate(lines, start=1):
                if not isinstance(line, dict) or line.get("id") in (None, "") or line.get("target") in (None, ""):
                    raise ValueError(f"--labels: {path}, row {number}: {want}")
                found.append((str(line["id"]), line["target"]))
        except (json.JSONDecodeError, UnicodeDecodeError, csv.Error) as error:
            raise ValueError(f"--labels: {path}, row {len(found) + 1}: {error}; {want}") from None
    return found


def take_in(labels: list[tuple[str, Any]], store: Store, version: str) -> Array:
    """Write labels into the log and return how wrong a checkpoint's answers were, [n]; ValueError where it has none."""
    errors, unknown = list[float](), list[str]()
    for name, target in labels:
        if (record := store.find(name)) is None:
            unknown.append(name)
        elif (error := error_of(record["answer"], target)) is not None:
            store.label(name, target, error)
            errors += [error] * (record["version"] == version)
    store.flush()
    if store.dropped:
        raise OSError("--labels: not all could be written to the log; see to it, and give the file again")
    if unknown:
        logger.warning("%d of %d ids are not in the log, as '%s'", len(unknown), len(labels), unknown[0])
    if not errors:
        raise ValueError("--labels: none of these ids has an answer in the log that can be compared to its target")
    return np.array(errors)


def measure(errors: Array, primary: str) -> Record:
    """Return the figure of errors [n] with its 95 % interval: accuracy, or of numbers rmse or mae."""
    about = {"rows": len(errors), "level": LEVEL}
    if np.isin(errors, (0.0, 1.0)).all():
        right = scipy.stats.binomtest(int((1 - errors).sum()), len(errors))
        ends = right.proportion_ci(LEVEL, method="wilson")
        figure = {"value": float(right.statistic), "low": float(ends.low), "high": float(ends.high)}
        return {"primary": "accuracy", **figure, **about}
    name = primary if primary in {"rmse", "mae"} else "mae"
    sizes = errors**2 if name == "rmse" else errors
    low = high = sizes.mean()
    if sizes.std() > 0:
        drawn = scipy.stats.bootstrap((sizes,), np.mean, n_resamples=DRAWS, batch=100, rng=np.random.default_rng(0))
        low, high = drawn.confidence_interval
    figures = [float(each**0.5 if name == "rmse" else each) for each in (sizes.mean(), low, high)]
    return {"primary": name, **dict(zip(("value", "low", "high"), figures, strict=True)), **about}


def decide(folder: Path, verdict: Record, labels: Labels, reference: Reference, limits: Limits) -> Record:
    """Return whether to train a run anew and why, from a verdict and what labels say."""
    days, trained = age(folder)
    primary = read(folder / "evaluation.json").get("primary", "")
    worse = verdict["figures"].get("errors", {}).get("drifted", False)
    labelled = labels.recent >= LEAST_LABELS and len(reference.errors) > 0
    drifted = [line for line in verdict["findings"] if not line.startswith("errors")]
    reasons = list[str]()
    if worse:
        reasons.append(f"its answers have become worse: {verdict['figures']['errors']['about']}")
    if days is not None and days > limits.cadence_days:
        reasons.append(f"it was trained {days:.0f} days ago, and {limits.cadence_days:g} are the cadence")
    if drifted and not labelled:
        reasons.append(
            f"what it sees or says has drifted, and fewer than {LEAST_LABELS} labels of these rows say how good it is"
        )
    notes = [f"drifted, but its answers are as good as they were: {line}" for line in drifted if labelled and not worse]
    return {
        "retrain": bool(reasons),
        "reasons": reasons or ["nothing asks for it"],
        "notes": notes + ([] if trained else ["manifest.json does not say when it was trained"]),
        "trained": trained,
        "days_since_training": days,
        "cadence_days": limits.cadence_days,
        "fresh_labels": None if labels.fresh is None else measure(labels.fresh, primary),
        "then": measure(reference.errors, primary) if len(reference.errors) else None,
        "resources": limits.cost.estimate(),
    }


def age(folder: Path) -> tuple[float | None, str | None]:
    """Return how many days ago a run began, and when; None where its manifest does not say."""
    written = read(folder / "manifest.json").get("written")
    if not written:
        return None, None
    return round((datetime.now(UTC) - datetime.fromisoformat(written)).total_seconds() / 86_400, 2), written


def read(path: Path) -> Record:
    """Return what a JSON file holds, nothing where it is not there."""
    return dict(json.loads(path.read_text("utf-8"))) if path.is_file() else {}
