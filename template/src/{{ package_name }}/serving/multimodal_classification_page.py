"""What the page shows of a classifier of images with captions: an image to draw, a caption, bars of probabilities."""

from typing import Any

from ..data.loader import Dataset, read_manifest
from ..data.tokens import decode
from . import pixels
from .page import some
from .predictor import Predictor


def known(predictor: Predictor) -> dict[str, Any]:
    """Return how an image is drawn, and the words that a caption can have."""
    schema = read_manifest(predictor.data.root)["arrays"]["inputs"]
    return {"pixels": pixels.describe(schema), "words": predictor.data.vocabulary[2:]}


def seen(predictor: Predictor, dataset: Dataset) -> dict[str, Any]:
    """Return rows of the validation split as examples, and what paper looks like in them."""
    data, (index, batch) = predictor.data, some(dataset)
    schema = read_manifest(data.root)["arrays"]["inputs"]
    images = batch.inputs["image"] * float(schema["maximum"])
    captions = [" ".join(decode(words, dataset.vocabulary)) for words in batch.inputs["words"].tolist()]
    labels = [data.labels[target] for target in batch.targets.tolist()]
    rows = zip(index, pixels.numbers(images, schema), captions, labels, strict=True)
    found = [{"row": {"pixels": p, "text": t}, "note": f"row {n}, labelled {label}"} for n, p, t, label in rows]
    return {"examples": found, "pixels": pixels.describe(schema, images)}
