"""How much a model's figure rests on each part of its inputs: the drop where that part comes from other rows.

Permutation importance (Breiman 2001, section 10; Fisher et al. 2019). A part is what the data offer: a column of a
table, a patch of an image, steps back in a series, places in a text, a side of several. Parts that say the same can
stand in for each other, and then none of them looks important.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ..data.loader import Dataset
from ..types import Batch, map_carry

DRAWS, MOST_ROWS = 5, 256  # permutations of a part; validation rows that they are measured on
FEWEST_DRAWS, FEWEST_ROWS = 3, 32  # of a slow model
MOST_SECONDS = 10.0  # that a section of the report may take; what cannot be done in that time is left out
MOST_PATCHES, MOST_COLUMNS, MOST_CHANNELS = 6, 60, 4  # a side of an image; inputs; values of a step or a pixel

logger = logging.getLogger(__name__)
Change = Callable[[Any, Any], Any]  # of inputs and those of other rows, to inputs with one part of the others


@dataclass(frozen=True)
class Part:
    """A part of the inputs, by name, and how it is taken from other rows; `place` is [row, column] on an image."""

    name: str
    change: Change
    place: tuple[int, int] | None = None


EVERYTHING = Part("everything", lambda _, others: others)


class Chosen:
    """Some rows of a data set, a part of whose inputs may come from others; all else is that of the data set."""

    def __init__(self, whole: Dataset, rows: Tensor, others: Tensor | None = None, part: Part | None = None) -> None:
        self.whole, self.rows, self.others, self.part = whole, rows, others, part
        self.inputs = map_carry(whole.inputs, lambda values: values[rows])  # as they are: an answer may be held to them
        self.targets = whole.targets[rows]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole, name)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: tuple[Tensor, int]) -> Batch:
        index, seed = key
        batch: Batch = self.whole[self.rows[index], seed]
        if self.part is None or self.others is None:
            return replace(batch, index=index)
        others = self.whole[self.others[index], seed].inputs
        return replace(batch, index=index, inputs=self.part.change(batch.inputs, others))


def importance(figures: Any, model: nn.Module, data: Dataset) -> dict[str, Any] | None:
    """Return by how much the primary figure gets worse without each part, or None where no part stands for itself."""
    parts, sort = find_parts(data)
    if not parts:
        return None
    draw = torch.Generator().manual_seed(0)
    rows = torch.randperm(len(data), generator=draw)[:MOST_ROWS]
    rows, draws = fitting(figures, model, data, rows, len(parts))
    if not draws:
        return None
    whole = figures.measure(model, Chosen(data, rows))
    sign = 1 if whole.higher_is_better else -1
    drops = list[list[float]]()
    for part in parts:
        orders = [rows[torch.randperm(len(rows), generator=draw)] for _ in range(draws)]
        values = [figures.measure(model, Chosen(data, rows, others, part)).value for others in orders]
        drops.append([sign * (whole.value - value) for value in values])
    table = [describe(part, torch.tensor(each)) for part, each in zip(parts, drops, strict=True)]
    return {
        "primary": whole.primary,
        "value": whole.value,
        "rows": len(rows),
        "draws": draws,
        "by": sort,
        "parts": table,
    }


def fitting(figures: Any, model: nn.Module, data: Dataset, rows: Tensor, count: int) -> tuple[Tensor, int]:
    """Return the rows of [N], and draws, for which there is time; 0 where a figure does not read rows from batches."""
    few = rows[:FEWEST_ROWS]
    _, seconds = (clock(lambda: figures.measure(model, Chosen(data, few))) for _ in range(2))  # the first one warms up
    affordable(few, seconds * count)
    started = time.perf_counter()
    whole, mixed = (figures.measure(model, Chosen(data, rows, rows.roll(1), part)) for part in (None, EVERYTHING))
    if whole.value == mixed.value:
        return rows, 0
    seconds = (time.perf_counter() - started) / 2 * count
    kept, draws = affordable(rows, seconds)
    if (seconds := seconds * draws * len(kept) / len(rows)) > 1:
        logger.info("importance of inputs: about %.0f s", seconds)
    return kept, draws


def clock(work: Callable[[], Any]) -> float:
    """Return how long work takes [s]."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def describe(part: Part, drops: Tensor) -> dict[str, Any]:
    """Return what is known of a part, of drops [K] over as many permutations: their mean and standard deviation."""
    mean, spread = float(drops.mean()), float(drops.std())
    clear = abs(mean) > 2 * spread
    return {"name": part.name, "drop": mean, "spread": spread, "clear": clear, "place": part.place}


def affordable(rows: Tensor, seconds: float) -> tuple[Tensor, int]:
    """Return as many of the rows [N], and draws, as fit into the time, where a draw on all of them takes so long.

    TimeoutError where the fewest do not.
    """
    share = min(1.0, MOST_SECONDS / max(DRAWS * seconds, 1e-9))
    count = max(min(FEWEST_ROWS, len(rows)), int(len(rows) * share))
    draw = seconds * count / len(rows)
    draws = min(DRAWS, int(MOST_SECONDS / max(draw, 1e-9)))
    if draws < FEWEST_DRAWS:
        raise TimeoutError(f"{count} rows would take about {FEWEST_DRAWS * draw:.0f} s, at most {MOST_SECONDS:.0f} s")
    return rows[:count], draws


def find_parts(data: Dataset) -> tuple[list[Part], str]:
    """Return the parts of a data set's inputs, and what they are; none where no part of a row stands for itself."""
    if hasattr(data, "searches") or not hasattr(data, "targets"):  # rows are measured against one another, or as a text
        return [], ""
    inputs, wide = data[torch.arange(1), 0].inputs, data.targets.shape[1:]
    match (inputs.is_floating_point(), *inputs.shape[1:]) if isinstance(inputs, Tensor) else inputs:
        case dict():
            parts, sort = [Part(name, side(name)) for name in inputs], "side"
        case (False, length) if wide != inputs.shape[1:]:  # else each place has an answer of its own
            parts, sort = places(length), "place"
        case (True, count):
            parts, sort = columns(data, count), "column"
        case (True, length, channels) if channels <= MOST_CHANNELS < length:
            parts, sort = lags(length), "lag"
        case (True, height, width, channels) if channels <= MOST_CHANNELS:
            parts, sort = patches(height, width, after=1), "patch"
        case (True, *_, height, width):
            parts, sort = patches(height, width), "patch"
        case _:
            parts, sort = [], ""
    return parts, sort


def side(name: str) -> Change:
    """Return how one side of a mapping of inputs is taken from others."""
    return lambda inputs, others: {**inputs, name: others[name]}


def masked(mask: Tensor) -> Change:
    """Return how the places of a mask [...] are taken from others."""
    return lambda inputs, others: torch.where(mask.to(inputs.device), others, inputs)


def columns(data: Dataset, count: int) -> list[Part]:
    """Return a part for each column, known by its name or more; a category, one input a value, is one part."""
    given = getattr(data, "columns", None) or [f"input {place}" for place in range(count)]
    known = [{"name": column} if isinstance(column, str) else column for column in given]
    widths = [len(column.get("values", "-")) for column in known]
    if sum(widths) != count or len(known) > MOST_COLUMNS:
        return []
    starts = torch.tensor([0, *widths]).cumsum(0).tolist()
    spans = zip(known, starts, starts[1:], strict=False)
    return [Part(column["name"], masked(between(count, first, last))) for column, first, last in spans]


def between(count: int, first: int, last: int) -> Tensor:
    """Return which of so many places lie from the first on and before the last, [count]."""
    places = torch.arange(count)
    return (first <= places) & (places < last)


def doubling(count: int) -> list[tuple[int, int]]:
    """Return where pieces of 1, 1, 2, 4 and more places begin and end, over so many places."""
    ends = [0, 1]
    while ends[-1] < count:
        ends.append(min(count, 2 * ends[-1]))
    return list(pairwise(ends))


def lags(length: int) -> list[Part]:
    """Return parts of a history: the last step, that before it, twice as many before these, and so on."""
    pieces = doubling(length)
    spans = [(f"{low + 1} to {high} back" if high > low + 1 else f"{high} back", low, high) for low, high in pieces]
    return [Part(name, masked(between(length, length - high, length - low)[:, None])) for name, low, high in spans]


def places(length: int) -> list[Part]:
    """Return parts of a text: the first place, the second, twice as many after these, and so on."""
    pieces = doubling(length)
    spans = [(f"{low + 1} to {high}" if high > low + 1 else f"{high}", low, high) for low, high in pieces]
    return [Part(f"place {name}", masked(between(length, low, high))) for name, low, high in spans]


def patches(height: int, width: int, *, after: int = 0) -> list[Part]:
    """Return parts of an image: squares in a grid; `after` axes, such as that of the channels, follow its own."""
    size = -(-max(height, width) // MOST_PATCHES)
    found = list[Part]()
    for y in range(0, height, size):
        for x in range(0, width, size):
            mask = between(height, y, y + size)[:, None] & between(width, x, x + size)
            mask = mask.reshape(height, width, *[1] * after)
            found.append(Part(f"rows {y} to {y + size - 1}, columns {x} to {x + size - 1}", masked(mask), (y, x)))
    return found
