"""How good a classifier is: figures on a split, baselines to beat, what its report shows, answers to a user's file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.loader import DataConfig, Dataset
from ..training.optimizer import OptimConfig
from ..types import UNKNOWN, Batch, Measurement

NUM_BINS, NUM_WORST, LINEAR_STEPS = 10, 16, 300  # of calibration; wrong answers in the report; of the linear baseline


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


def measure_fully(model: nn.Module, dataset: Dataset, data: DataConfig) -> Measurement:
    """Return every figure that the report shows: scalars, tables, and the worst errors."""
    from torchmetrics.functional import classification as tm  # noqa: PLC0415 (2 s, needed once a run)

    short, logits, targets, labels = measure(model, dataset), predict(model, dataset), dataset.targets, data.labels
    softmax, counts = logits.softmax(1), torch.bincount(targets, minlength=len(labels)).tolist()
    confidence, answers = softmax.max(1)
    scores = {"precision": tm.multiclass_precision, "recall": tm.multiclass_recall, "f1": tm.multiclass_f1_score}
    columns = {name: score(logits, targets, len(labels), average="none").tolist() for name, score in scores.items()}
    rows = zip(labels, *columns.values(), counts, strict=True)
    table = torch.stack([confidence, right := answers == targets], dim=1)  # [N, 2]
    bins = (confidence * NUM_BINS).long().clamp(max=NUM_BINS - 1)  # Guo et al. (2017, equations 2 and 3)
    means = [(*part.mean(0).tolist(), len(part)) for part in (table[bins == number] for number in bins.unique())]
    wrong = (~right).nonzero().flatten()
    surest = wrong[confidence[wrong].argsort(descending=True)][:NUM_WORST].tolist()
    worst = [(row, labels[int(targets[row])], labels[int(answers[row])], float(confidence[row])) for row in surest]
    figures = {
        **short.metrics,
        "macro_f1": sum(columns["f1"]) / len(labels),
        "calibration_error": float(tm.multiclass_calibration_error(softmax, targets, len(labels), n_bins=NUM_BINS)),
        "num_rows": len(targets),
        "per_class": [dict(zip(("label", *columns, "rows"), row, strict=True)) for row in rows],
        "confusion": tm.multiclass_confusion_matrix(logits, targets, len(labels)).tolist(),
        "calibration": [dict(zip(("confidence", "accuracy", "rows"), mean, strict=True)) for mean in means],
        "worst": [dict(zip(("row", "label", "answer", "probability"), error, strict=True)) for error in worst],
    }
    return replace(short, metrics=figures)


def baselines(train: Dataset, other: Dataset, data: DataConfig) -> dict[str, float]:
    """Return the accuracy on another split of the most frequent class and of logistic regression on the inputs."""
    linear = nn.Linear(train.inputs[0].numel(), len(data.labels))
    for parameter in linear.parameters():
        nn.init.zeros_(parameter)
    optimization = OptimConfig(lr=0.1, warmup_steps=0).build(linear, LINEAR_STEPS)
    for _ in range(LINEAR_STEPS):
        F.cross_entropy(linear(train.inputs.flatten(1)), train.targets).backward()
        optimization.step()
    guesses = {"majority": train.targets.mode().values, "linear": linear(other.inputs.flatten(1)).argmax(1)}
    return {name: float((other.targets == guess).double().mean()) for name, guess in guesses.items()}


def pictures(dataset: Dataset, metrics: dict[str, Any]) -> dict[str, Any]:
    """Return what the page shows beside the figures: the images [N, h, w] of the worst errors."""
    return {"images": dataset.inputs[[error["row"] for error in metrics["worst"]]].tolist()}


def answers(model: nn.Module, data: DataConfig, path: Path) -> list[dict[str, Any]]:
    """Return the label and all probabilities for each row of a file of the user's."""
    index = torch.arange(len(inputs := data.read(path)))
    with torch.inference_mode():
        rows = model(Batch(inputs, torch.full_like(index, UNKNOWN), index), None).outputs.softmax(1)
    named = [(data.labels[max(range(len(row)), key=row.__getitem__)], row) for row in rows.tolist()]
    return [{"label": label, "probabilities": dict(zip(data.labels, row, strict=True))} for label, row in named]
