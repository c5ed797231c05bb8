"""How good a classifier of images and captions is: as any classifier, beside what either side brings alone."""

import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from ..data.loader import DataConfig, Dataset
from ..data.tokens import decode
from ..types import UNKNOWN, Batch, Measurement
from . import classification
from .classification import measure

__all__ = ["answers", "baselines", "measure", "measure_fully", "pictures"]
SIDES = {"image": ["image"], "words": ["words"], "image and words": ["image", "words"]}  # what a baseline sees

logger = logging.getLogger(__name__)


def measure_fully(model: nn.Module, dataset: Dataset, data: DataConfig) -> Measurement:
    """Return every figure that the report shows, and the accuracy of the same model without one of its sides."""
    full = classification.measure_fully(model, dataset, data)
    without = {side: measure(model, dataset.without(side)).value for side in dataset.inputs}
    return replace(full, metrics={**full.metrics, "without": without})


def baselines(train: Dataset, other: Dataset, data: DataConfig) -> dict[str, float]:
    """Return the accuracy on another split of the most frequent class, and of logistic regression.

    Logistic regression sees the pixels, or how often a caption has each word, or both beside each other.
    """
    figures = dict[str, float]()
    for number, (name, sides) in enumerate(SIDES.items(), start=1):
        logger.info("baseline %d of %d: %s", number, len(SIDES), name)
        ours, theirs = (flatten(split, sides) for split in (train, other))
        found = classification.baselines(ours, theirs, data)
        figures |= {"majority": found["majority"], f"linear, {name}": found["linear"]}
    return figures


def flatten(split: Dataset, sides: list[str]) -> Any:
    """Return a split whose inputs [N, F] are the pixels and word counts of the named sides."""
    image, words = split.inputs["image"].flatten(1), split.inputs["words"]
    counts = torch.zeros(len(words), len(split.vocabulary)).scatter_add(1, words, (words > 0).float())
    parts = {"image": image, "words": counts}
    return SimpleNamespace(inputs=torch.cat([parts[side] for side in sides], dim=1), targets=split.targets)


def pictures(dataset: Dataset, metrics: dict[str, Any]) -> dict[str, Any]:
    """Return what the page shows beside the figures: images [N, h, w] and captions of the worst errors."""
    rows = [error["row"] for error in metrics["worst"]]
    words = [" ".join(decode(caption, dataset.vocabulary)) for caption in dataset.inputs["words"][rows].tolist()]
    return {"images": dataset.inputs["image"][rows].tolist(), "captions": words}


def answers(model: nn.Module, data: DataConfig, path: Path) -> list[dict[str, Any]]:
    """Return the label and all probabilities for each row of a file of the user's."""
    inputs = data.read(path)
    index = torch.arange(len(inputs["image"]))
    with torch.inference_mode():
        rows = model(Batch(inputs, torch.full_like(index, UNKNOWN), index), None).outputs.softmax(1).tolist()
    named = [dict(zip(data.labels, row, strict=True)) for row in rows]
    return [{"label": max(row, key=row.__getitem__), "probabilities": row} for row in named]
