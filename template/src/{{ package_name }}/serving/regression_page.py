"""What the page shows of a predicted number: a field for each column, and the number in its interval on a scale."""

from typing import Any

from ..data.loader import Dataset, read_manifest
from . import form
from .page import some
from .predictor import Predictor


def known(predictor: Predictor) -> dict[str, Any]:
    """Return the fields of a row, and the scale of the answers."""
    manifest, key = read_manifest(predictor.data.root), form.one_list(predictor.row)
    target, ends = manifest.get("target", {}), manifest["arrays"]["targets"]
    page = {"unit": target.get("unit", ""), "ends": [ends["minimum"], ends["maximum"]], "key": key}
    return {**page, **form.of_numbers(manifest, key)}


def seen(predictor: Predictor, dataset: Dataset) -> dict[str, Any]:
    """Return rows of the validation split as examples."""
    manifest, (index, batch) = read_manifest(predictor.data.root), some(dataset)
    key, unit = form.one_list(predictor.row), manifest.get("target", {}).get("unit", "")
    whole = hasattr(dataset, "values")  # the numbers and words of a table, before they became inputs
    rows = dataset.rows(index) if whole else form.rows_of(batch.inputs, manifest["arrays"]["inputs"], key, dataset)
    found = zip(index, rows, batch.targets.tolist(), strict=True)
    notes = [(row, f"row {n}, measured {value:.4g} {unit}".strip(), value) for n, row, value in found]
    return {"examples": [{"row": row, "note": note, "truth": value} for row, note, value in notes]}
