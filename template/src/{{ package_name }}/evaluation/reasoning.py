"""How good answers to puzzles are: figures on a split, baselines, boards for the report, answers to a user's file."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..data.loader import DataConfig, Dataset
from ..data.puzzles import OPEN, Puzzles
from ..models.cells import open_loss
from ..types import UNKNOWN, Batch, Measurement

NUM_BOARDS = 6  # solved ones, and unsolved ones, in the report

logger = logging.getLogger(__name__)


@torch.inference_mode()
def ask(model: nn.Module, dataset: Dataset, batch_size: int = 256) -> tuple[Tensor, dict[str, float]]:
    """Return the model's logits [N, L, V] for every row in order, on the CPU, in fp32, and its own figures' means."""
    model.eval()
    device = next(model.parameters()).device
    parts = torch.arange(len(dataset)).split(batch_size)
    outputs = [model(dataset[part, 0].to(device), None) for part in parts]
    sizes = torch.tensor([len(part) for part in parts]) / len(dataset)
    own = {name: torch.stack([each.metrics[name].cpu() for each in outputs]) @ sizes for name in outputs[0].metrics}
    logits = torch.cat([each.outputs.float().cpu() for each in outputs])
    return logits, {name: float(mean) for name, mean in own.items()}


def predict(model: nn.Module, dataset: Dataset, batch_size: int = 256) -> Tensor:
    """Return the model's logits [N, L, V] for every row in order, on the CPU, in fp32."""
    return ask(model, dataset, batch_size)[0]


def filled(logits: Tensor, inputs: Tensor) -> Tensor:
    """Return answers [N, L] to puzzles [N, L]: given cells as they are, in open ones the likeliest label [N, L, V]."""
    return torch.where(inputs == OPEN, logits[..., 1:].argmax(-1) + 1, inputs)


def score(answers: Tensor, inputs: Tensor, targets: Tensor) -> dict[str, float]:
    """Return of answers to puzzles [N, L] the share that is right as a whole, and the share of open cells that is."""
    right = answers == targets
    whole, cells = right.all(1).double().mean(), right[inputs == OPEN].double().mean()
    return {"puzzles_solved": float(whole), "cell_accuracy": float(cells)}


def summary(logits: Tensor, dataset: Dataset) -> Measurement:
    """Return the few figures of answers [N, L, V] to all rows."""
    inputs, targets = dataset.inputs, dataset.targets
    loss = open_loss(logits, Batch(inputs, targets, torch.arange(len(inputs))))
    figures = {"loss": float(loss), **score(filled(logits, inputs), inputs, targets)}
    solved = figures["puzzles_solved"]
    return Measurement(primary="puzzles_solved", value=solved, higher_is_better=True, metrics=figures)


def measure(model: nn.Module, dataset: Dataset) -> Measurement:
    """Return the few figures that follow a training run."""
    return summary(predict(model, dataset), dataset)


def measure_fully(model: nn.Module, dataset: Dataset, data: DataConfig) -> Measurement:
    """Return every figure that the report shows: scalars, a table by difficulty, and some boards."""
    logger.info("solving %d puzzles", len(dataset))
    (logits, own), inputs, targets = ask(model, dataset), dataset.inputs, dataset.targets
    short, found = summary(logits, dataset), filled(logits, inputs)
    broken, wrong = data.violations(found), (found != targets).sum(1)
    solved = {"puzzles_solved": wrong == 0}
    solved |= {name: (guess == targets).all(1) for name, guess in data.baselines(inputs).items()}
    worst = wrong.argsort(descending=True, stable=True)[:NUM_BOARDS]
    rows = torch.cat([worst, (wrong == 0).nonzero().flatten()[:NUM_BOARDS]]).unique().tolist()
    boards = zip(rows, wrong[rows].tolist(), broken[rows].tolist(), found[rows].tolist(), strict=True)
    figures = {
        **short.metrics,
        "rules_obeyed": float((broken == 0).double().mean()),
        "violations": float(broken.double().mean()),
        "num_rows": len(inputs),
        "own": own,
        "by_difficulty": by_difficulty(data.hardness(inputs, targets), data.difficulty, solved),
        "boards": [dict(zip(("row", "wrong", "violations", "answer"), board, strict=True)) for board in boards],
    }
    return replace(short, metrics=figures)


def by_difficulty(hardness: Tensor, name: str, solved: dict[str, Tensor]) -> list[dict[str, float]]:
    """Return for each difficulty [N] of that name how many puzzles there are, and what share each way [N] solves."""
    table = list[dict[str, float]]()
    for value in hardness.unique().tolist():
        rows = hardness == value
        shares = {way: float(done[rows].double().mean()) for way, done in solved.items()}
        table.append({name: value, "puzzles": int(rows.sum()), **shares})
    return table


def baselines(_: Dataset, other: Dataset, data: DataConfig) -> dict[str, float]:
    """Return the share of a split's puzzles that is solved without learning."""
    guesses = data.baselines(other.inputs)
    return {name: float((guess == other.targets).all(1).double().mean()) for name, guess in guesses.items()}


def pictures(dataset: Dataset, metrics: dict[str, Any]) -> dict[str, Any]:
    """Return what the page shows beside the figures: boards with their cells."""
    boards = [{**board, "cells": cells(board["row"], board["answer"], dataset)} for board in metrics["boards"]]
    return {"boards": boards, "size": dataset.config.size, "box": dataset.config.box}


def cells(row: int, answer: list[int], dataset: Dataset) -> list[tuple[str, str]]:
    """Return of each cell in the answer to a row its symbol, and whether it was given, is right or is wrong."""
    known = zip(answer, dataset.inputs[row].tolist(), dataset.targets[row].tolist(), strict=True)
    sorts = ["given" if token != OPEN else "right" if label == target else "wrong" for label, token, target in known]
    return [(dataset.config.symbols[label], sort) for label, sort in zip(answer, sorts, strict=True)]


def answers(model: nn.Module, data: DataConfig, path: Path) -> list[dict[str, Any]]:
    """Return the answer to each puzzle of a file of the user's, row by row, and whether it obeys the rules."""
    inputs = data.read(path)
    found = filled(predict(model, Puzzles(data, (inputs, torch.full_like(inputs, UNKNOWN)), None)), inputs)
    return [
        {"puzzle": in_rows(puzzle, data), "answer": in_rows(answer, data), "obeys_rules": broken == 0}
        for puzzle, answer, broken in zip(inputs, found, data.violations(found).tolist(), strict=True)
    ]


def in_rows(cells: Tensor, data: DataConfig) -> list[str]:
    """Return the rows of a grid [L] as characters."""
    return ["".join(data.symbols[token] for token in row) for row in cells.view(-1, data.size).tolist()]
