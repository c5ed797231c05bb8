"""How good a classifier is: figures on a split, baselines to beat, gates to pass."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

import torch
from pydantic import Field, NonNegativeInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from ..types import STRICT, Dataset, Measurement

NUM_BINS, L2_PENALTY = 10, 1e-3  # of the calibration error; of the linear baseline
Record = dict[str, Any]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class EvaluationConfig:
    """What `evaluate --gate` demands, and what the report shows."""

    target: Annotated[float, Field(ge=0, le=1)] = 0.0
    """least accuracy"""
    max_gap: Annotated[float, Field(ge=0, le=1)] = 0.05
    """most by which the accuracy on the training split may be higher"""
    num_worst: NonNegativeInt = 16
    """wrong answers that the report shows"""

    def failures(self, record: Record) -> list[str]:
        """Return one line for each demand that the figures of `evaluation.json` miss."""
        name, value, gap = record["primary"], record["value"], record["gap"]
        baseline, bar = max(record["baselines"].items(), key=lambda item: item[1])
        lines = {
            f"{name} {value:.4f} is below the target {self.target:.4f}": value < self.target,
            f"{name} {value:.4f} does not beat the {baseline} baseline {bar:.4f}": value <= bar,
            f"gap {gap:.4f} to the training split is above {self.max_gap:.4f}": gap > self.max_gap,
        }
        return [line for line, failed in lines.items() if failed]


@torch.inference_mode()
def predict(model: nn.Module, dataset: Dataset, batch_size: int = 256) -> Tensor:
    """Return the model's logits [N, C] for every row in order, on the CPU, in fp32."""
    model.eval()
    device = next(model.parameters()).device
    parts = torch.arange(len(dataset)).split(batch_size)
    return torch.cat([model(dataset[part, 0].to(device), None).outputs.float().cpu() for part in parts])


def measure(model: nn.Module, dataset: Dataset) -> Measurement:
    """Return the few figures that follow a training run."""
    logits, targets = predict(model, dataset), dataset.targets
    accuracy = float((logits.argmax(1) == targets).double().mean())
    figures = {"loss": float(F.cross_entropy(logits, targets)), "accuracy": accuracy}
    return Measurement(primary="accuracy", value=accuracy, higher_is_better=True, metrics=figures)


def measure_fully(model: nn.Module, dataset: Dataset, labels: Sequence[str], num_worst: int) -> Measurement:
    """Return every figure that the report shows: scalars, tables, and the worst errors."""
    from torchmetrics.functional import classification as tm  # noqa: PLC0415 (2 s, needed once a run)

    short, logits, targets, classes = measure(model, dataset), predict(model, dataset), dataset.targets, len(labels)
    probabilities = logits.softmax(1)
    functions = (tm.multiclass_precision, tm.multiclass_recall, tm.multiclass_f1_score)
    precision, recall, f1 = (score(logits, targets, classes, average="none").tolist() for score in functions)
    counts = torch.bincount(targets, minlength=classes).tolist()
    keys = ("label", "precision", "recall", "f1", "rows")
    figures = {
        **short.metrics,
        "macro_f1": sum(f1) / classes,
        "calibration_error": float(tm.multiclass_calibration_error(probabilities, targets, classes, n_bins=NUM_BINS)),
        "num_rows": len(targets),
        "per_class": [
            dict(zip(keys, row, strict=True)) for row in zip(labels, precision, recall, f1, counts, strict=True)
        ],
        "confusion": tm.multiclass_confusion_matrix(logits, targets, classes).tolist(),
        "calibration": calibration(probabilities, targets),
        "worst": worst(probabilities, targets, labels, num_worst),
    }
    return replace(short, metrics=figures)


def calibration(probabilities: Tensor, targets: Tensor) -> list[Record]:
    """Return mean confidence and accuracy of the answers [N, C] by bins (Guo et al. 2017, equations 2 and 3)."""
    confidence, answers = probabilities.max(1)
    bins = (confidence * NUM_BINS).long().clamp(max=NUM_BINS - 1)
    table = torch.stack([confidence, (answers == targets).float()], dim=1)  # [N, 2]
    parts = (table[bins == number] for number in bins.unique())
    return [dict(zip(("confidence", "accuracy"), p.mean(0).tolist(), strict=True)) | {"rows": len(p)} for p in parts]


def worst(probabilities: Tensor, targets: Tensor, labels: Sequence[str], count: int) -> list[Record]:
    """Return the wrong answers [N, C] that the model was surest of, most certain first."""
    confidence, answers = probabilities.max(1)
    wrong = (answers != targets).nonzero().flatten()
    rows = wrong[confidence[wrong].argsort(descending=True)][:count].tolist()
    names = [(row, labels[int(targets[row])], labels[int(answers[row])]) for row in rows]
    return [{"row": r, "label": label, "answer": a, "probability": float(confidence[r])} for r, label, a in names]


def baselines(train: Dataset, other: Dataset, num_classes: int) -> dict[str, float]:
    """Return the accuracy on another split of what costs no thought, fitted on the training split.

    majority: the most frequent class. linear: logistic regression on the inputs, by L-BFGS.
    """
    inputs, linear = train.inputs.flatten(1), nn.Linear(train.inputs[0].numel(), num_classes)
    for parameter in linear.parameters():
        nn.init.zeros_(parameter)
    lbfgs = torch.optim.LBFGS(linear.parameters(), max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> float:
        lbfgs.zero_grad()
        loss = F.cross_entropy(linear(inputs), train.targets) + L2_PENALTY * linear.weight.square().sum()
        loss.backward()
        return loss.item()

    lbfgs.step(closure)
    majority = torch.bincount(train.targets, minlength=num_classes).argmax()
    guesses = {"majority": majority, "linear": linear(other.inputs.flatten(1)).argmax(1)}
    return {name: float((other.targets == guess).double().mean()) for name, guess in guesses.items()}
