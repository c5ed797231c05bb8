"""What the page shows of a classifier of texts: a field to type into, bars of probabilities."""

from typing import Any

from ..data.loader import Dataset
from ..data.tokens import decode
from .page import NUM_EXAMPLES, some
from .predictor import Predictor

UNKNOWN, TRIED = 1, 8 * NUM_EXAMPLES  # the token of every word that is not in the vocabulary; texts looked at


def known(_: Predictor) -> dict[str, Any]:
    """Return nothing more than what every page has."""
    return {}


def seen(predictor: Predictor, dataset: Dataset) -> dict[str, Any]:
    """Return texts of the validation split that have only known words: of others the data kept none."""
    index, batch = some(dataset, TRIED)
    labels = [predictor.data.labels[target] for target in batch.targets.tolist()]
    found = [
        {"row": {"text": " ".join(decode(tokens, dataset.vocabulary))}, "note": f"row {number}, labelled {label}"}
        for number, tokens, label in zip(index, batch.inputs.tolist(), labels, strict=True)
        if UNKNOWN not in tokens and any(tokens)
    ]
    return {"examples": found[:NUM_EXAMPLES]}
