"""Histories of which the next steps are foretold: values in, quantiles of each step out, and when it will be."""

import math
import re
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import AfterValidator, BaseModel, Field
from torch import Tensor, nn

from ..data.loader import Dataset
from ..data.series import read_clock
from ..data.timeline import Clock, on_steps
from ..models.quantiles import LEVELS, Quantiles
from ..types import Batch
from .rows import LARGEST, Number, make
from .stored import Stored

MEDIAN = LEVELS.index(0.5)
PLAIN = re.compile(r"[-\d:T. ]+")  # what a time without a zone is written with
MOST = 2**16  # steps of a history; what a model sees of it is less


def clock_of(data: Stored) -> Clock:
    """Return what the manifest says of time."""
    clock: Clock = data.once("clock", lambda: read_clock(data.root))
    return clock


def row(data: Stored) -> type[BaseModel]:
    """Return what one input is: values on equal steps, null where one is missing, and perhaps when the last was."""
    clock, least = clock_of(data), data.history
    about = f"values at steps of {clock.step} {clock.unit}, null where none was measured; {least} or more"
    long = AfterValidator(lambda history: long_enough(history, least))
    timed = AfterValidator(lambda last: last if last is None else clock.name(time_of(last, clock)))
    history = Annotated[list[Number | None], Field(max_length=MOST), long]
    last_time = Annotated[str | None, Field(max_length=40), timed]
    return make(
        {"history": example(data), "last_time": clock.name(0)},
        history=(history, Field(description=about)),
        last_time=(last_time, Field(default=None, description="when the last value was measured, to name the steps")),
    )


def long_enough(history: list[float | None], least: int) -> list[float | None]:
    """Refuse a history that is too short from its first value on: nothing can stand for what comes before it."""
    missing = next((place for place, value in enumerate(history) if value is not None), len(history))
    if (found := len(history) - missing) < least:
        raise ValueError(f"got {found} steps from the first value on, want {least} or more")
    return history


def time_of(text: str, clock: Clock) -> int:
    """Return a time in units since 1970; ValueError where it is none, or none of that unit."""
    plain = text if PLAIN.fullmatch(text) else "NaT"
    try:
        time: Any = np.datetime64(plain, clock.unit)  # type: ignore[call-overload]
    except (ValueError, TypeError, OverflowError):
        time = np.datetime64("NaT")
    if np.isnat(time):
        raise ValueError(f"got {text!r}, want a time, as in {clock.name(0)}")
    return int(time.astype(np.int64))


def example(data: Stored) -> list[float]:
    """Return a history that goes up and down with the seasons, in the range that the manifest says, if it says one."""
    schema, period = data.manifest["arrays"]["targets"], clock_of(data).period
    low, high = (schema[end] for end in ("minimum", "maximum"))
    low, high = (low, high) if high - low < math.sqrt(LARGEST) else (-1.0, 1.0)
    waves = [math.sin(2 * math.pi * step / max(2, period)) for step in range(data.history)]
    return [float(f"{(low + high) / 2 + (high - low) / 50 * wave:.6g}") for wave in waves]


def encode(rows: list[Any], data: Stored) -> Tensor:
    """Turn rows into histories [B, L, 2]: values, or the last one before a gap, and 1 where they were measured."""
    return torch.stack([window(row.history, data) for row in rows])


def window(history: list[float | None], data: Stored) -> Tensor:
    """Return the end of one history, [L, 2]."""
    values = np.array([math.nan if value is None else value for value in history])
    first, clock = int((~np.isnan(values)).argmax()), clock_of(data)
    return on_steps(np.arange(len(values))[first:] * clock.step, values[first:], clock)[-data.history :]


def forward(model: nn.Module, inputs: Tensor, _: list[Any]) -> Tensor:
    """Return quantiles [B, H, Q] after histories [B, L, 2]; nobody knows what followed: values and marks are 0."""
    horizon = next(part.horizon for part in model.modules() if isinstance(part, Quantiles))
    targets = inputs.new_zeros(len(inputs), horizon, 2)
    index = torch.arange(len(inputs), device=inputs.device)
    outputs: Tensor = model(Batch(inputs, targets, index), None).outputs
    return outputs


def decode(outputs: Tensor, rows: list[Any], data: Stored) -> list[dict[str, Any]]:
    """Turn quantiles [B, H, Q] into answers; the uncertainty is the mean width of the widest interval."""
    unit, widths = data.manifest.get("unit"), (outputs[..., -1] - outputs[..., 0]).mean(1).tolist()
    records = list[dict[str, Any]]()
    last = [row.last_time for row in rows] or [None] * len(outputs)
    for time, steps, width in zip(last, outputs.tolist(), widths, strict=True):
        quantiles = [dict(zip(map(str, LEVELS), step, strict=True)) for step in steps]
        record = {"answer": [step[MEDIAN] for step in steps], "confidence": None, "uncertainty": width}
        record |= {"quantiles": quantiles, "times": times_after(time, len(steps), clock_of(data))}
        records.append(record | ({"unit": unit} if unit else {}))
    return records


def times_after(last: str | None, count: int, clock: Clock) -> list[str] | None:
    """Return the times of the steps after the last one, if it is known."""
    if last is None:
        return None
    time = time_of(last, clock)
    return [clock.name(time + step * clock.step) for step in range(1, count + 1)]


def truths(dataset: Dataset, index: Tensor, _: Stored) -> list[list[float]]:
    """Return what followed the histories [B] of a data set, NaN where it is missing."""
    values, marks = dataset.targets[index].unbind(-1)
    truth: list[list[float]] = values.masked_fill(marks == 0, math.nan).tolist()
    return truth


def features(inputs: Tensor, _: list[Any], __: Stored) -> dict[str, Tensor]:
    """Return what is watched of histories [B, L, 2]: their level, spread and growth, and how much is missing."""
    values, marks = inputs.unbind(-1)
    return {
        "last": values[:, -1],
        "mean": values.mean(1),
        "spread": values.std(1, correction=0),
        "growth": values[:, -1] - values[:, 0],
        "change": values.diff(dim=1).abs().mean(1) if values.shape[1] > 1 else values[:, 0] * 0,
        "missing": 1 - marks.mean(1),
    }
