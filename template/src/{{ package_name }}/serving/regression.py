"""Rows of a table of which a number is told: a number or a word for each column in, an answer with its interval out."""

import math
from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from ..data import columns as tables
from ..data.loader import Dataset
from ..types import Batch
from .rows import table_features, table_row, table_rows, table_values
from .stored import Stored


def row(data: Stored) -> type[BaseModel]:
    """Return what one input is: a number for each column of the manifest, or one of a category's words."""
    return table_row(data.manifest["columns"], data.manifest["arrays"]["inputs"])


def encode(rows: list[Any], data: Stored) -> Tensor:
    """Turn rows into inputs [B, F]."""
    columns = data.manifest["columns"]
    return tables.encode(table_values(rows, columns), columns)


def forward(model: nn.Module, inputs: Tensor, _: list[Any]) -> Tensor:
    """Return answers [B, 1], or low end, answer and high end [B, 3], for inputs [B, F]."""
    index = torch.arange(len(inputs), device=inputs.device)
    targets = torch.full((len(inputs),), math.nan, device=inputs.device)
    outputs: Tensor = model(Batch(inputs, targets, index), None).outputs
    return outputs


def decode(outputs: Tensor, _: list[Any], data: Stored) -> list[dict[str, Any]]:
    """Turn outputs [B, 1] or [B, 3] into answers; the uncertainty is half the interval, where there is one."""
    unit, records = data.manifest.get("target", {}).get("unit"), list[dict[str, Any]]()
    for values in outputs.tolist():
        low, answer, high = values if len(values) > 1 else (None, *values, None)
        half = None if low is None else (high - low) / 2
        record = {"answer": answer, "confidence": None, "uncertainty": half, "low": low, "high": high}
        records.append(record | ({"unit": unit} if unit else {}))
    return records


def requests(dataset: Dataset, index: Tensor, data: Stored) -> list[dict[str, Any]]:
    """Return rows [B] of a data set as a client sends them."""
    return table_rows(dataset, index, data.manifest["columns"])


def features(_: Tensor, rows: list[Any], data: Stored) -> dict[str, Tensor]:
    """Return what is watched of rows [B]: every column, as a client has it."""
    columns = data.manifest["columns"]
    return table_features(table_values(rows, columns), columns)
