"""What is watched of a service: its inputs and answers as numbers, one row a request, and what a reference holds."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from .dependence import Array
from .drift import Column
from .predictor import Answers

MOST_LABELS = 100  # of a category; words of which there are more are watched by their length
NEW = 0.005  # share of rows whose word the reference does not know, at most
OUTPUTS = ("answer", "confidence", "uncertainty", "embedding, distance")

Record = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Samples of what goes in and comes out while nothing is wrong."""

    checkpoint_sha256: str
    inputs: tuple[Column, ...]  # [N] of the training split each
    outputs: tuple[Column, ...]  # [M] of the validation split each
    points: Array  # [M, k] embeddings along the axes
    centre: Array  # [D] mean embedding
    axes: Array  # [k, D]
    errors: Array  # [E] of the answers: 0 and 1, or sizes; none where nobody knows the truth
    pairs: float  # share of pairs of rows that are equal
    common: float  # share of the row that is most frequent
    usual: float = 0.0  # squared distance of the mean embeddings of training and validation rows

    @property
    def columns(self) -> tuple[Column, ...]:
        """What is watched, inputs first."""
        return self.inputs + self.outputs

    @property
    def names(self) -> list[str]:
        """What the columns are called: an input may have the name of an output."""
        return [*(f"input {column.name}" for column in self.inputs), *(column.name for column in self.outputs)]

    @property
    def width(self) -> int:
        """How many numbers a row of `table` has."""
        return len(self.columns) + len(self.axes)

    def tell(self, row: Array) -> dict[str, float | None]:
        """Return a row [C + k] by name, as a log has it: None is what is missing."""
        names = [*self.names, *(f"axis {n}" for n in range(len(self.axes)))]
        return {n: None if math.isnan(value) else value for n, value in zip(names, row.tolist(), strict=True)}

    def recall(self, told: dict[str, float | None]) -> Array:
        """Return the row [C + k] that `tell` told."""
        names = [*self.names, *(f"axis {n}" for n in range(len(self.axes)))]
        return np.array([math.nan if (value := told.get(name)) is None else value for name in names])

    def table(self, answers: Answers) -> Array:
        """Return a batch as numbers [B, C + k]: columns as in the reference, then the embedding along each axis."""
        size = len(answers.records)
        given = answers.embeddings.double().numpy()
        known = given.shape[1] == len(self.centre)
        centred = given - self.centre if known else np.full((size, len(self.centre)), np.nan)
        sides = [*(feature(answers.features.get(c.name), c.labels, size) for c in self.inputs)]
        sides += [output(column.name, answers.records, column.labels, centred) for column in self.outputs]
        return np.column_stack([*sides, centred @ self.axes.T])


def feature(values: Tensor | None, labels: Sequence[str], size: int) -> Array:
    """Return a feature's values [B] as numbers: of a category the place of its label, behind all if it is none."""
    if values is None:
        return np.full(size, np.nan)
    if labels:
        return np.array([place(str(value), labels) for value in values.tolist()], dtype=np.float64)
    return np.asarray(values.detach().cpu().double().numpy())


def output(name: str, records: Sequence[Record], labels: Sequence[str], centred: Array) -> Array:
    """Return what is watched of answers, by its name, as numbers [B]."""
    if name == OUTPUTS[-1]:
        return np.asarray(np.linalg.norm(centred, axis=1))
    found = [summary(record.get("answer")) if name == "answer" else record.get(name) for record in records]
    if labels:
        return np.array([place(str(value), labels) for value in found], dtype=np.float64)
    sizes = [len(value) if isinstance(value, str) else value for value in found]
    return np.array([math.nan if value is None else value for value in sizes], dtype=np.float64)


def place(label: str, labels: Sequence[str]) -> int:
    """Return the place of a label, or the number of labels for one that is none of them."""
    return labels.index(label) if label in labels else len(labels)


def summary(answer: Any) -> float | str | None:
    """Return what is watched of an answer: itself, the mean of numbers, the first of a ranking."""
    if isinstance(answer, bool | str):
        return str(answer)
    if isinstance(answer, int | float):
        return float(answer)
    parts = [summary(part) for part in answer] if isinstance(answer, list) else []
    numbers = [part for part in parts if isinstance(part, float)]
    return sum(numbers) / len(parts) if parts and len(numbers) == len(parts) else next(iter(parts), None)


def error_of(answer: Any, target: Any) -> float | None:
    """Return how wrong an answer is: the distance of numbers, or 1 for another word; None where that is not known."""
    if isinstance(answer, list) and isinstance(target, list) and len(answer) == len(target):
        parts = [error_of(*pair) for pair in zip(answer, target, strict=True)]
        known = [part for part in parts if part is not None]
        return sum(known) / len(known) if known else None
    if target is None or answer is None or isinstance(target, list):
        return None
    if isinstance(answer, int | float) and not isinstance(answer, bool):
        try:
            distance = abs(answer - float(target))
        except (ValueError, TypeError, OverflowError):
            raise ValueError(f"target: got {target!r}, want a number like the answer {answer:.4g}") from None
        return distance if math.isfinite(distance) else None
    said = summary(answer)
    return float(said != str(target)) if isinstance(said, str) else None


def labels_of(values: Sequence[Any]) -> tuple[str, ...]:
    """Return the labels of values that are words or whole numbers; none of numbers, or of words that hardly repeat.

    Left out is what is so rare that rows to come will have as rare words which are not here: there are about
    k n[k] rows more of these than in the reference, if n[k] words are there k times (Good 1953).
    """
    if any(isinstance(value, float) for value in values):
        return ()
    times = Counter(str(value) for value in values if value is not None)
    often = Counter(times.values())
    least = next(k for k in range(1, len(values) + 2) if k * often[k] <= NEW * len(values))
    found = sorted(word for word, count in times.items() if count >= least)
    return tuple(found) if len(found) <= MOST_LABELS else ()
