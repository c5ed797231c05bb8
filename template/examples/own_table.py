"""Make a data folder of a CSV file of your own, with a header: python examples/own_table.py FILE FOLDER TARGET.

Columns of numbers stay numbers, all others are categories. Rows that share their value of --group get into one split.
"""

import csv
import hashlib
import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np

SEED, FRACTIONS = 2026, {"train": 0.70, "val": 0.15, "test": 0.15}


def describe(name: str, cells: list[str], *, words: bool = False) -> tuple[dict[str, Any], np.ndarray]:
    """Return what the manifest says of a column, and its values [N]: numbers, or the places of words."""
    if empty := [row for row, cell in enumerate(cells, start=1) if cell.lower() in {"", "nan", "inf", "-inf"}]:
        raise SystemExit(f"{name} is empty in row {empty[0]}: fill it, or leave the column out")
    try:
        if not words:
            return {"name": name}, np.array(cells, np.float32)
    except ValueError:
        pass
    known = sorted(set(cells))
    return {"name": name, "values": known}, np.array([known.index(cell) for cell in cells], np.float32)


def split(groups: list[str]) -> np.ndarray:
    """Return the number of each row's split [N]; all rows of a group are in one."""
    order = np.random.default_rng(SEED).permutation(sorted(set(groups))).tolist()
    edges = np.cumsum([*FRACTIONS.values()])[:-1] * len(order)
    place = {group: int(np.searchsorted(edges, number, side="right")) for number, group in enumerate(order)}
    return np.array([place[group] for group in groups])


def write(folder: Path, arrays: dict[str, np.ndarray], splits: np.ndarray, manifest: dict[str, Any]) -> None:
    """Write the two data files and the manifest that names their schema and checksums."""
    folder.mkdir(parents=True)
    for file, names in (("rows.npz", ("train", "val")), ("rows_test.npz", ("test",))):
        rows = {name: splits == [*FRACTIONS].index(name) for name in names}
        parts = {f"{name}_{part}": values[rows[name]] for name in names for part, values in arrays.items()}
        np.savez_compressed(folder / file, allow_pickle=False, **parts)
        manifest["files"] |= {file: hashlib.sha256((folder / file).read_bytes()).hexdigest()}
        manifest["rows"] |= {name: int(rows[name].sum()) for name in names}
    for part, values in arrays.items():
        low, high = values.min(0).tolist(), values.max(0).tolist()
        schema = {"shape": [*values.shape[1:]], "dtype": str(values.dtype), "minimum": low, "maximum": high}
        manifest["arrays"] |= {part: schema}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """Read the words of the command line and write the folder."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("target", help="the column to predict")
    parser.add_argument("--classes", action="store_true", help="the target is a class, even where it is a number")
    parser.add_argument("--group", help="a column; rows with the same value stay together, and it is no input")
    parser.add_argument("--licence", default="unknown")
    given = parser.parse_args(arguments)
    if given.folder.exists():
        parser.error(f"{given.folder} exists; name a new folder")
    with given.file.open(newline="", encoding="utf-8-sig") as file:
        lines = list(csv.DictReader(file))
    cells = {name: [(line[name] or "").strip() for line in lines] for name in (lines[0] if lines else ())}
    if missing := [name for name in (given.target, given.group) if name and name not in cells]:
        parser.error(f"{given.file} has no column {missing[0]}; its columns are {', '.join(cells)}")
    groups = cells.pop(given.group) if given.group else [str(row) for row in range(len(lines))]
    target, targets = describe(given.target, cells.pop(given.target), words=given.classes)
    columns, values = zip(*(describe(name, column) for name, column in cells.items()), strict=True)
    inputs = np.stack(values, axis=1)
    kept = np.sort(np.unique(inputs, axis=0, return_index=True)[1])  # no row is in two splits
    manifest = {"name": given.file.stem, "source": str(given.file), "licence": given.licence, "columns": columns}
    manifest |= {"target": target, "split": {"seed": SEED, "method": f"by {given.group or 'row'}"}}
    manifest |= {"changes": f"{len(inputs) - len(kept)} rows that repeat the inputs of another are left out"}
    manifest |= {"preprocessing": "none; a model fits means and deviations to the training split"}
    manifest |= {"arrays": {}, "rows": {}, "files": {}}
    arrays = {"inputs": inputs[kept], "targets": targets[kept]}
    write(given.folder, arrays, split(groups)[kept], manifest)
    options = f"--data.folder {given.folder} --model.num-inputs {sum(len(c.get('values', [0])) for c in columns)}"
    options += f" --model.num-classes {len(target['values'])}" if "values" in target else ""
    print(json.dumps({"rows": manifest["rows"], "options": options}))


if __name__ == "__main__":
    main()
