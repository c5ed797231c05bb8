"""What the page shows of a classifier of rows of a table: a field for each column, bars of probabilities."""

from typing import Any

from ..data.loader import Dataset, read_manifest
from . import form
from .page import some
from .predictor import Predictor


def known(predictor: Predictor) -> dict[str, Any]:
    """Return the fields of a row."""
    manifest = read_manifest(predictor.data.root)
    return {"fields": form.fields(manifest["columns"], manifest["arrays"]["inputs"])}


def seen(predictor: Predictor, dataset: Dataset) -> dict[str, Any]:
    """Return rows of the validation split as examples."""
    index, batch = some(dataset)
    labels = [predictor.data.labels[target] for target in batch.targets.tolist()]
    rows = zip(index, dataset.rows(index), labels, strict=True)
    return {"examples": [{"row": row, "note": f"row {n}, labelled {label}"} for n, row, label in rows]}
