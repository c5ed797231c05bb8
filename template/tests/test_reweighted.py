# copier: filter replace("my_project", package_name)
"""Class weights and the focal loss are what their formulas say, around any classifier."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from my_project.models.nested import check_weights, kinds, make_base
from my_project.models.reweighted import (
    ReweightedConfig,
    reweighted_loss,
)
from my_project.types import UNKNOWN, Batch, Carry, StepOutput


@dataclass(frozen=True)
class LineConfig:
    num_classes: int = 3
    kind: str = "line"
    label_smoothing: float = 0.0

    def build(self) -> "Line":
        return Line()


class Line(nn.Module):
    """Logits that are linear in the inputs, a loss that nobody wants, and a carry."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.prepared = nn.Linear(4, 3), 0

    def prepare(self, dataset: Any) -> None:
        self.prepared = len(dataset.targets)

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        logits = self.layer(batch.inputs)
        return StepOutput(logits.sum() * 1000, logits, {"seen": torch.tensor(1.0)}, carry)


def batch(targets: list[int]) -> Batch:
    inputs = torch.randn(len(targets), 4, generator=torch.Generator().manual_seed(0))
    return Batch(inputs, torch.tensor(targets, dtype=torch.long), torch.arange(len(targets)))


def model(**options: Any) -> Any:
    torch.manual_seed(0)
    return ReweightedConfig(base=LineConfig(), **options).build()


def test_without_weights_and_gamma_it_is_the_cross_entropy() -> None:
    whole, plain = batch([0, 1, 2, 2, UNKNOWN]), model(class_weights="none", label_smoothing=0.1)
    output = plain(whole, "carried")
    expected = F.cross_entropy(output.outputs[:4], whole.targets[:4], label_smoothing=0.1)
    torch.testing.assert_close(output.loss, expected)
    assert (output.carry, list(output.metrics)) == ("carried", ["seen"])


def test_weights_multiply_the_loss_of_their_class() -> None:
    rows = [0, 1, 1, 2]
    output = model(class_weights=[1, 2, 0.5])(batch(rows))
    each = F.cross_entropy(output.outputs, torch.tensor(rows), reduction="none")
    torch.testing.assert_close(output.loss, (each * torch.tensor([1, 2, 2, 0.5])).mean())


def test_balanced_weights_are_one_on_average_and_every_class_counts_alike() -> None:
    balanced, targets = model(), torch.tensor([0] * 6 + [1] * 3 + [2] + [UNKNOWN])
    balanced.prepare(SimpleNamespace(targets=targets))
    torch.testing.assert_close(balanced.weights, torch.tensor([10 / 18, 10 / 9, 10 / 3]))
    assert balanced.weights[targets[:-1]].mean().item() == pytest.approx(1)
    assert balanced.base.prepared == 11
    assert "weights" in balanced.state_dict()


def test_given_weights_are_not_counted_anew() -> None:
    given = model(class_weights=[1, 2, 3])
    given.prepare(SimpleNamespace(targets=torch.tensor([0, 0, 1])))
    assert given.weights.tolist() == [1, 2, 3]


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_the_focal_loss_is_the_formula(gamma: float) -> None:
    rows = [0, 1, 2, 2]
    output = model(class_weights=[1, 2, 3], focal_gamma=gamma)(batch(rows))
    sure = output.outputs.softmax(1)[range(4), rows]
    expected = -torch.tensor([1, 2, 3, 3]) * (1 - sure) ** gamma * sure.log()
    torch.testing.assert_close(output.loss, expected.mean())


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("size", [1e4, 0.0, -1e4])
def test_gradients_are_finite_for_rows_that_are_sure(gamma: float, size: float) -> None:
    logits = torch.tensor([[size, 0.0], [0.0, size]], requires_grad=True)
    loss = reweighted_loss(logits, torch.tensor([0, 1]), torch.ones(2), gamma, 0.0)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss.isfinite()
    assert gradient.isfinite().all()


def test_parts_of_a_batch_add_up_to_the_whole() -> None:
    weighted, whole = model(class_weights=[1, 9, 2], focal_gamma=2), batch([0, 1, 2, 2, 0, 1])
    parts = [weighted(part).loss * len(part.index) / 6 for part in whole.split(2)]
    torch.testing.assert_close(sum(parts[1:], start=parts[0]), weighted(whole).loss)


@pytest.mark.parametrize("targets", [[], [UNKNOWN, UNKNOWN]])
def test_rows_whose_answer_nobody_knows_have_loss_zero(targets: list[int]) -> None:
    output = model(focal_gamma=2)(batch(targets))
    assert output.loss.item() == 0
    output.loss.backward()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_weights": [1, 2]}, "class_weights are 2, base has num_classes 3"),
        ({"class_weights": [1, 2, 0]}, "want none, balanced or a number above 0 for each class"),
        ({"class_weights": "heavy"}, "want none, balanced or a number above 0 for each class"),
        ({"base": LineConfig(num_classes=0)}, "base line has no num_classes"),
        ({"base": LineConfig(label_smoothing=0.1)}, "set label_smoothing beside base"),
        ({"base": {"kind": "nope"}}, "want a mapping with a kind, one of "),
        ({"base": ""}, "want a mapping with a kind, one of "),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ReweightedConfig(**{"base": LineConfig(), **options})


def test_a_base_is_found_by_the_name_of_its_file_and_its_options_are_checked() -> None:
    room = ReweightedConfig.__module__.rpartition(".")[0]
    known = kinds(room)
    assert known["reweighted"] is ReweightedConfig
    assert "nested" not in known
    with pytest.raises(ValueError, match="want options of reweighted, one of kind, base, .*; 'depht' is none"):
        make_base(room, {"kind": "reweighted", "depht": 3})
    assert check_weights([1, 2]) == (1.0, 2.0)


def outputs(of: nn.Module, rows: Batch) -> Tensor:
    found: Tensor = of(rows).outputs
    return found


def test_the_answers_are_the_bases_own() -> None:
    weighted, rows = model(focal_gamma=2), batch([0, 1, 2])
    assert torch.equal(outputs(weighted, rows), outputs(weighted.base, rows))
    # copier: endfilter
