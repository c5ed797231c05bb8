"""Puzzles to be solved, as a request has them: the cells of a board in, all of them filled out, step by step if asked.

The file here that is named as the kind of the data says what a puzzle is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..data.puzzles import OPEN, Puzzles
from ..evaluation.reasoning import filled
from ..types import UNKNOWN, Batch
from .stored import Stored


def encode(rows: list[Any], data: Stored) -> Tensor:
    """Turn rows into tokens [B, L], 0 where a cell is open."""
    return torch.tensor([[data.symbols.index(cell) for cell in row.puzzle] for row in rows])


class Thoughts:
    """What a recursive model says after each step of thinking: answers [B, S, L] and chances to be done [B, S]."""

    def __init__(self, model: Any, num_rows: int) -> None:
        self.model, self.going = model, torch.arange(num_rows)
        self.said: list[list[tuple[Tensor, Tensor]]] = [[] for _ in range(num_rows)]

    def think(self, inputs: Tensor, state: Any) -> Any:
        """Take a step with tokens [R, L], as the model does; rows that have halted may have been left out before."""
        state, logits, halting = type(self.model).think(self.model, inputs, state)
        steps = torch.tensor([len(self.said[row]) for row in self.going.tolist()], device=halting.device) + 1
        found = zip(filled(logits, inputs).cpu(), halting.float().sigmoid().cpu(), strict=True)
        for row, words in zip(self.going.tolist(), found, strict=True):
            self.said[row].append(words)
        if self.model.config.early_stop:
            self.going = self.going[~self.model.act.decide(halting, steps).cpu()]
        return state, logits, halting

    def outputs(self) -> dict[str, Tensor]:
        """Return answers [B, S, L] and chances [B, S]; rows that took fewer steps repeat the last one."""
        longest = max(len(words) for words in self.said)
        whole = [words + words[-1:] * (longest - len(words)) for words in self.said]
        answers, chances = ([torch.stack([word[part] for word in words]) for words in whole] for part in (0, 1))
        counts = torch.tensor([len(words) for words in self.said])
        return {"answers": torch.stack(answers), "chances": torch.stack(chances), "counts": counts}


@contextmanager
def heard(model: nn.Module, num_rows: int) -> Iterator[Thoughts | None]:
    """Listen to a model that thinks in steps; None for any other."""
    if not hasattr(model, "think"):
        yield None
        return
    thoughts = Thoughts(model, num_rows)
    vars(model)["think"] = thoughts.think
    try:
        yield thoughts
    finally:
        del vars(model)["think"]


def forward(model: nn.Module, inputs: Tensor, rows: list[Any]) -> dict[str, Tensor]:
    """Return logits [B, L, V] for tokens [B, L]; of a model that thinks in steps also what it said after each."""
    index = torch.arange(len(rows), device=inputs.device)
    with heard(model, len(rows)) as thoughts:
        logits = model(Batch(inputs, torch.full_like(inputs, UNKNOWN), index), None).outputs.float()
    return {"inputs": inputs, "logits": logits, **(thoughts.outputs() if thoughts else {})}


def decode(outputs: dict[str, Tensor], rows: list[Any], data: Stored) -> list[dict[str, Any]]:
    """Turn logits [B, L, V] into answers; the confidence is the least probability of a cell that was open."""
    inputs, found = outputs["inputs"], filled(outputs["logits"], outputs["inputs"])
    probabilities = outputs["logits"][..., 1:].softmax(-1).amax(-1)  # [B, L]; no answer leaves a cell open
    least = probabilities.masked_fill(inputs != OPEN, 1.0).amin(1).tolist()
    records = list[dict[str, Any]]()
    for number, (row, broken) in enumerate(zip(rows, data.violations(found).tolist(), strict=True)):
        record = {"answer": written(found[number], data), "confidence": least[number], "uncertainty": 1 - least[number]}
        record |= {"obeys_rules": broken == 0, "halting_probability": None}
        steps, chances = [found[number]], list[float]()
        if "answers" in outputs:
            count = int(outputs["counts"][number])
            steps = [*outputs["answers"][number, :count]]
            chances = outputs["chances"][number, :count].tolist()
            record["halting_probability"] = chances[-1]
        if row.steps:
            record |= {"steps": [written(step, data) for step in steps], "halting": chances}
        records.append(record)
    return records


def written(cells: Tensor, data: Stored) -> str:
    """Return the cells of a board [L] as characters, row by row."""
    return "".join(data.symbols[token] for token in cells.tolist())


def requests(dataset: Puzzles, index: Tensor, data: Stored) -> list[dict[str, Any]]:
    """Return puzzles [B] of a data set as a client sends them."""
    return [{"puzzle": written(cells, data)} for cells in dataset.inputs[index]]


def truths(dataset: Puzzles, index: Tensor, data: Stored) -> list[str]:
    """Return the solutions of puzzles [B] of a data set."""
    return [written(cells, data) for cells in dataset.targets[index]]


def features(inputs: Tensor, _: list[Any], data: Stored) -> dict[str, Tensor]:
    """Return what is watched of tokens [B, L]: how many cells have each symbol, the open one among them."""
    counts = {symbol: (inputs == token).sum(1).float() for token, symbol in enumerate(data.symbols)}
    return {f"cells {symbol}": count for symbol, count in counts.items()}
