"""Arrays of one's own as rows: pixels, numbers by the names of their columns, or numbers in lists of any shape."""

from typing import Any

import torch
from pydantic import BaseModel, Field
from torch import Tensor

from ..data.arrays import brightest
from .rows import LARGEST, Column, image_features, make, nested, pixels_of, stroke, table_row, table_values
from .stored import Stored


def row(data: Stored) -> type[BaseModel]:
    """Return what one input is, by the manifest: bytes are pixels, named columns a table, all else plain values."""
    schema = data.manifest["arrays"]["inputs"]
    if columns := named(data):
        return table_row(columns, schema)
    if schema["dtype"] == "uint8":
        return make({"pixels": stroke(schema)}, pixels=pixels_of(schema))
    example = torch.zeros(schema["shape"]).tolist()
    about = f"{' by '.join(map(str, schema['shape']))} numbers"
    return make({"values": example}, values=(nested(schema["shape"], -LARGEST, LARGEST), Field(description=about)))


def named(data: Stored) -> list[Column]:
    """Return the columns of a table, which are numbers as they are; none where inputs are of another form."""
    return [{"name": column["name"], "unit": column.get("unit")} for column in data.manifest.get("columns", ())]


def encode(rows: list[Any], data: Stored) -> Tensor:
    """Turn rows into inputs [B, ...] as the data file has them, pixels divided by their range."""
    if columns := named(data):
        return table_values(rows, columns)
    given = [getattr(row, "pixels", None) or getattr(row, "values", None) for row in rows]
    return torch.tensor(given) / brightest(data.manifest)


def features(inputs: Tensor, _: list[Any], data: Stored) -> dict[str, Tensor]:
    """Return what is watched of inputs [B, ...]: every column, or the whole and its parts."""
    if columns := named(data):
        return {column["name"]: inputs[:, number] for number, column in enumerate(columns)}
    return image_features(inputs if inputs.ndim > 2 else inputs.unsqueeze(1))  # noqa: PLR2004 (a vector is a line)
