"""What the page shows of a task that has no page of its own: its rows as JSON."""

from typing import Any

from ..data.loader import Dataset
from .predictor import Predictor


def known(_: Predictor) -> dict[str, Any]:
    """Return nothing more than what every page has: the schema says what a row is."""
    return {}


def seen(_: Predictor, __: Dataset) -> dict[str, Any]:
    """Return nothing: how a row of this task is written is not known here."""
    return {}
