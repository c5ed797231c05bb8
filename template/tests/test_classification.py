# copier: filter replace("my_project", package_name)
"""The figures of a classifier are right."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from my_project.evaluation import classification
from my_project.types import Batch, Carry, StepOutput


class Rows:
    """A data set of what it is given."""

    def __init__(self, inputs: Tensor, targets: Tensor) -> None:
        self.inputs, self.targets = inputs, targets

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, key: tuple[Tensor, int]) -> Batch:
        return Batch(self.inputs[key[0]], self.targets[key[0]], key[0])


class Echo(nn.Module):
    """A model whose logits are its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.zero = nn.Parameter(torch.zeros(1))

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        return StepOutput(batch.inputs.sum(), batch.inputs + self.zero, {}, carry)


def measured(logits: Tensor, targets: list[int]) -> dict[str, Any]:
    rows = Rows(logits, torch.tensor(targets))
    labels = [chr(ord("a") + number) for number in range(logits.shape[1])]
    return dict(classification.measure_fully(Echo(), rows, SimpleNamespace(labels=labels)).metrics)


def test_figures_equal_those_counted_by_hand() -> None:
    answers, targets = [0, 0, 1, 1, 2, 0], [0, 1, 1, 1, 2, 2]
    found = measured(torch.eye(3)[answers] * 9, targets)
    assert found["confusion"] == [[1, 0, 0], [1, 2, 0], [1, 0, 1]]
    assert found["accuracy"] == pytest.approx(4 / 6)
    f1 = [2 * 1 / (2 * 1 + 2), 2 * 2 / (2 * 2 + 1), 2 * 1 / (2 * 1 + 1)]
    assert [row["f1"] for row in found["per_class"]] == pytest.approx(f1)
    assert found["macro_f1"] == pytest.approx(sum(f1) / 3)
    assert [row["rows"] for row in found["per_class"]] == [1, 3, 2]
    assert [row["precision"] for row in found["per_class"]] == pytest.approx([1 / 3, 1, 1])
    assert [row["recall"] for row in found["per_class"]] == pytest.approx([1, 2 / 3, 1 / 2])


def test_calibration_compares_confidence_with_accuracy() -> None:
    sure, unsure = torch.tensor([0.95, 0.05]).log(), torch.tensor([0.65, 0.35]).log()
    found = measured(torch.stack([sure] * 4 + [unsure] * 2), [0, 0, 0, 1, 0, 1])
    assert [(round(b["confidence"], 4), b["accuracy"], b["rows"]) for b in found["calibration"]] == [
        (0.65, 0.5, 2),
        (0.95, 0.75, 4),
    ]
    assert found["calibration_error"] == pytest.approx((2 * 0.15 + 4 * 0.20) / 6, abs=1e-5)


def test_worst_errors_are_wrong_and_the_surest_come_first() -> None:
    found = measured(torch.tensor([[1.0, 0.0], [0.0, 5.0], [0.0, 2.0], [3.0, 0.0]]), [0, 0, 0, 0])
    assert [(error["row"], error["label"], error["answer"]) for error in found["worst"]] == [
        (1, "a", "b"),
        (2, "a", "b"),
    ]
    assert found["worst"][0]["probability"] > found["worst"][1]["probability"]


def test_evaluation_changes_neither_weights_nor_gradients() -> None:
    model = Echo()
    before = [p.clone() for p in model.parameters()]
    logits = classification.predict(model, Rows(torch.eye(3), torch.arange(3)))
    assert not logits.requires_grad
    assert all(torch.equal(a, b) and b.grad is None for a, b in zip(before, model.parameters(), strict=True))


def test_batches_of_any_size_give_the_same_answers() -> None:
    rows = Rows(torch.randn(10, 3), torch.zeros(10, dtype=torch.long))
    assert torch.equal(classification.predict(Echo(), rows, 3), classification.predict(Echo(), rows, 100))


def test_baselines_are_the_most_frequent_class_and_a_line() -> None:
    inputs = torch.tensor([[-2.0], [-1.0], [1.0], [2.0], [3.0]])
    rows = Rows(inputs, (inputs[:, 0] > 0).long())
    assert classification.baselines(rows, rows, SimpleNamespace(labels="01")) == {
        "majority": pytest.approx(0.6),
        "linear": 1.0,
    }
    # copier: endfilter
