# copier: filter replace("my_project", package_name)
"""Figures are right, the test split opens once, the report is one file that shows them."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from my_project import run as commands
from my_project.evaluation import classification
from my_project.evaluation.report import EvaluationConfig
from my_project.types import Batch, Carry, StepOutput

EXAMPLE = Path(__file__).parents[1] / "examples" / "digit.csv"


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


def test_a_short_run_beats_both_baselines_clearly(trained: Path) -> None:
    record = json.loads((trained / "evaluation.json").read_text())
    assert record.keys() >= {"split", "primary", "value", "higher_is_better", "baselines", "metrics"}
    assert (record["split"], record["primary"]) == ("val", "accuracy")
    assert record["value"] >= max(0.95, *record["baselines"].values())  # 0.95: labels that teach nothing beat nothing
    assert sum(map(sum, record["metrics"]["confusion"])) == record["metrics"]["num_rows"] == 270


@pytest.mark.parametrize(
    ("values", "failures"),
    [
        ({}, 0),
        ({"value": 0.5}, 2),
        ({"gap": 0.2}, 1),
        ({"baselines": {"linear": 0.99}}, 1),
    ],
)
def test_the_gate_names_each_demand_that_is_missed(values: dict[str, Any], failures: int) -> None:
    figures = {"primary": "accuracy", "value": 0.9, "gap": 0.01, "higher_is_better": True}
    record = {**figures, "baselines": {"majority": 0.1, "linear": 0.8}, **values}
    assert len(EvaluationConfig(target=0.85).failures(record)) == failures


def test_where_lower_is_better_a_gate_looks_downwards() -> None:
    figures = {"primary": "rmse", "value": 2.0, "gap": 0.01, "higher_is_better": False, "baselines": {"mean": 3.0}}
    assert EvaluationConfig().failures(figures) == []
    assert EvaluationConfig(target=0.0).failures(figures) == ["rmse 2.0000 misses the target 0.0"]
    assert EvaluationConfig(target=2.5).failures({**figures, "value": 3.5}) == [
        "rmse 3.5000 misses the target 2.5",
        "rmse 3.5000 does not beat the mean baseline 3.0000",
    ]


def test_the_test_split_opens_once_for_each_checkpoint(trained: Path, workspace: Path) -> None:
    checkpoint, run = (trained / "best.pt").read_bytes(), workspace / "run"
    run.mkdir()
    (run / "best.pt").write_bytes(checkpoint)
    with pytest.raises(ValueError, match="sealed"):
        commands.evaluate(run, split="test")
    with pytest.raises(ValueError, match="sealed"):
        commands.evaluate(run, final=True)
    assert commands.evaluate(run, split="test", final=True)["split"] == "test"
    receipt = (run / "final.json").read_text()
    with pytest.raises(ValueError, match="opened for it already"):
        commands.evaluate(run, split="test", final=True)
    assert (run / "final.json").read_text() == receipt
    (run / "best.pt").write_bytes((trained / "previous.pt").read_bytes())
    commands.evaluate(run, split="test", final=True)
    (run / "best.pt").write_bytes(checkpoint)
    with pytest.raises(ValueError, match="opened for it already"):
        commands.evaluate(run, split="test", final=True)


def test_training_and_validation_never_open_the_test_file(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    read_bytes = Path.read_bytes

    def recording(path: Path) -> bytes:
        opened.append(path.name)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", recording)
    commands.train("mlp", {"train.steps": 2})
    assert "digits.npz" in opened
    assert "digits_test.npz" not in opened


def test_predictions_are_probabilities_with_a_label(trained: Path) -> None:
    (answer,) = commands.predict(trained, EXAMPLE)
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert answer["label"] == max(answer["probabilities"], key=answer["probabilities"].__getitem__) == "3"


def test_the_report_is_one_file_with_the_figures_of_the_evaluation(trained: Path) -> None:
    page, record = (trained / "report.html").read_text(), json.loads((trained / "evaluation.json").read_text())
    for figure in (record["value"], record["metrics"]["macro_f1"], *record["baselines"].values()):
        assert f"<b>{figure:.4f}</b>" in page
    assert page.count("<figcaption>") == len(record["metrics"]["worst"])
    assert page.count('<svg class="figure"') == 3  # two curves and the calibration
    assert not re.findall(r"""(?:src|href)=["'](?!#)""", page)
    assert "[[" not in page


def test_a_report_is_made_from_what_lies_in_the_run_folder(trained: Path) -> None:
    before = (trained / "report.html").read_text()
    assert commands.report(trained) == str(trained / "report.html")
    assert (trained / "report.html").read_text() == before


def test_names_in_a_report_cannot_break_the_page(trained: Path) -> None:
    record = json.loads((trained / "evaluation.json").read_text())
    record["metrics"]["per_class"][0]["label"] = "<script>"
    (trained / "evaluation.json").write_text(json.dumps(record))
    commands.report(trained)
    assert "<script>" not in (trained / "report.html").read_text()
    commands.evaluate(trained)
    commands.report(trained)


def unchanged(path: Path, act: Callable[[], object]) -> bool:
    before = path.read_bytes()
    act()
    return path.read_bytes() == before


def test_a_gate_that_fails_ends_with_status_one_after_writing_everything(trained: Path) -> None:
    assert unchanged(trained / "best.pt", lambda: commands.evaluate(trained, gate=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EvaluationConfig, "failures", lambda *_: ["too low"])
        with pytest.raises(SystemExit) as failed:
            commands.evaluate(trained, gate=True)
    assert failed.value.code == 1
    # copier: endfilter
