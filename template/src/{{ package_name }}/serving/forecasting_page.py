"""What the page shows of a forecaster: a history as numbers, and a chart of it with what may follow."""

from typing import Any

import numpy as np

from ..data.loader import Dataset, read_manifest
from ..data.series import read_clock
from .page import some
from .predictor import Predictor

Values = list[float | None]  # None where nothing was measured


def known(predictor: Predictor) -> dict[str, Any]:
    """Return the length of a history, and the unit of its values."""
    data = predictor.data
    return {"history": data.history, "horizon": data.horizon, "unit": read_manifest(data.root).get("unit", "")}


def seen(predictor: Predictor, dataset: Dataset) -> dict[str, Any]:
    """Return windows of the validation split as examples, with what followed each of them."""
    clock, (index, batch) = read_clock(predictor.data.root), some(dataset)
    found = list[dict[str, Any]]()
    for number, history, after in zip(index, batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        begins = dataset.names[number]  # when what is to be forecast begins
        last = int(np.array(begins, f"datetime64[{clock.unit}]").astype(np.int64)) - clock.step
        row = {"history": values(history), "last_time": clock.name(last)}
        found.append({"row": row, "note": f"what follows begins at {begins}", "truth": values(after)})
    return {"examples": found}


def values(steps: list[list[float]]) -> Values:
    """Return what was measured at steps of a value and a mark each, no more digits than fp32 has."""
    return [float(str(np.float32(value))) if mark else None for value, mark in steps]
