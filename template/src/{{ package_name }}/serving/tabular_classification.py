"""Rows of a table to be classified, as a request has them: a number or a word for each column in, a label out."""

from typing import Any

from pydantic import BaseModel
from torch import Tensor

from ..data import columns as tables
from ..data.loader import Dataset
from .classification import decode, forward
from .rows import table_features, table_row, table_rows, table_values
from .stored import Stored

__all__ = ["decode", "encode", "features", "forward", "requests", "row"]


def row(data: Stored) -> type[BaseModel]:
    """Return what one input is: a number for each column of the manifest, or one of a category's words."""
    return table_row(data.manifest["columns"], data.manifest["arrays"]["inputs"])


def encode(rows: list[Any], data: Stored) -> Tensor:
    """Turn rows into inputs [B, F]."""
    columns = data.manifest["columns"]
    return tables.encode(table_values(rows, columns), columns)


def requests(dataset: Dataset, index: Tensor, data: Stored) -> list[dict[str, Any]]:
    """Return rows [B] of a data set as a client sends them."""
    return table_rows(dataset, index, data.manifest["columns"])


def features(_: Tensor, rows: list[Any], data: Stored) -> dict[str, Tensor]:
    """Return what is watched of rows [B]: every column, as a client has it."""
    columns = data.manifest["columns"]
    return table_features(table_values(rows, columns), columns)
