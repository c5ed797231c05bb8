"""The columns of a table, as its manifest describes them: what lies in a file becomes the inputs of a network."""

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..types import Batch, Split
from .loader import read_arrays, read_manifest

LARGEST = torch.finfo(torch.float32).max
Column = dict[str, Any]  # name, unit; `values` of a category, all there are; `log` where log(1 + x) is taken of numbers


class Table:
    """Rows in memory, taken a whole batch at a time: values [N, C] as in the file, inputs [N, F], targets [N]."""

    def __init__(self, values: Tensor, targets: Tensor, columns: list[Column]) -> None:
        self.values, self.targets, self.columns = values, targets, columns
        self.inputs = encode(values, columns)

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, key: tuple[Tensor, int]) -> Batch:
        index, _ = key
        return Batch(self.inputs.index_select(0, index), self.targets.index_select(0, index), index)

    def rows(self, index: list[int]) -> list[dict[str, Any]]:
        """Return rows by their numbers as a person reads them: by column, a number or the word of a category."""
        return [
            {column["name"]: show(value, column) for column, value in zip(self.columns, row, strict=True)}
            for row in self.values[index].tolist()
        ]


def open_table(root: Path, split: Split, num_rows: int | None = None) -> Table:
    """Open one split of a data folder, or its first rows; the test rows lie in a file of their own, *_test.npz."""
    manifest = read_manifest(root)
    (name,) = (name for name in manifest["files"] if name.endswith("_test.npz") == (split == "test"))
    arrays = read_arrays(root, name)
    values, targets = (torch.from_numpy(arrays[f"{split}_{part}"][:num_rows]) for part in ("inputs", "targets"))
    return Table(values.float(), targets, manifest["columns"])


def encode(values: Tensor, columns: list[Column]) -> Tensor:
    """Turn values [N, C] into inputs [N, F]: a number is one of them, a category has one for each of its values.

    Nothing is fitted here. A network's first layer makes a learned vector for each value of these ones and zeros.
    """
    parts = list[Tensor]()
    for column, value in zip(columns, values.unbind(1), strict=True):
        if "values" in column:
            parts.append(F.one_hot(value.long(), len(column["values"])).float())  # [N] -> [N, number of values]
        else:
            parts.append((value.log1p() if column.get("log") else value).unsqueeze(1))  # [N] -> [N, 1]
    return torch.cat(parts, dim=1)


def show(value: float, column: Column) -> float | str:
    """Return the word of a category, or a number with no more digits than fp32 has."""
    return str(column["values"][int(value)]) if "values" in column else float(str(np.float32(value)))


def read_table(path: Path, columns: list[Column]) -> Tensor:
    """Read inputs [B, F] from a .csv file whose first line names the columns, in any order; it may have others too."""
    names = [column["name"] for column in columns]
    want = f"want a .csv file, in UTF-8, whose first line names the columns {', '.join(names)}"
    if path.suffix != ".csv" or not path.is_file():
        raise ValueError(f"{path}: {want}")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.DictReader(file)
            if missing := [name for name in names if name not in (lines.fieldnames or ())]:
                raise ValueError(f"{path}: there is no column {', '.join(missing)}; {want}")
            rows = [[read_cell(f"{path}, line {lines.line_num}", line, column) for column in columns] for line in lines]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: {error}; {want}") from error
    return encode(torch.tensor(rows).reshape(-1, len(columns)), columns)


def read_cell(where: str, line: dict[str, Any], column: Column) -> float:
    """Return the number that stands for a cell: the place of a category among its values, or the number itself."""
    name, text = column["name"], (line[column["name"]] or "").strip()
    if "values" in column:
        if text not in column["values"]:
            raise ValueError(f"{where}: {name} is '{text}', want one of {', '.join(column['values'])}")
        return float(column["values"].index(text))
    low = 0.0 if column.get("log") else -LARGEST
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not low <= number <= LARGEST:
        raise ValueError(f"{where}: {name} is '{text}', want a number{' of 0 or more' if column.get('log') else ''}")
    return number
