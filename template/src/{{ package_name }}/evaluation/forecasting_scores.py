"""What the scaled error of forecasts is made of: sums over stretches of time, not over windows that overlap."""

import torch
from torch import Tensor, nn

from ..data.loader import Dataset
from .forecasting import MEDIAN, in_sample_error, predict, truth
from .row_statistics import Scores, score_rows


def scores(model: nn.Module, dataset: Dataset) -> Scores:
    """Return absolute errors, in units of MASE, by the stretch of time that they fall into.

    A measured value is forecast by as many windows as reach it. All these errors are counted in one piece: the stretch,
    one horizon long, that holds the value. What errors of neighbouring stretches have in common is not seen: where it
    is much, intervals are too narrow.
    """
    values, known = truth(dataset)
    errors = (predict(model, dataset)[0][..., MEDIAN] - values).abs().where(known, 0.0) / in_sample_error(dataset)
    pieces = [by_time(part.double()) for part in (errors, known)]
    return score_rows(pieces[0], dataset.targets, counts=pieces[1], primary="mase", higher_is_better=False)


def by_time(values: Tensor) -> Tensor:
    """Return sums of values [N, H], of which [n, h] is of time n + h, over stretches of H steps or a little more."""
    num_rows, horizon = values.shape
    times = torch.arange(num_rows)[:, None] + torch.arange(horizon)  # [N, H]
    count = max(1, (num_rows + horizon - 1) // horizon)
    places = (times // horizon).clamp(max=count - 1)  # what is left at the end belongs to the last stretch
    return values.new_zeros(count).index_add(0, places.flatten(), values.flatten())
