"""What makes a data folder of a user's table: its rows are read, split arrays and their manifest written."""

import csv
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


def write_folder(folder: Path, arrays: dict[str, np.ndarray], manifest: dict[str, Any]) -> dict[str, int]:
    """Write the arrays of all splits, the test rows apart, and their manifest; return the rows of each split."""
    if folder.exists():
        raise ValueError(f"--folder: {folder} is there already; name a new one")
    files, rows = dict[str, str](), {split: len(arrays[f"{split}_inputs"]) for split in ("train", "val", "test")}
    if empty := [split for split, count in rows.items() if not count]:
        raise ValueError(f"the split leaves no rows for {empty[0]}; add data")
    folder.mkdir(parents=True)
    for name, sealed in ((f"{folder.name}.npz", False), (f"{folder.name}_test.npz", True)):
        content: Any = {key: array for key, array in arrays.items() if key.startswith("test") == sealed}
        np.savez_compressed(folder / name, **content)
        files[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    text = json.dumps({**manifest, "rows": rows, "files": files}, indent=2, ensure_ascii=False) + "\n"
    (folder / "manifest.json").write_text(text, encoding="utf-8")
    return rows


def schema(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return what the manifest says of the arrays of any split: shape of a row, type, and the type's range."""
    first = {key.removeprefix("train_"): array for key, array in arrays.items() if key.startswith("train_")}
    limits = {name: np.iinfo(array.dtype) for name, array in first.items()}
    return {
        name: {"shape": [*array.shape[1:]], "dtype": str(array.dtype), "minimum": 0, "maximum": int(limits[name].max)}
        for name, array in first.items()
    }


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Return the rows of a .csv file that has these columns, and perhaps others."""
    if path.suffix != ".csv" or not path.is_file():
        raise ValueError(f"{path}: want an existing .csv file with the columns {', '.join(columns)}")
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = [*csv.DictReader(file)]
    for number, row in enumerate(rows, start=2):
        if missing := [column for column in columns if not (row.get(column) or "").strip()]:
            raise ValueError(f"{path}: line {number} has no {missing[0]}; want the columns {', '.join(columns)}")
    return [{column: (value or "").strip() for column, value in row.items() if column} for row in rows]
