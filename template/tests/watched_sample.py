# copier: filter replace("my_project", package_name)
"""The sample's own file of `serving`, for tests of what is served and watched; and references that are made by hand."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from my_project import config as configs
from my_project.serving.dependence import Array, collisions
from my_project.serving.drift import Column
from my_project.serving.predictor import Predictor
from my_project.serving.watched import Reference
from my_project.types import Batch

from .sample import SampleConfig

HOME, LOAD = f"{configs.__package__}.serving.sample", Predictor.load
NAMES = ("first", "second", "third", "fourth")


class Row(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)
    vector: list[float] = Field(min_length=4, max_length=4)


def row(_: SampleConfig) -> type[BaseModel]:
    return Row


def encode(rows: list[Any], _: SampleConfig) -> Tensor:
    return torch.tensor([row.vector for row in rows])


def forward(model: nn.Module, inputs: Tensor, _: list[Any]) -> Tensor:
    index = torch.arange(len(inputs))
    outputs: Tensor = model(Batch(inputs, torch.zeros(len(inputs)), index), None).outputs
    return outputs


def decode(outputs: Tensor, _: list[Any], __: SampleConfig) -> list[dict[str, Any]]:
    sure = (1 / (1 + outputs.abs())).tolist()
    pairs = zip(outputs.tolist(), sure, strict=True)
    return [{"answer": length, "confidence": each, "uncertainty": None} for length, each in pairs]


def features(inputs: Tensor, _: list[Any], __: SampleConfig) -> dict[str, Tensor]:
    return {**dict(zip(NAMES, inputs.unbind(1), strict=True)), "positive": (inputs[:, 0] > 0).long()}


def predictor_of(run: Path) -> Predictor:
    """Load a run of the sample with this file as the sample's part of `serving`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, HOME, sys.modules[__name__])
        return LOAD(run)


def rows_like(size: int, seed: int, *, shift: float = 0.0) -> list[dict[str, list[float]]]:
    """Return rows as the sample's are, the second number shifted by so many of its deviations."""
    vectors = torch.randn(size, 4, generator=torch.Generator().manual_seed(seed))
    vectors[:, 1] += shift
    return [{"vector": vector} for vector in vectors.tolist()]


def reference_of(
    inputs: Array,
    *,
    labels: Mapping[int, Sequence[str]] | None = None,
    points: Array | None = None,
    errors: Sequence[float] = (),
) -> Reference:
    """Return a reference of rows [N, F], of which some columns are categories, and of embeddings [M, k]."""
    words = labels or {}
    columns = [
        Column(name=f"feature {n}", values=values, labels=tuple(words.get(n, ()))) for n, values in enumerate(inputs.T)
    ]
    pairs, common = collisions(inputs)
    axes = np.zeros((0, 0)) if points is None else np.eye(points.shape[1])
    return Reference(
        checkpoint_sha256="0" * 64,
        inputs=tuple(columns),
        outputs=(),
        points=np.zeros((len(inputs), 0)) if points is None else points,
        centre=np.zeros(len(axes)),
        axes=axes,
        errors=np.array(errors, dtype=np.float64),
        pairs=pairs,
        common=common,
    )
    # copier: endfilter
