# copier: filter replace("my_project", package_name)
"""Stable-max is what its paper says, finite everywhere, and rows weigh the same."""

import torch
from torch import nn
from torch.nn import functional as F

from my_project.models import stablemax
from my_project.types import UNKNOWN


def test_stable_max_is_what_its_paper_defines() -> None:
    logits, targets = torch.randn(50, 6, dtype=torch.double) * 5, torch.randint(6, (50,))
    s = torch.where(logits >= 0, logits + 1, 1 / (1 - logits))
    want = -(s / s.sum(1, keepdim=True)).log().gather(1, targets[:, None])[:, 0]
    torch.testing.assert_close(stablemax.stablemax_cross_entropy(logits, targets), want)


def test_stable_max_passes_gradcheck_and_has_a_slope_at_zero() -> None:
    targets = torch.tensor([0, 2])
    logits = torch.tensor([[0.0, 1.0, -1.0], [-3.0, 0.0, 0.5]], dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(stablemax.stablemax_cross_entropy, (logits, targets))


def test_stable_max_is_finite_for_huge_logits() -> None:
    logits = torch.tensor([[1e30, -1e30]], requires_grad=True)
    stablemax.stablemax_cross_entropy(logits, torch.tensor([1])).sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_a_row_counts_as_right_when_all_its_known_targets_are_met() -> None:
    targets = torch.tensor([[1, 0], [1, UNKNOWN], [0, 0], [UNKNOWN, UNKNOWN]])
    logits = nn.functional.one_hot(torch.tensor([[1, 0], [1, 1], [0, 1], [0, 0]]), 2).float()
    correct, known = stablemax.judge(logits, targets, "row")
    assert correct.tolist() == [1, 1, 0, 1]
    assert known.tolist() == [True, True, True, False]
    assert stablemax.judge(logits, targets, "tokens")[0].tolist() == [1, 1, 0.5, 0]


def test_each_row_weighs_the_same_however_many_of_its_targets_are_known() -> None:
    logits, targets = torch.randn(2, 3, 4), torch.tensor([[0, 1, 2], [3, UNKNOWN, UNKNOWN]])
    rows = [stablemax.answer_loss(logits[row : row + 1], targets[row : row + 1]) for row in range(2)]
    torch.testing.assert_close(stablemax.answer_loss(logits, targets), torch.stack(rows).mean())


def test_softmax_of_the_scores_is_stable_max() -> None:
    logits, targets = torch.randn(50, 6), torch.randint(6, (50,))
    found = F.cross_entropy(stablemax.scores(logits), targets, reduction="none")
    torch.testing.assert_close(found, stablemax.stablemax_cross_entropy(logits, targets), rtol=0, atol=0)
    assert torch.equal(stablemax.scores(logits).argmax(-1), logits.argmax(-1))
    # copier: endfilter
