# copier: filter replace("my_project", package_name)
"""The contrastive loss is the one of the formula, and knows which rows are no negatives."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from my_project.models.contrastive import Contrast
from my_project.models.text_tower import pool
from my_project.types import UNKNOWN


def embeddings(count: int, seed: int = 0) -> Tensor:
    return F.normalize(torch.randn(count, 2, 5, generator=torch.Generator().manual_seed(seed)), dim=2)


def naive(rows: Tensor, targets: list[int], temperature: float) -> float:
    """Return the loss as a sum over anchors, directions and negatives."""
    losses = []
    for anchor, target in enumerate(targets):
        if target != UNKNOWN:
            others = [n for n, t in enumerate(targets) if t not in {UNKNOWN, target}]
            for side in (0, 1):
                exponents = [float(rows[anchor, side] @ rows[n, 1 - side]) / temperature for n in [anchor, *others]]
                losses.append(math.log(sum(map(math.exp, exponents))) - exponents[0])
    return sum(losses) / len(losses)


@pytest.mark.parametrize(
    "targets", [[0, 1, 2, 3, 4, 5], [0, 1, 0, 2, 1, 0], [0, UNKNOWN, 1, 0, UNKNOWN, 2], [UNKNOWN, 7, 7, 7, 7, 7]]
)
def test_the_loss_equals_a_naive_loop(targets: list[int]) -> None:
    loss = Contrast(0.2)(embeddings(6), torch.tensor(targets)).loss
    assert loss.item() == pytest.approx(naive(embeddings(6), targets, 0.2), abs=1e-5)


def test_the_loss_of_two_rows_equals_the_one_counted_by_hand() -> None:
    rows = torch.tensor([[[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]])
    assert Contrast(0.5)(rows, torch.tensor([3, 4])).loss.item() == pytest.approx(math.log(1 + math.exp(-2)))


def test_rows_of_one_thing_are_not_pushed_apart() -> None:
    rows = embeddings(3).requires_grad_()
    Contrast(0.1)(rows, torch.tensor([7, 7, 7])).loss.backward()
    assert rows.grad is not None
    assert not rows.grad.any()


def test_rows_that_nobody_knows_change_nothing() -> None:
    rows, targets = embeddings(6), torch.tensor([0, 1, 2, 3, UNKNOWN, UNKNOWN])
    whole, part = Contrast(0.1)(rows, targets), Contrast(0.1)(rows[:4], targets[:4])
    torch.testing.assert_close(whole.loss, part.loss)
    nobody = Contrast(0.1)(rows, torch.full((6,), UNKNOWN))
    assert nobody.loss.item() == 0


def test_a_row_is_compared_with_the_whole_batch_so_parts_of_it_have_a_smaller_loss() -> None:
    rows, targets, contrast = embeddings(8), torch.arange(8), Contrast(0.1)
    halves = [contrast(rows[part], targets[part]).loss for part in (slice(4), slice(4, 8))]
    assert sum(halves) / 2 < contrast(rows, targets).loss


def test_the_temperature_is_learned_and_has_a_floor() -> None:
    contrast, right = Contrast(0.5), torch.eye(4)[:, None].expand(-1, 2, -1)
    output = contrast(right, torch.arange(4))
    output.loss.backward()
    assert output.metrics["temperature"].item() == pytest.approx(0.5)
    assert contrast.sharpness.grad is not None
    assert contrast.sharpness.grad.item() < 0  # right answers: sharper would be better
    assert Contrast(1e-6)(right, torch.arange(4)).metrics["temperature"].item() == pytest.approx(0.01)


def test_padding_counts_for_nothing_in_a_mean() -> None:
    tokens, weights = torch.randn(2, 4, 3), torch.tensor([[1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    expected = torch.stack([tokens[0, :2].mean(0), tokens[1, 0]])
    torch.testing.assert_close(pool(tokens, weights), expected)


def test_the_mean_of_no_token_is_nought_and_has_a_gradient_of_nought() -> None:
    tokens = torch.randn(2, 4, 3, requires_grad=True)
    empty = pool(tokens, torch.zeros(2, 4))
    (1e3 * empty).sum().backward()
    assert not empty.any()
    assert tokens.grad is not None
    assert not tokens.grad.any()
    # copier: endfilter
