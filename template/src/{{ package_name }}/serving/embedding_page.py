"""What the page shows of a search: a query with suggestions, or an image to draw, and the answers with scores."""

from typing import Any

from ..data.loader import Dataset, read_manifest
from . import pixels
from .page import NUM_EXAMPLES, some
from .predictor import Predictor

MOST = 400  # suggestions: all users or names, or some of many texts
SHADES = "0123456789abcdefghijklmnopqrstuvwxyz"  # of a pixel in a small picture, from paper to ink


def known(predictor: Predictor) -> dict[str, Any]:
    """Return how an image is drawn, where one can be searched with."""
    if "pixels" not in predictor.row.model_fields:
        return {}
    return {"pixels": pixels.describe(read_manifest(predictor.data.root)["arrays"]["inputs"])}


def seen(predictor: Predictor, dataset: Dataset) -> dict[str, Any]:
    """Return queries of the validation split: some as examples, and more as suggestions where these are few."""
    search = dataset.searches()[-1]  # where images and names are searched by one another: by names
    texts = dataset.texts if isinstance(getattr(dataset, "texts", None), list) else search.queries.labels
    names = [str(texts[row]) for row in search.relevant.any(1).nonzero().flatten().tolist()]
    few = names[:: max(1, len(names) // NUM_EXAMPLES)][:NUM_EXAMPLES]
    page = {"suggestions": names if len(names) <= MOST else few}
    examples = [{"row": {"query": name}, "note": ""} for name in few]
    if "pixels" not in predictor.row.model_fields:
        return {**page, "examples": examples}
    return {**page, **pictured(predictor, dataset, examples)}


def pictured(predictor: Predictor, dataset: Dataset, examples: list[dict[str, Any]]) -> dict[str, Any]:
    """Return examples of names and of images by turns, and the images that are found by their names."""
    schema, (index, batch) = read_manifest(predictor.data.root)["arrays"]["inputs"], some(dataset)
    images = pixels.numbers(batch.inputs["image"] * float(schema["maximum"]), schema)
    drawn = [{"row": {"pixels": image}, "note": f"row {row}"} for row, image in zip(index, images, strict=True)]
    gallery = predictor.data.gallery()
    strength = (gallery.images.flatten(1) * (len(SHADES) - 1)).round().long().tolist()
    shown = {name: "".join(SHADES[shade] for shade in row) for name, row in zip(gallery.labels, strength, strict=True)}
    both = [one for pair in zip(examples, drawn, strict=False) for one in pair]
    return {"examples": both, "gallery": shown, "pixels": pixels.describe(schema)}
