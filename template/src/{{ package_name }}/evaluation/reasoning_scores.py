"""What the share of solved puzzles is made of: solved as a whole or not, puzzle by puzzle."""

from torch import nn

from ..data.loader import Dataset
from .reasoning import filled, predict
from .row_statistics import Scores, score_rows


def scores(model: nn.Module, dataset: Dataset) -> Scores:
    """Return 1 for each puzzle that is solved as a whole and 0 for the others."""
    solved = (filled(predict(model, dataset), dataset.inputs) == dataset.targets).all(1)
    return score_rows(solved, dataset.targets, primary="puzzles_solved", higher_is_better=True, share=True)
