"""What the root mean squared error of predicted numbers is made of: a squared error for each row."""

from torch import nn

from ..data.loader import Dataset
from .regression import middle, predict
from .row_statistics import Scores, score_rows


def scores(model: nn.Module, dataset: Dataset) -> Scores:
    """Return the squared error of each row; the figure is the root of their mean."""
    errors = middle(predict(model, dataset)[0]) - dataset.targets.double()
    return score_rows(errors.square(), dataset.targets, primary="rmse", higher_is_better=False, root=True)
