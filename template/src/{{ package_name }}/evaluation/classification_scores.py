"""What the accuracy of a classifier is made of: right or wrong, row by row."""

from torch import nn

from ..data.loader import Dataset
from .classification import predict
from .row_statistics import Scores, score_rows


def scores(model: nn.Module, dataset: Dataset) -> Scores:
    """Return 1 for each row that is answered rightly and 0 for the others."""
    right = predict(model, dataset).argmax(1) == dataset.targets
    return score_rows(right, dataset.targets, primary="accuracy", higher_is_better=True, share=True)
