"""How often the monitoring cries wrongly, and what it finds, on the template's own data and on columns that are hard.

    uv run python benchmarks/drift.py [--windows N] [NAME...]

For each kind of rows it prints the share of windows of 500 rows that alert though nothing has changed, once with rows
drawn from those of the reference, once with rows that the reference has never seen, and the share of windows in which
one column, shifted by so many of its standard deviations, is found and named. `answers` is a trained model with
all that is watched of it: inputs, answers, confidence, embeddings.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "working"))

import numpy as np  # noqa: E402
import torch  # noqa: E402

from my_project import run as commands  # noqa: E402
from my_project.config import load  # noqa: E402
from my_project.serving import classification, reference  # noqa: E402
from my_project.serving.dependence import Array, collisions  # noqa: E402
from my_project.serving.drift import Column  # noqa: E402
from my_project.serving.monitoring import Limits  # noqa: E402
from my_project.serving.predictor import Predictor  # noqa: E402
from my_project.serving.verdict import compare  # noqa: E402
from my_project.serving.watched import Reference  # noqa: E402
from my_project.training import storage  # noqa: E402

LIMITS, NONE = Limits(), np.zeros(0)
SHIFTS = (0.1, 0.25, 0.5, 1.0)  # standard deviations
PLACES = 200  # windows for each shift
Labels = dict[int, tuple[str, ...]]
Rows = tuple[Array, Labels]


def table_rows(preset: str) -> Rows:
    """Return the training rows [N, C] of a table of the template, and the words of its categories."""
    table = load(preset).data.build("train")
    words = {n: tuple(column["values"]) for n, column in enumerate(table.columns) if "values" in column}
    return table.values.double().numpy(), words


def image_rows() -> Rows:
    """Return what is watched of the digits' training images, [N, 65]."""
    data = load("mlp").data
    return np.column_stack([*classification.features(data.build("train").inputs, [], data).values()]).astype(float), {}


def ties() -> Rows:
    """Return skewed, tied, constant, rare, missing and small whole numbers, [N, 8]."""
    draw, size = np.random.default_rng(0), 1500
    gaps = np.where(draw.binomial(1, 0.1, size), np.nan, draw.normal(size=size))
    zeros = np.where(draw.binomial(1, 0.9, size), 0.0, draw.random(size))
    rare = np.minimum(draw.geometric(0.5, size) - 1, 9)
    columns = (draw.lognormal(size=size), draw.standard_cauchy(size), draw.integers(0, 5, size), zeros, np.ones(size))
    rows = np.column_stack([*columns, draw.integers(0, 4, size), rare, gaps]).astype(float)
    return rows, {5: tuple("abcd"), 6: tuple("0123456789")}


def copies() -> Rows:
    """Return rows [N, 3] of words, nearly all of which are there many times."""
    draw, size = np.random.default_rng(0), 1500
    columns = (draw.binomial(1, 0.5, size), draw.binomial(1, 0.02, size), draw.integers(0, 3, size))
    return np.column_stack(columns).astype(float), {0: ("no", "yes"), 1: ("no", "yes"), 2: ("a", "b", "c")}


SETS: dict[str, Callable[[], Rows]] = {
    "digits": image_rows,
    "concrete": lambda: table_rows("regression"),
    "jobs": lambda: table_rows("table"),
    "ties": ties,
    "copies": copies,
}


def reference_of(rows: Array, labels: Labels) -> Reference:
    """Return the reference of rows [N, F], without a model."""
    columns = [Column(name=str(n), values=values, labels=labels.get(n, ())) for n, values in enumerate(rows.T)]
    pairs, common = collisions(rows)
    empty, none = np.zeros((len(rows), 0)), np.zeros((0, 0))
    about: dict[str, Any] = {
        "points": empty,
        "centre": NONE,
        "axes": none,
        "errors": NONE,
        "pairs": pairs,
        "common": common,
    }
    return Reference(checkpoint_sha256="", inputs=tuple(columns), outputs=(), **about)


def alerts(windows: Iterator[tuple[Reference, Array]]) -> float:
    """Return the share of windows that alert."""
    return float(np.mean([compare(known, window, NONE, LIMITS)["alert"] for known, window in windows]))


def seen(rows: Array, labels: Labels, count: int) -> Iterator[tuple[Reference, Array]]:
    """Yield windows of rows that are drawn from those of the reference."""
    draw, known = np.random.default_rng(1), reference_of(rows, labels)
    for _ in range(count):
        yield known, rows[draw.integers(0, len(rows), LIMITS.window)]


def unseen(rows: Array, labels: Labels, count: int) -> Iterator[tuple[Reference, Array]]:
    """Yield windows of rows of one half, with a reference of the other, divided anew for each ten windows."""
    draw = np.random.default_rng(2)
    for number in range(count):
        if number % 10 == 0:
            order = draw.permutation(len(rows))
            first, second = np.array_split(order, 2)
            known = reference_of(rows[first], labels)
        yield known, rows[draw.choice(second, LIMITS.window)]


def found(rows: Array, labels: Labels, shift: float) -> float:
    """Return the share of windows in which a shifted column is named, one column after another."""
    draw, known, hits = np.random.default_rng(3), reference_of(rows, labels), list[bool]()
    numbers = [n for n in range(rows.shape[1]) if n not in labels and np.nanstd(rows[:, n]) > 0]
    for place in range(PLACES if numbers else 0):
        column = numbers[place % len(numbers)]
        window = rows[draw.integers(0, len(rows), LIMITS.window)]
        window[:, column] += shift * np.nanstd(rows[:, column])
        verdict = compare(known, window, NONE, LIMITS)
        hits.append(verdict["figures"][f"input {column}"]["drifted"])
    return float(np.mean(hits)) if hits else float("nan")


def show(name: str, size: str, shares: list[float], started: float) -> None:
    """Print a line of the table."""
    cells = "".join("        -" if np.isnan(share) else f"{100 * share:8.2f}%" for share in shares)
    sys.stdout.write(f"{name:10}{size:>12}{cells}{time.perf_counter() - started:8.0f} s\n")
    sys.stdout.flush()


class Some:
    """Some rows of a data set."""

    def __init__(self, rows: Any, places: torch.Tensor) -> None:
        self.rows, self.places = rows, places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, key: tuple[torch.Tensor, int]) -> Any:
        return self.rows[self.places[key[0]], key[1]]


class Halved:
    """A data config of whose validation split only some rows are known."""

    def __init__(self, data: Any, places: torch.Tensor) -> None:
        self.data, self.places = data, places

    def __getattr__(self, name: str) -> Any:
        return getattr(self.data, name)

    def build(self, split: Any) -> Any:
        """Return a split."""
        return Some(self.data.build(split), self.places) if split == "val" else self.data.build(split)


def answers(count: int) -> None:
    """Print the line of a trained model: its reference is of half the validation rows, windows are of the other."""
    started = time.perf_counter()
    storage.TRACKERS.clear()
    with tempfile.TemporaryDirectory() as folder:
        run = commands.fit(load("mlp", {"train.out": f"{folder}/run"}))
        predictor = Predictor.load(run)
        data = predictor.config.data
        rows = data.build("val")
        mine, others = torch.randperm(len(rows), generator=torch.Generator().manual_seed(4)).chunk(2)
        vars(predictor)["config"] = SimpleNamespace(data=Halved(data, mine))
        known = reference.make(predictor)
    table = known.table(predictor.answer_inputs(rows[others, 0].inputs, []))
    draw = np.random.default_rng(4)
    drawn = ((known, table[draw.integers(0, len(table), LIMITS.window)]) for _ in range(count))
    show("answers", f"{len(table)} x {table.shape[1]}", [float("nan"), alerts(drawn), *[float("nan")] * 4], started)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SETS)}, answers (all)")
    parser.add_argument("--windows", type=int, default=1000, metavar="N", help="for each share of false alarms")
    given = parser.parse_args()
    heads = ("seen", "unseen", *(f"{shift:g} sd" for shift in SHIFTS))
    sys.stdout.write(f"{'rows':10}{'':>12}{''.join(f'{head:>9}' for head in heads)}\n")
    for name in given.names or [*SETS, "answers"]:
        if name == "answers":
            answers(given.windows)
            continue
        started, (rows, labels) = time.perf_counter(), SETS[name]()
        false = [alerts(make(rows, labels, given.windows)) for make in (seen, unseen)]
        power = [found(rows, labels, shift) for shift in SHIFTS]
        show(name, f"{len(rows)} x {rows.shape[1]}", [*false, *power], started)


if __name__ == "__main__":
    main()
