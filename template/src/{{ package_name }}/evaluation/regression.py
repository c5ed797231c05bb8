"""How well numbers are predicted: figures on a split, baselines, what the report shows, answers to a user's file."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..data.loader import DataConfig, Dataset
from ..models.regressor import LEVELS, pinball
from ..types import Batch, Measurement

NUM_WORST, NUM_POINTS, NUM_PARTS = 16, 400, 3  # rows in the report: worst, drawn; parts of a column with numbers
PENALTIES = torch.logspace(-3, 5, 33, dtype=torch.float64)  # of ridge regression on standardised columns


@torch.inference_mode()
def predict(model: nn.Module, dataset: Dataset, batch_size: int = 256) -> tuple[Tensor, float]:
    """Return the model's answers [N, 1], or with their interval [N, 3], on the CPU, in fp64, and its mean loss."""
    model.eval()
    device = next(model.parameters()).device
    parts = torch.arange(len(dataset)).split(batch_size)
    outputs = [model(dataset[part, 0].to(device), None) for part in parts]
    loss = sum(float(output.loss) * len(part) for output, part in zip(outputs, parts, strict=True)) / len(dataset)
    return torch.cat([output.outputs.double().cpu() for output in outputs]), loss


def errors(answers: Tensor, targets: Tensor) -> dict[str, float]:
    """Return root mean squared and mean absolute error of answers [N] to targets [N], in the targets' unit."""
    error = answers - targets
    return {"rmse": float(error.square().mean().sqrt()), "mae": float(error.abs().mean())}


def measure(model: nn.Module, dataset: Dataset) -> Measurement:
    """Return the few figures that follow a training run."""
    outputs, loss = predict(model, dataset)
    figures = {"loss": loss, **errors(middle(outputs), dataset.targets.double())}
    return Measurement(primary="rmse", value=figures["rmse"], higher_is_better=False, metrics=figures)


def middle(outputs: Tensor) -> Tensor:
    """Return the answers [N] of outputs [N, 1], or [N, 3] with the ends of an interval on either side."""
    return outputs[:, outputs.shape[1] // 2]


def measure_fully(model: nn.Module, dataset: Dataset, _: DataConfig) -> Measurement:
    """Return every figure that the report shows: scalars, intervals, errors by column, points to draw, worst rows."""
    short, outputs, targets = measure(model, dataset), predict(model, dataset)[0], dataset.targets.double()
    answers = middle(outputs)
    worst = (answers - targets).abs().argsort(descending=True)[:NUM_WORST].tolist()
    drawn = torch.linspace(0, len(targets) - 1, min(NUM_POINTS, len(targets))).long()
    figures = {
        **short.metrics,
        "r2": float(1 - (answers - targets).square().sum() / (targets - targets.mean()).square().sum()),
        "num_rows": len(targets),
        **(intervals(outputs, targets) if outputs.shape[1] > 1 else {}),
        "by_column": by_column(dataset.rows(list(range(len(targets)))), targets - answers),
        "points": torch.cat([targets[:, None], outputs], dim=1)[drawn].tolist(),
        "worst": [{"row": row, "target": float(targets[row]), "answer": float(answers[row])} for row in worst],
    }
    return replace(short, metrics=figures)


def intervals(outputs: Tensor, targets: Tensor) -> dict[str, Any]:
    """Return how many targets [N] outputs [N, 3] have in their intervals, how wide those are, and the pinball loss."""
    low, _, high = outputs.unbind(1)
    below = (targets[:, None] <= outputs).double().mean(0).tolist()
    return {
        "coverage": float(((low <= targets) & (targets <= high)).double().mean()),
        "interval_width": float((high - low).mean()),
        "pinball": float(pinball(outputs, targets).mean()),
        "levels": [{"level": level, "below": share} for level, share in zip(LEVELS, below, strict=True)],
    }


def by_column(rows: list[dict[str, Any]], residuals: Tensor) -> list[dict[str, Any]]:
    """Return for each column and part of it the number of rows, root mean square and mean of residuals [N]."""
    found = list[dict[str, Any]]()
    for name in rows[0]:
        for part, index in divide([row[name] for row in rows]).items():
            own = residuals[index]
            figures = {"rmse": float(own.square().mean().sqrt()), "residual": float(own.mean())}
            found.append({"column": name, "part": part, "rows": len(index), **figures})
    return found


def divide(values: list[Any]) -> dict[str, list[int]]:
    """Return the row numbers of each part of a column: of each word, or of each third of its numbers by size."""
    places, order = list[Any](values), sorted(set(values))
    if not isinstance(values[0], str):
        numbers = torch.tensor(values, dtype=torch.float64)
        edges = numbers.quantile(torch.arange(1, NUM_PARTS, dtype=torch.float64) / NUM_PARTS)
        places = torch.bucketize(numbers, edges).tolist()
        order = sorted(set(places))
    parts = [[row for row, place in enumerate(places) if place == wanted] for wanted in order]
    return {label([values[row] for row in part]): part for part in parts}


def label(values: list[Any]) -> str:
    """Return what values have in common: the word, or the range of the numbers."""
    if isinstance(values[0], str):
        return values[0]
    low, high = f"{min(values):.4g}", f"{max(values):.4g}"
    return low if low == high else f"{low} to {high}"


def baselines(train: Dataset, other: Dataset, _: DataConfig) -> dict[str, float]:
    """Return the root mean squared error on another split of the training mean and of ridge regression."""
    targets = train.targets.double()
    guesses = {"mean": targets.mean().expand(len(other)), "ridge": ridge(train, other)}
    return {name: errors(guess, other.targets.double())["rmse"] for name, guess in guesses.items()}


def ridge(train: Dataset, other: Dataset) -> Tensor:
    """Return what ridge regression on standardised inputs answers to another split's rows, [N].

    Of all penalties it takes that with the least squared error on training rows, each left out in its turn; this error
    has a closed form (PRESS: Allen 1974).
    """
    inputs, targets = train.inputs.double(), train.targets.double()
    mean, scale = inputs.mean(0), inputs.std(0, correction=0)
    scale = torch.where(scale > 0, scale, 1.0)
    left, sizes, right = torch.linalg.svd((inputs - mean) / scale, full_matrices=False)  # [N, F], [F], [F, F]
    factors = sizes / (sizes.square() + PENALTIES[:, None])  # [P, F]
    along = left.T @ (targets - targets.mean())  # [F]
    residuals = targets - targets.mean() - (factors * sizes * along) @ left.T  # [P, N]
    leverage = 1 / len(targets) + (factors * sizes) @ left.square().T  # [P, N], the intercept's too
    best = (residuals / (1 - leverage)).square().sum(1).argmin()
    weight = right.T @ (factors[best] * along)  # [F]
    answers: Tensor = (other.inputs.double() - mean) / scale @ weight + targets.mean()
    return answers


def pictures(dataset: Dataset, metrics: dict[str, Any]) -> dict[str, Any]:
    """Return what the page shows beside the figures: plots, and the rows of the worst errors, by column."""
    targets, outputs = torch.tensor(metrics["points"], dtype=torch.float64).tensor_split([1], dim=1)  # [P, 1], [P, K]
    answers = middle(outputs).unsqueeze(1)
    both, largest = torch.cat([targets, answers], dim=1), float((targets - answers).abs().max())
    plots = {
        "answers": plot(targets, answers, ends(both), ends(both)),
        "residuals": plot(answers, targets - answers, ends(both), (-largest, largest)),
    }
    if outputs.shape[1] > 1:
        order = answers[:, 0].argsort()
        shown = torch.cat([targets, outputs], dim=1)[order]  # [P, 4]
        plots["intervals"] = plot(torch.arange(len(order))[:, None], shown, (0, len(order) - 1), ends(shown))
    return {"plots": plots, "rows": dataset.rows([error["row"] for error in metrics["worst"]])}


def ends(values: Tensor) -> tuple[float, float]:
    """Return the least and the greatest of values [...]."""
    return float(values.min()), float(values.max())


def plot(across: Tensor, up: Tensor, x_ends: tuple[float, float], y_ends: tuple[float, float]) -> dict[str, Any]:
    """Return the ends of both axes, and of each point [P, 1], [P, K] its place between them, from 0 to 1."""
    sides = ((across, x_ends), (up, y_ends))
    places = torch.cat([(values - low) / ((high - low) or 1) for values, (low, high) in sides], dim=1)
    return {"x": x_ends, "y": y_ends, "points": places.tolist()}


def answers(model: nn.Module, data: DataConfig, path: Path) -> list[dict[str, Any]]:
    """Return the answer to each row of a file of the user's, and its interval where the model has one."""
    index = torch.arange(len(inputs := data.read(path)))
    with torch.inference_mode():
        outputs = model(Batch(inputs, torch.full((len(index),), math.nan), index), None).outputs
    names = ("low", "answer", "high") if outputs.shape[1] > 1 else ("answer",)
    return [dict(zip(names, row, strict=True)) for row in outputs.tolist()]
