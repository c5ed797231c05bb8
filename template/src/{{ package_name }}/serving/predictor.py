"""A trained run as a function: rows go in as a program has them, answers come out that say how sure they are."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import RLock
from typing import Any, Self

import torch
from pydantic import BaseModel, ValidationError
from torch import Tensor, nn

from ..config import Config
from ..training.device import choose_device
from ..types import map_carry
from .registry import open_model
from .stored import Stored, parts

Row = BaseModel  # one input, checked; `serving/<task>.py` says what it holds
Record = dict[str, Any]  # one answer: `answer`, `confidence` and `uncertainty` (None where there is none), and more
SHOWN = 40  # letters of what was given in a message
NO_NUMBER = "the model's answer is no finite number: the input is too far from those that it was trained on"


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a batch was answered, and what is watched of it."""

    records: list[Record]  # one a row
    features: dict[str, Tensor]  # [B] each, by name: numbers, NaN where one is missing; of type long: a category
    embeddings: Tensor  # [B, D]: what the model's last linear layer saw first, on average over positions


class Unfit(ValueError):  # noqa: N818 (what a row is)
    """A row that only the task's own code can refuse."""


class Predictor:
    """The model of a run with the preprocessing that it was trained with; needs no server."""

    def __init__(self, config: Config, model: nn.Module, checkpoint: Path, device: torch.device) -> None:
        self.config, self.data, self.checkpoint, self.device = config, Stored(config.data), checkpoint, device
        self.model, self.lock = model.to(device).eval(), RLock()
        self.task = parts(self.data)  # the functions of the files beside this one
        self.row: type[Row] = self.task.row(self.data)
        self.last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1:]
        if prepare := getattr(self.task, "prepare", None):
            prepare(self.model, self.data)

    @classmethod
    def load(cls, path: Path | str, *, device: str = "cpu") -> Self:
        """Open a run folder, a checkpoint or a registered model; ValueError or OSError says what is wrong with it."""
        return cls(*open_model(Path(path)), choose_device(device))

    @property
    def example(self) -> Record:
        """A row that is right, as JSON has it."""
        return dict(self.row.model_json_schema()["examples"][0])

    def files(self) -> list[Path]:
        """Return what answering needs of the data folder; in `data` beside a checkpoint they go wherever it goes."""
        root = self.config.data.root
        names: list[str] = self.task.files(self.data) if hasattr(self.task, "files") else []
        paths = [root / name for name in ("manifest.json", "LICENSE", *names)] if isinstance(root, Path) else []
        return [path for path in paths if path.is_file()]

    def __call__(self, rows: Iterable[Row | Mapping[str, Any]], batch_size: int = 64) -> list[Record]:
        """Answer rows, however many; ValueError names the first that is wrong, before any is answered."""
        checked = self.check(rows)
        batches = [checked[first : first + batch_size] for first in range(0, len(checked), batch_size)]
        return [record for batch in batches for record in self.answer(batch).records]

    def check(self, rows: Iterable[Row | Mapping[str, Any]]) -> list[Row]:
        """Return rows as the task wants them, or raise ValueError: which row, what was given, what is wanted."""
        found = list[Row]()
        for number, row in enumerate(rows):
            try:
                found.append(row if isinstance(row, self.row) else self.row.model_validate(row))
            except ValidationError as error:
                raise ValueError(f"row {number}: {first_wrong(error)}") from None
        return found

    def answer(self, rows: list[Row]) -> Answers:
        """Answer checked rows as one batch, each as it would be answered alone; Unfit if one cannot be."""
        if not rows:
            return Answers(records=[], features={}, embeddings=torch.zeros(0, 0))
        try:
            inputs = self.task.encode(rows, self.data)
        except ValueError as error:
            raise Unfit(" ".join(str(error).split())) from None
        return self.answer_inputs(inputs, rows)

    def answer_inputs(self, inputs: Any, rows: list[Row]) -> Answers:
        """Answer inputs [B, ...] as the model takes them; where they alone say all, their rows may be unknown: none."""
        with self.lock, torch.inference_mode():
            if getattr(self.task, "ALONE", False):
                return joined([self.run(inputs[n : n + 1], [row]) for n, row in enumerate(rows)])
            return self.run(inputs, rows)

    def run(self, inputs: Any, rows: list[Row]) -> Answers:
        """Take inputs [B, ...] through forward and decode."""
        seen = list[Tensor]()
        hooks = [module.register_forward_pre_hook(partial(first_seen, seen)) for module in self.last]
        try:
            outputs = self.task.forward(self.model, map_carry(inputs, lambda part: part.to(self.device)), rows)
        finally:
            for hook in hooks:
                hook.remove()
        outputs = map_carry(outputs, lambda part: part.cpu())
        records = [finite(record) for record in self.task.decode(outputs, rows, self.data)]
        embed = getattr(self.task, "embed", None)
        return Answers(
            records=records,
            features=self.task.features(inputs, rows, self.data),
            embeddings=embed(outputs) if embed else pooled(seen, len(records)),
        )


def first_seen(seen: list[Tensor], _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Keep what a layer is given [..., D] the first time: later ones may be of fewer rows."""
    if not seen:
        seen.append(inputs[0])


def first_wrong(error: ValidationError) -> str:
    """Say in one line what is wrong with a row first: where, what was given, what is wanted."""
    wrong = error.errors(include_url=False)[0]
    where, given = ".".join(str(part) for part in wrong["loc"]), wrong["input"]
    message = " ".join(wrong["msg"].removeprefix("Value error, ").split())
    message = re.sub(r"\d{20,}", lambda number: f"{float(number[0]):.2g}", message)  # no number of 39 digits
    want = message.replace("Input should be ", "want ")
    if want != message and isinstance(given, str | int | float | None):
        want = f"got {repr(given)[:SHOWN]}, {want}"
    return f"{where}: {want}" if where else want


def pooled(seen: list[Tensor], num_rows: int) -> Tensor:
    """Return the first of tensors [B, ..., D] that a layer saw as [B, D]: the mean over what lies between."""
    if not seen or len(seen[0]) != num_rows:
        return torch.zeros(num_rows, 0)
    return seen[0].float().cpu().reshape(num_rows, -1, seen[0].shape[-1]).mean(1)


def finite(record: Record) -> Record:
    """Return a record, or one that says why there is none, where a number in it is not finite."""
    if all(math.isfinite(number) for number in numbers(record)):
        return record
    return {"answer": None, "confidence": None, "uncertainty": None, "error": NO_NUMBER}


def numbers(value: Any) -> Iterable[float]:
    """Return all numbers with a fraction in a record."""
    if isinstance(value, float):
        yield value
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from numbers(part)


def joined(answers: list[Answers]) -> Answers:
    """Return the answers to single rows as those of a batch."""
    names = answers[0].features
    return Answers(
        records=[record for each in answers for record in each.records],
        features={name: torch.cat([each.features[name] for each in answers]) for name in names},
        embeddings=torch.cat([each.embeddings for each in answers]),
    )
