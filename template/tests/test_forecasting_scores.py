# copier: filter replace("my_project", package_name)
"""Errors of forecasts come into the stretch of time that they fall into, whichever window made them."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from my_project.evaluation import forecasting_scores
from my_project.models.quantiles import LEVELS
from my_project.types import Batch, Carry, StepOutput

NUM_ROWS, HORIZON = 4, 3
ERRORS = 2.0 ** torch.arange(NUM_ROWS * HORIZON).reshape(NUM_ROWS, HORIZON)  # every sum of some of them is another
MISSING = (1, 1)  # row and step whose value was not measured


class Windows(SimpleNamespace):
    """Four windows, one step apart, of a series of zeros; in training its seasons differ by 2."""

    def __init__(self) -> None:
        marks = torch.ones(NUM_ROWS, HORIZON)
        marks[MISSING] = 0
        training = torch.tensor([[0.0, 1], [2, 1], [0, 1], [2, 1]])
        super().__init__(targets=torch.stack([0 * marks, marks], dim=2), training=training, period=1)

    def __len__(self) -> int:
        return NUM_ROWS

    def __getitem__(self, key: tuple[Tensor, int]) -> Batch:
        index, _ = key
        return Batch(torch.zeros(len(index), 1), self.targets[index], index)


class Planted(nn.Module):
    """Is wrong by what is planted, in the median; the other quantiles are far off."""

    def __init__(self) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(()))

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        output = StepOutput(self.anchor, ERRORS[batch.index, :, None] + torch.tensor(LEVELS) * 1e6 - 5e5, {})
        return replace(output, carry=carry)


def test_errors_come_into_their_stretch_of_time_in_units_of_the_season() -> None:
    found = forecasting_scores.scores(Planted(), Windows())
    early = [(0, 0), (0, 1), (0, 2), (1, 0), (2, 0)]  # row n, step h is of time n + h: below 3, (1, 1) was not measured
    late = [(1, 2), (2, 1), (2, 2), (3, 0), (3, 1), (3, 2)]
    sums = [sum(float(ERRORS[place]) for place in places) for places in (early, late)]
    assert found.counts[:, 0].tolist() == [len(early), len(late)]
    assert found.totals[:, 0] == pytest.approx([each / 2 for each in sums])
    assert found.value == pytest.approx(sum(sums) / 2 / 11)


@pytest.mark.parametrize(("rows", "sizes"), [(1, [3]), (3, [9]), (4, [6, 6]), (5, [6, 9]), (7, [6, 9, 6])])
def test_what_is_left_at_the_end_belongs_to_the_last_stretch(rows: int, sizes: list[int]) -> None:
    assert forecasting_scores.by_time(torch.ones(rows, HORIZON)).tolist() == sizes
    # copier: endfilter
