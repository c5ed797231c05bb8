# copier: filter replace("my_project", package_name)
"""A whole small task for tests only, to learn the length of a vector: its data, its model and what evaluates it.

Tests give it to the core, whatever the project's own task is. `register` makes it known to the package, in this process
and its forks; `PRESET` is a run of it.
"""

import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
import yaml
from pydantic import NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from my_project import config as configs
from my_project.evaluation.report import FILES
from my_project.types import (
    STRICT,
    Batch,
    Carry,
    Fraction,
    Measurement,
    Split,
    StepOutput,
    map_carry,
)

PRESET = Path(__file__).with_suffix(".yaml")
NUM_ROWS: dict[Split, int] = {"train": 320, "val": 80, "test": 80}


def smaller(preset: str | Path) -> dict[str, Any]:
    """Return the options that make a preset small enough for tests, where `small/` has a file of its name."""
    path = Path(__file__).parent / "small" / f"{Path(preset).stem}.yaml"
    return dict(yaml.safe_load(path.read_text("utf-8"))) if path.is_file() else {}


def register() -> None:
    configs.kinds("data")["sample"], configs.kinds("model")["sample"] = SampleConfig, NetConfig
    sys.modules[f"{configs.__package__}.evaluation.sample"] = sys.modules[__name__]
    FILES.searchpath.append(str(PRESET.parent))


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SampleConfig:
    task = "sample"
    root = PRESET.parent  # manifest.json lies there; the rows are drawn anew for whoever asks, and always the same
    kind: Literal["sample"] = "sample"
    batch_size: PositiveInt = 64
    workers: NonNegativeInt = 0
    pieces: bool = False  # inputs are a dict of tensors

    def build(self, split: Split, *, augment: bool = False, num_rows: int | None = None) -> "Rows":
        draw = torch.Generator().manual_seed([*NUM_ROWS].index(split))
        return Rows(torch.randn(NUM_ROWS[split], 4, generator=draw)[:num_rows], augment=augment, pieces=self.pieces)

    def read(self, path: Path) -> Tensor:
        return torch.from_numpy(np.loadtxt(path, np.float32, delimiter=",", ndmin=2))


class Rows:
    """Vectors [N, 4] and their lengths [N]; augmented ones are turned round as their number and the seed say."""

    def __init__(self, inputs: Tensor, *, augment: bool = False, pieces: bool = False) -> None:
        self.inputs, self.targets, self.augment, self.pieces = inputs, inputs.norm(dim=1), augment, pieces

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, key: tuple[Tensor, int]) -> Batch:
        index, seed = key
        signs = 1.0 - (index + seed) % 2 * 2 * self.augment  # 1 or -1
        rows = self.inputs[index] * signs[:, None]
        inputs = {"first": rows[:, :1], "rest": (rows[:, 1:3], rows[:, 3:])} if self.pieces else rows
        return Batch(inputs, self.targets[index], index)


class Given:
    """Inputs (a tensor, or several by name) and targets in memory, and what else a data set offers."""

    def __init__(self, inputs: Any, targets: Tensor, **offers: Any) -> None:
        self.inputs, self.targets = inputs, targets
        vars(self).update(offers)

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, key: tuple[Tensor, int]) -> Batch:
        rows = key[0]
        return Batch(map_carry(self.inputs, lambda part: part[rows]), self.targets[rows], rows)


def raise_at_next_batch(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next batch of the task raise a signal in this process, once."""
    function = Rows.__getitem__

    def stopped(self: Rows, key: tuple[Tensor, int]) -> Batch:
        signal.raise_signal(number)
        monkeypatch.setattr(Rows, "__getitem__", function)
        return function(self, key)

    monkeypatch.setattr(Rows, "__getitem__", stopped)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class NetConfig:
    kind: Literal["sample"] = "sample"
    dim: PositiveInt = 16
    depth: PositiveInt = 1
    dropout: Fraction = 0.1
    fitted: bool = False  # inputs are standardised by what `prepare` saw

    def build(self) -> "Net":
        return Net(self)


class Net(nn.Module):
    """`depth` blocks of linear, GELU and dropout, then one linear layer to one number."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        dims, dim = [4, *[config.dim] * (config.depth - 1)], config.dim
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(d, dim), nn.GELU(), nn.Dropout(config.dropout)) for d in dims
        )
        self.head, self.fitted = nn.Linear(dim, 1), config.fitted
        if config.fitted:
            self.register_buffer("mean", torch.zeros(4))
            self.register_buffer("std", torch.ones(4))

    def prepare(self, dataset: Rows) -> None:
        if self.fitted:
            self.mean, self.std = dataset.inputs.mean(0), dataset.inputs.std(0)

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        pieces = isinstance(batch.inputs, dict)
        values = torch.cat([batch.inputs["first"], *batch.inputs["rest"]], dim=1) if pieces else batch.inputs
        values = (values - self.mean) / self.std if self.fitted else values
        for block in self.blocks:
            values = block(values)
        outputs = self.head(values).sum(1)  # [B, 1] -> [B], and not a view, of which FSDP2 would warn
        return StepOutput((outputs - batch.targets).square().sum() / max(1, len(outputs)), outputs, {})


@torch.inference_mode()
def predict(model: nn.Module, dataset: Rows) -> Tensor:
    batch = dataset[torch.arange(len(dataset)), 0].to(next(model.parameters()).device)
    outputs: Tensor = model.eval()(batch, None).outputs
    return outputs.float().cpu()


def measure(model: nn.Module, dataset: Rows) -> Measurement:
    loss = float((predict(model, dataset) - dataset.targets).square().mean())
    figures = {"loss": loss, "error": loss**0.5}
    return Measurement(primary="error", value=figures["error"], higher_is_better=False, metrics=figures)


def measure_fully(model: nn.Module, dataset: Rows, _: SampleConfig) -> Measurement:
    short, errors = measure(model, dataset), (predict(model, dataset) - dataset.targets).abs()
    worst = errors.argsort(descending=True)[:3].tolist()
    return replace(short, metrics={**short.metrics, "num_rows": len(dataset), "worst": worst})


def baselines(train: Rows, other: Rows, _: SampleConfig) -> dict[str, float]:
    guesses = {"nought": torch.zeros(()), "mean": train.targets.mean()}
    return {name: float((other.targets - guess).square().mean().sqrt()) for name, guess in guesses.items()}


def pictures(dataset: Rows, metrics: dict[str, Any]) -> dict[str, Any]:
    return {"worst": dataset.inputs[metrics["worst"]].tolist()}


def answers(model: nn.Module, data: SampleConfig, path: Path) -> list[dict[str, float]]:
    return [{"length": length} for length in predict(model, Rows(data.read(path))).tolist()]
    # copier: endfilter
