"""The fields of the page's form: one for each column of a row, with its unit and what the data hold."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from torch import Tensor

from ..data.loader import Dataset
from .pixels import numbers

MOST = 64  # fields that a person fills in; where a row has more, the page takes it as JSON
Field = dict[str, Any]  # name; label, as a person reads it; hint; `values` of a category


def one_list(row: type[BaseModel]) -> str:
    """Return the name of the one list of numbers that a row is, or nothing where it has a name for each number."""
    parts = row.model_json_schema()["properties"]
    return next((name for name, part in parts.items() if part.get("type") == "array"), "")


def of_numbers(manifest: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the fields of a row by its columns, or of its one list by their places; too many are `plain`."""
    schema = manifest["arrays"]["inputs"]
    columns = manifest.get("columns") or [{"name": f"number {place}"} for place in range(schema["shape"][0])]
    if len(columns) > MOST or (key and len(schema["shape"]) > 1):
        return {"plain": True}
    return {"fields": fields(columns, schema)}


def fields(columns: Sequence[dict[str, Any]], schema: dict[str, Any]) -> list[Field]:
    """Return a field for each column of a manifest; its schema has the range of all columns, or of each."""
    ends = [schema[end] if isinstance(schema[end], list) else None for end in ("minimum", "maximum")]
    ranges = zip(*(end or [None] * len(columns) for end in ends), strict=True)
    return [
        {
            "name": column["name"],
            "label": column["name"].replace("_", " ") + (f" ({column['unit']})" if column.get("unit") else ""),
            "hint": "" if low is None or high is None else f"{low:g} to {high:g}",
            "values": column.get("values"),
        }
        for column, (low, high) in zip(columns, ranges, strict=True)
    ]


def rows_of(inputs: Tensor, schema: dict[str, Any], key: str, dataset: Dataset) -> list[dict[str, Any]]:
    """Return inputs [B, ...] as rows: each one list, or a number for each column."""
    found = numbers(inputs, schema)
    return [{key: row} if key else dict(zip(dataset.columns, row, strict=True)) for row in found]
