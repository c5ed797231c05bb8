"""What a service's inputs and answers are compared to: made of a run by `export`; the trainer does not know of it.

Inputs are described from the training split: they are what the model has learnt from. Answers, confidence, embeddings
and errors are those of the validation split: on its training rows a model is surer and better than it is later.
"""

import hashlib
import io
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import starmap
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.loader import Dataset
from ..training.storage import write_json
from .dependence import Array, collisions
from .drift import Column, hotelling, psi
from .predictor import Answers, Predictor
from .watched import OUTPUTS, Record, Reference, error_of, feature, labels_of, output, summary

FORMAT_VERSION, SEED = 1, 0
MOST_ROWS, MOST_ANSWERS, BATCH = 5000, 500, 64  # rows of the sample; rows that are answered for it
MOST_AXES, ROWS_AN_AXIS = 8, 20
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
OTHERS = {
    "checkpoint_sha256": "checkpoint_sha256",
    "pairs": "equal_pairs",
    "common": "most_frequent_row",
    "usual": "usual",
}
MOST_SHOWN = 20  # categories of a column, for a person

logger = logging.getLogger(__name__)


def encoded(predictor: Predictor, dataset: Dataset, index: Tensor) -> tuple[Any, list[Any]]:
    """Return inputs [B, ...] as the service makes them for rows [B] of a data set, and these rows if they are known.

    Where requests and data sets differ, a task has `requests(dataset, index, data)`, rows as a client sends them.
    """
    if hasattr(predictor.task, "requests"):
        rows = predictor.check(predictor.task.requests(dataset, index, predictor.data))
        return predictor.task.encode(rows, predictor.data), rows
    return dataset[index, 0].inputs, []


def batches(dataset: Dataset, most: int) -> Iterator[Tensor]:
    """Yield row numbers [B] of a data set, all of them or a sample of so many, in order."""
    drawn = np.random.default_rng(SEED).permutation(len(dataset))[:most]
    yield from torch.from_numpy(np.sort(drawn)).split(BATCH)


def look_at(predictor: Predictor, dataset: Dataset) -> dict[str, Tensor]:
    """Return the features [N] of a data set's rows, by name."""
    parts = list[dict[str, Tensor]]()
    for index in batches(dataset, MOST_ROWS):
        inputs, rows = encoded(predictor, dataset, index)
        parts.append(predictor.task.features(inputs, rows, predictor.data))
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def ask(predictor: Predictor, dataset: Dataset) -> tuple[list[Record], Tensor, list[Any]]:
    """Return the answers to a data set's rows, their embeddings [N, D], and the truth of each (None: not known)."""
    records, embeddings, truth = list[Record](), list[Tensor](), list[Any]()
    for index in batches(dataset, MOST_ANSWERS):
        answers = predictor.answer_inputs(*encoded(predictor, dataset, index))
        records += answers.records
        embeddings.append(answers.embeddings)
        own = getattr(predictor.task, "truths", None)
        labels = getattr(predictor.config.data, "labels", ())
        truth += own(dataset, index, predictor.data) if own else truths(dataset[index, 0].targets, labels)
    return records, torch.cat(embeddings), truth


def truths(targets: Tensor, labels: Sequence[str]) -> list[Any]:
    """Return targets [B, ...] in the form of answers: words of classes, numbers; None for what has another form."""
    if targets.is_floating_point():
        return targets.tolist()
    if targets.ndim == 1 and labels:
        return [labels[target] if target >= 0 else None for target in targets.tolist()]
    return [None] * len(targets)


def input_columns(features: dict[str, Tensor]) -> tuple[Column, ...]:
    """Return the columns of features [N]: those of whole numbers are categories, if there are not too many."""
    found = list[Column]()
    for name, values in features.items():
        labels = () if values.is_floating_point() else labels_of(values.tolist())
        found.append(Column(name=name, values=feature(values, labels, len(values)), labels=labels))
    return tuple(found)


def output_columns(records: Sequence[Record], centred: Array) -> tuple[Column, ...]:
    """Return the columns of answers: what they say, how sure they are, how far embeddings [M, D] lie off."""
    found = list[Column]()
    for name in OUTPUTS:
        labels = labels_of([summary(record.get("answer")) for record in records]) if name == "answer" else ()
        values = output(name, records, labels, centred)
        if not np.isnan(values).all() and (name != OUTPUTS[-1] or centred.shape[1]):
            found.append(Column(name=name, values=values, labels=labels))
    return tuple(found)


def principal(centred: Array) -> Array:
    """Return the directions [k, D] in which embeddings [M, D] differ most, scaled to a deviation of 1 along each."""
    count = min(MOST_AXES, len(centred) // ROWS_AN_AXIS, centred.shape[1])
    if not count:
        return np.zeros((0, centred.shape[1]))
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    count = min(count, int((sizes > 1e-6 * sizes[0]).sum()))
    return np.asarray(directions[:count] / (sizes[:count, None] / len(centred) ** 0.5))


def make(predictor: Predictor) -> Reference:
    """Return the reference of a model."""
    train, held_out = (predictor.config.data.build(split) for split in ("train", "val"))
    logger.info("answering rows of both splits, to know what is usual")
    records, embeddings, truth = ask(predictor, held_out)
    given = embeddings.double().numpy()
    centre = given.mean(0)
    axes = principal(given - centre)
    inputs = input_columns(look_at(predictor, train))
    errors = [error_of(record.get("answer"), right) for record, right in zip(records, truth, strict=True)]
    pairs, common = collisions(np.column_stack([column.values for column in inputs]))
    found = Reference(
        checkpoint_sha256=sha256(predictor.checkpoint.read_bytes()),
        inputs=inputs,
        outputs=output_columns(records, given - centre),
        points=(given - centre) @ axes.T,
        centre=centre,
        axes=axes,
        errors=np.array([error for error in errors if error is not None], dtype=np.float64),
        pairs=pairs,
        common=common,
    )
    return with_usual(found, predictor, train, held_out)


def with_usual(reference: Reference, predictor: Predictor, train: Dataset, held_out: Dataset) -> Reference:
    """Return a reference that knows how far its two splits are apart: the other one's rows beside each column."""
    features, (records, embeddings, _) = look_at(predictor, held_out), ask(predictor, train)
    other = reference.table(Answers(records=records, features={}, embeddings=embeddings))
    sizes = [len(reference.inputs), len(reference.columns)]
    points = other[:, sizes[1] :]
    middle = hotelling(reference.points, points, len(points), 0.0).effect if points.shape[1] else 0.0
    held = [feature(features.get(c.name), c.labels, len(held_out)) for c in reference.inputs]
    inputs = tuple(apart(column, values) for column, values in zip(reference.inputs, held, strict=True))
    most = max((column.usual for column in inputs), default=0.0)  # beyond that a model only knows its rows by heart
    given = zip(reference.outputs, other.T[sizes[0] : sizes[1]], strict=True)
    outputs = tuple(replace(each, usual=min(each.usual, most)) for each in starmap(apart, given))
    return replace(reference, inputs=inputs, outputs=outputs, usual=min(middle, most))


def apart(column: Column, values: Array) -> Column:
    """Return a column that knows how far values [n] of the other split are from its own."""
    return replace(column, usual=psi(column.counts, column.count(values), len(values)))


def sha256(content: bytes) -> str:
    """Return the checksum of a file's content."""
    return hashlib.sha256(content).hexdigest()


def write(predictor: Predictor, folder: Path) -> Path:
    """Write reference.json, for people, and reference.npz, its samples, into a folder; return the former's path."""
    return save(make(predictor), folder)


def save(reference: Reference, folder: Path) -> Path:
    """Write a reference: first its arrays, then what names their checksum."""
    folder.mkdir(parents=True, exist_ok=True)
    buffer, path = io.BytesIO(), folder / "reference.json"
    sides = {"inputs": reference.inputs, "outputs": reference.outputs}
    tables = {name: np.column_stack([c.values for c in columns]) for name, columns in sides.items()}
    arrays: Any = tables | {name: getattr(reference, name) for name in ("points", "centre", "axes", "errors")}
    np.savez_compressed(buffer, **arrays)
    temporary = folder / "reference.npz.tmp"
    temporary.write_bytes(buffer.getvalue())
    temporary.replace(folder / "reference.npz")
    values = {
        "format_version": FORMAT_VERSION,
        "checkpoint_sha256": reference.checkpoint_sha256,
        "arrays_sha256": sha256(buffer.getvalue()),
        "rows": {"inputs, of the training split": len(tables["inputs"]), "answers, of val": len(tables["outputs"])},
        "equal_pairs": reference.pairs,
        "most_frequent_row": reference.common,
        "usual": reference.usual,
        "mean_error": float(reference.errors.mean()) if len(reference.errors) else None,
        **{name: [describe(column) for column in columns] for name, columns in sides.items()},
    }
    write_json(path, values)
    return path


def describe(column: Column) -> Record:
    """Return the figures of a column for a person: of a number or of a category."""
    about = {"name": column.name, "kind": "category" if column.labels else "number"}
    return {**about, **figures(column, column.values), "usual": column.usual, "labels": list(column.labels)}


def figures(column: Column, values: Array) -> Record:
    """Return mean, deviation, quantiles of a column's values [n], or counts of categories; the share of missing."""
    present = values[~np.isnan(values)]
    missing = {"missing": 1 - len(present) / max(1, len(values))}
    if column.labels:
        names = [*column.labels, "unknown"]
        counted = sorted(zip(column.count(values)[:-1], names, strict=True), reverse=True)[:MOST_SHOWN]
        return {"counts": {name: int(count) for count, name in counted if count}, **missing}
    if not len(present):
        return missing
    cuts = dict(zip(map(str, QUANTILES), np.quantile(present, QUANTILES).tolist(), strict=True))
    return {"mean": float(present.mean()), "std": float(present.std()), "quantiles": cuts, **missing}


def read(folder: Path, checkpoint: Path | None = None) -> Reference:
    """Read a reference; ValueError where there is none, or that of another checkpoint than this or the run's best."""
    path, remedy = folder / "reference.json", f"make one: export {folder.parent}"
    if not path.is_file():
        raise ValueError(f"{path} is not there, so nothing can be compared to it; {remedy}")
    try:
        values, content = json.loads(path.read_text("utf-8")), (folder / "reference.npz").read_bytes()
        if values["format_version"] != FORMAT_VERSION:
            raise ValueError(f"{path} is of format {values['format_version']}, want {FORMAT_VERSION}; {remedy}")
        whole = sha256(content) == values["arrays_sha256"]
        arrays = dict(np.load(io.BytesIO(content), allow_pickle=False)) if whole else {}
    except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise OSError(f"{path} is damaged ({error!r}); {remedy}") from None
    if not arrays:
        raise OSError(f"{path} and reference.npz beside it do not belong together; {remedy}")
    best = checkpoint or folder.parent / "best.pt"
    if best.is_file() and sha256(best.read_bytes()) != values["checkpoint_sha256"]:
        raise ValueError(f"{path} is the reference of another checkpoint than {best}; {remedy}")
    sides: Record = {
        name: tuple(
            Column(name=about["name"], values=column, labels=tuple(about["labels"]), usual=about["usual"])
            for about, column in zip(values[name], arrays.pop(name).T, strict=True)
        )
        for name in ("inputs", "outputs")
    }
    others = {name: values[key] for name, key in OTHERS.items()} | {"usual": values["usual"]}
    return Reference(**others, **sides, **arrays)
