# copier: filter replace("my_project", package_name)
"""Attacks go where the loss rises, and backward transfer is its formula, on whatever network."""

from pathlib import Path

import pytest
import torch
from torch import nn

from my_project.__main__ import main
from my_project.commands import forgetting, robustness
from my_project.types import Batch, Carry, StepOutput


class Slope(nn.Module):
    """Logits that rise and fall with the mean of the inputs."""

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        height = batch.inputs.mean(1)
        return StepOutput(height.sum(), torch.stack([height, -height], dim=1), {}, carry)


def test_an_attack_goes_where_the_loss_rises_and_stays_in_its_bounds() -> None:
    inputs = torch.rand(6, 5) * 0.9 + 0.05
    batch = Batch(inputs, torch.zeros(6, dtype=torch.long), torch.arange(6))
    expected = (inputs - 0.1).clamp(0, 1)
    torch.testing.assert_close(robustness.fgsm(Slope(), batch, (0.0, 1.0), 0.1), expected)
    torch.testing.assert_close(robustness.pgd(Slope(), batch, (0.0, 1.0), 0.1, 10), expected)


@pytest.mark.parametrize("words", [["--epsilons", "x"], ["--epsilons", "0"], ["--steps", "0"], ["--rows", "0"]])
def test_attacks_that_make_no_sense_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["robustness", "anywhere", *words]) == 2
    assert "want numbers above 0" in capsys.readouterr().err


def test_what_is_no_classifier_is_not_attacked(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["robustness", str(trained)]) == 2
    assert "want a classifier of numbers" in capsys.readouterr().err


def test_backward_transfer_is_the_formula() -> None:
    found = forgetting.summary([[0.9, 0.1, 0.0], [0.5, 0.8, 0.0], [0.4, 0.6, 0.7]])
    assert found["backward_transfer"] == pytest.approx(((0.4 - 0.9) + (0.6 - 0.8)) / 2)
    assert found["mean"] == pytest.approx((0.4 + 0.6 + 0.7) / 3)


def test_tasks_are_sets_of_classes() -> None:
    assert forgetting.parse_tasks("0-2,4,3", 5) == [[0, 1, 2], [4], [3]]
    for text in ("", "0-9", "0-4,4-9", "0-4,5-10", "a,b", "4-0,5"):
        with pytest.raises(ValueError, match="--tasks: got"):
            forgetting.parse_tasks(text, 10)
    # copier: endfilter
