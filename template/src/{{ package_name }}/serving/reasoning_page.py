"""What the page shows of a solver of puzzles: a board to fill in, and the steps of the answer one after another."""

from typing import Any

from ..data.loader import Dataset
from .page import some
from .predictor import Predictor


def known(predictor: Predictor) -> dict[str, Any]:
    """Return the board: its size, its boxes, the symbols of its cells, the first of which is an open cell."""
    data = predictor.data
    return {"size": data.size, "box": data.box, "symbols": data.symbols, "steps": "steps" in predictor.row.model_fields}


def seen(predictor: Predictor, dataset: Dataset) -> dict[str, Any]:
    """Return puzzles of the validation split as examples."""
    symbols, (index, batch) = predictor.data.symbols, some(dataset)
    puzzles = ["".join(symbols[token] for token in row) for row in batch.inputs.tolist()]
    return {"examples": [{"row": {"puzzle": p}, "note": f"puzzle {n}"} for n, p in zip(index, puzzles, strict=True)]}
