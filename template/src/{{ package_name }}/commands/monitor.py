"""Whether a served run still sees what it was trained for and answers as well as it did; whether to train it anew."""

import csv
import json
import logging
import sys
from argparse import ArgumentParser
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..serving.decision import Labels, decide, read_labels, take_in
from ..serving.dependence import Array
from ..serving.monitoring import Limits, read_limits
from ..serving.predictor import Answers, Predictor
from ..serving.reference import read
from ..serving.store import Store
from ..serving.verdict import compare
from ..serving.watched import Record, Reference
from ..training.storage import write_json
from ..types import map_carry

HELP = "compare what a service saw and answered to its reference; exit 1 on alert"
BATCH = 64

logger = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> bool:
    """Say what the command takes; it does not take the options of a run."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder, runs/<preset>-<n>, that was exported")
    parser.add_argument("--window", type=int, metavar="N", help="newest rows to look at (configs/monitoring.yaml)")
    parser.add_argument("--store", metavar="URL", help="log of predictions (RUN/monitor/predictions.db)")
    parser.add_argument("--rows", type=Path, metavar="FILE", help="look at a file of inputs instead, without a service")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="right answers that have come: .csv or .jsonl")
    parser.add_argument("--limits", type=Path, metavar="FILE", help="limits (configs/monitoring.yaml)")
    return False


def main(run: Path, *, rows: Path | None, labels: Path | None, limits: Path | None, **log_options: Any) -> Record:
    """Write verdict.json and decision.json; return what they say in short, or write it and raise SystemExit(1)."""
    window, store = log_options["window"], log_options["store"]
    if rows and (labels or store or window):
        raise ValueError("--rows goes without --labels, --store and --window: it looks at a file, and not at the log")
    demands = read_limits(limits)
    if window is not None and window < demands.minimum:
        raise ValueError(f"--window: got {window}, want {demands.minimum} or more")
    demands = replace(demands, window=window or demands.window)
    predictor = Predictor.load(run)
    folder = predictor.checkpoint.parent
    reference = read(folder / "export", predictor.checkpoint)
    fresh, recent = None, 0
    if rows:
        table, errors = file_rows(predictor, reference, rows), np.zeros(0)
    else:
        log = Store(store or folder / "monitor" / "predictions.db")
        fresh = take_in(read_labels(labels), log, reference.checkpoint_sha256) if labels else None
        table, errors, recent = logged_rows(log, reference, demands)
        log.close()
    verdict = {"source": str(rows or "log"), **compare(reference, table, errors, demands, ordered=not rows)}
    decision = decide(folder, verdict, Labels(fresh, recent), reference, demands)
    return conclude(folder, verdict, decision)


def file_rows(predictor: Predictor, reference: Reference, path: Path) -> Array:
    """Return what is watched of a file's rows and the answers to them, [n, C + k]."""
    if not path.is_file():
        raise ValueError(f"--rows: {path} is not there; want a file of inputs, or of rows as lines of JSON (.jsonl)")
    logger.info("answering the rows of %s", path)
    rows = read_rows(predictor, path)
    parts = answer_file(predictor, path) if rows is None else answer_rows(predictor, rows)
    tables = [reference.table(part) for part in parts]
    return np.concatenate(tables) if tables else np.zeros((0, reference.width))


def read_rows(predictor: Predictor, path: Path) -> list[dict[str, Any]] | None:
    """Return rows as a client sends them: lines of JSON, or of a CSV that names all fields; None of another file."""
    wanted = predictor.row.model_json_schema()["properties"]
    try:
        if path.suffix == ".jsonl":
            return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
        if path.suffix == ".csv":
            with path.open(newline="", encoding="utf-8-sig") as file:
                lines = csv.DictReader(file)
                if {*wanted} <= {*(lines.fieldnames or ())}:
                    return [{name: cell(line[name], about) for name, about in wanted.items()} for line in lines]
    except (json.JSONDecodeError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"--rows: {path}: want lines of JSON, or a CSV ({error})") from None
    return None


def cell(text: str | None, about: dict[str, Any]) -> float | str | None:
    """Return what a cell holds, a text or a number as the row's schema says; None where it is empty."""
    given = (text or "").strip()
    if about.get("type") == "string" or not given:
        return given or None
    try:
        return float(given)
    except ValueError:
        return given


def answer_rows(predictor: Predictor, rows: list[dict[str, Any]]) -> list[Answers]:
    """Answer rows as the service does."""
    checked = predictor.check(rows)
    return [predictor.answer(checked[first : first + BATCH]) for first in range(0, len(checked), BATCH)]


def answer_file(predictor: Predictor, path: Path) -> list[Answers]:
    """Answer a file of inputs as `predict` takes it."""
    inputs, sizes = predictor.config.data.read(path), list[int]()
    if hasattr(predictor.task, "requests"):
        raise ValueError(f"--rows: {path}: want rows as lines of JSON (.jsonl), as the service takes them")
    map_carry(inputs, lambda part: sizes.append(len(part)))
    parts = torch.arange(sizes[0]).split(BATCH)
    return [predictor.answer_inputs(map_carry(inputs, itemgetter(part)), []) for part in parts]


def logged_rows(log: Store, reference: Reference, limits: Limits) -> tuple[Array, Array, int]:
    """Return the log's newest rows [n, C + k], the newest errors [m] that are known, and of how many of these rows."""
    version = reference.checkpoint_sha256
    records = log.newest(limits.window, version)
    errors = [record["error"] for record in log.newest(limits.window, version, labelled=True)]
    if not records:
        raise ValueError(
            "there is no prediction of this checkpoint in the log: serve the run first, or give --rows FILE"
        )
    recent = sum(record["error"] is not None for record in records)
    return np.stack([reference.recall(record["watched"]) for record in records]), np.array(errors), recent


def conclude(folder: Path, verdict: Record, decision: Record) -> dict[str, Any]:
    """Write both files and say how it ended; SystemExit(1) on alert."""
    paths = {name: folder / "monitor" / f"{name}.json" for name in ("verdict", "decision")}
    paths["verdict"].parent.mkdir(exist_ok=True)
    for path, values in ((paths["verdict"], verdict), (paths["decision"], decision)):
        write_json(path, values)
    short = {name: value for name, value in verdict.items() if name != "figures"}
    shown = {"run": str(folder), **short, "decision": decision, "files": [*map(str, paths.values())]}
    if "waiting" in verdict:
        logger.warning("no verdict yet: %s", verdict["waiting"])
    elif verdict["alert"]:
        sys.stdout.write(json.dumps(shown, indent=2) + "\n")
        logger.error("drift: %s", "\ndrift: ".join(verdict["findings"]))
        raise SystemExit(1)
    else:
        logger.info("no drift in %d rows", verdict["rows"])
    return shown
