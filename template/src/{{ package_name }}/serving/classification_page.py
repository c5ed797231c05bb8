"""What the page shows of a classifier: an image to draw, or a field for each number of a row; bars of probabilities."""

from typing import Any

from ..data.loader import Dataset, read_manifest
from . import form, pixels
from .page import some
from .predictor import Predictor


def known(predictor: Predictor) -> dict[str, Any]:
    """Return what a row holds: an image, which is drawn, or numbers, which have a field each."""
    manifest, key = read_manifest(predictor.data.root), form.one_list(predictor.row)
    if key and pixels.drawable(manifest["arrays"]["inputs"]):
        return {"key": key, "pixels": pixels.describe(manifest["arrays"]["inputs"])}
    return {"key": key, **form.of_numbers(manifest, key)}


def seen(predictor: Predictor, dataset: Dataset) -> dict[str, Any]:
    """Return rows of the validation split as examples, and what paper looks like in them."""
    data, key, (index, batch) = predictor.data, form.one_list(predictor.row), some(dataset)
    schema = read_manifest(data.root)["arrays"]["inputs"]
    inputs = pixels.in_own_range(batch.inputs, schema)
    notes = [f"row {n}, labelled {data.labels[label]}" for n, label in zip(index, batch.targets.tolist(), strict=True)]
    rows = form.rows_of(inputs, schema, key, dataset)
    page = {"examples": [{"row": row, "note": note} for row, note in zip(rows, notes, strict=True)]}
    return page | ({"pixels": pixels.describe(schema, inputs)} if key and pixels.drawable(schema) else {})
