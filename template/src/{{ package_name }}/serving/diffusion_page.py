"""What the page shows of a model that draws: the classes to choose from, and the image that comes out."""

from typing import Any

from ..data.loader import Dataset, read_manifest
from . import pixels
from .page import some
from .predictor import Predictor


def known(predictor: Predictor) -> dict[str, Any]:
    """Return the classes, and how an image is shown."""
    schema = read_manifest(predictor.data.root)["arrays"]["inputs"]
    return {"labels": predictor.data.labels, "pixels": pixels.describe(schema)}


def seen(predictor: Predictor, dataset: Dataset) -> dict[str, Any]:
    """Return classes of validation rows as examples."""
    index, batch = some(dataset)
    labels = [predictor.data.labels[target] for target in batch.targets.tolist()]
    return {
        "examples": [
            {"row": {"label": label, "seed": n}, "note": f"class {label}, seed {n}"}
            for n, label in zip(index, labels, strict=True)
        ]
    }
