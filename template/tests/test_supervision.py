# copier: filter replace("my_project", package_name)
"""Halted rows give their place to others, cost nothing more, and how they halted is told."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from my_project.models import supervision
from my_project.models.act import ActHead, Halting
from my_project.types import Batch, Carry

OPTIONS: dict[str, Any] = {
    "max_steps": 6,
    "exploration": 0.0,
    "halt_weight": 1.0,
    "ponder_weight": 0.0,
    "diversity_weight": 0.0,
    "least_std": 1.0,
    "halt_target": "row",
    "halt_pool": "mean",
}


class Countdown(nn.Module):
    """A recursive model of one's own: its rows are right, and know it, after as many steps as their input says."""

    def __init__(self, **changes: Any) -> None:
        super().__init__()
        self.act, self.thought_about = ActHead(8, Halting(**{**OPTIONS, **changes})), list[int]()

    def start(self, inputs: Tensor) -> Carry:
        return {"left": inputs[:, 0].clone()}

    def think(self, inputs: Tensor, state: Carry) -> tuple[Carry, Tensor, Tensor]:
        self.thought_about.append(len(inputs))
        left = state["left"] - 1
        right = (left <= 0).float()
        logits = nn.functional.one_hot((left <= 0).long(), 2)[:, None].float()  # class 1 is right
        return {"left": left}, logits * 9 - left[:, None, None] * 0.01, right * 4 - 2


def rows_of(*steps: int) -> Batch:
    size = len(steps)
    return Batch(torch.tensor(steps)[:, None], torch.ones(size, 1, dtype=torch.long), torch.arange(size))


def test_rows_that_have_halted_cost_nothing_more() -> None:
    model = Countdown().eval()
    output = supervision.answer(model, rows_of(1, 3, 1, 2), early_stop=True)
    assert model.thought_about == [4, 2, 1]
    assert output.metrics["exact"] == 1


def test_without_early_stop_every_row_takes_every_step() -> None:
    model = Countdown().eval()
    supervision.answer(model, rows_of(1, 3, 1, 2), early_stop=False)
    assert model.thought_about == [4] * 6


@pytest.mark.parametrize("early_stop", [True, False])
def test_halting_steps_and_their_variance_are_told(early_stop: bool) -> None:
    metrics = supervision.answer(Countdown().eval(), rows_of(1, 3, 1, 9), early_stop=early_stop).metrics
    assert metrics["steps"].item() == (1 + 3 + 1 + 6) / 4
    assert metrics["steps_variance"].item() == pytest.approx(torch.tensor([1.0, 3, 1, 6]).var(correction=0).item())
    assert metrics["halt_accuracy"] == 1
    assert metrics["exact"] == 0.75
    assert metrics["halt_base_rate"].item() == pytest.approx(8 / 11)  # 11 decisions, 3 of them to halt


def test_rows_of_equal_difficulty_have_no_variance() -> None:
    assert supervision.answer(Countdown().eval(), rows_of(2, 2, 2), early_stop=True).metrics["steps_variance"] == 0


def test_in_training_variance_is_that_of_the_rows_that_halt() -> None:
    model, carry, seen = Countdown(), None, []
    for _ in range(3):
        output = supervision.supervise(model, rows_of(1, 3, 1, 2), carry)
        carry = output.carry
        seen.append((output.metrics["steps"].item(), output.metrics["steps_variance"].item()))
    assert seen == [(1, 0), (pytest.approx(4 / 3), pytest.approx(2 / 9)), (pytest.approx(5 / 3), pytest.approx(8 / 9))]


def test_a_batch_of_another_size_than_the_carry_is_refused() -> None:
    model = Countdown()
    carry = supervision.supervise(model, rows_of(1, 2, 3), None).carry
    with pytest.raises(ValueError, match="a batch of 2 rows, want 3"):
        supervision.supervise(model, rows_of(1, 2), carry)
    # copier: endfilter
