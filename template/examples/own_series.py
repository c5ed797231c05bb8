# copier: filter replace("my_project", package_name) | replace("digit.csv", example_input)
"""Make a data folder of a CSV file of your own, times and values: python examples/own_series.py FILE FOLDER --period N.

The first 70 per cent of the time are to train on, the next 15 to validate, the last 15 to test. Rows may be missing.
"""

import hashlib
import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np

from my_project.data.series import SPLITS
from my_project.data.timeline import Clock, read_csv

FRACTIONS = {"train": 0.70, "val": 0.15, "test": 0.15}  # of the time from the first value to the last


def read(path: Path, clock: Clock) -> tuple[np.ndarray, np.ndarray]:
    """Return times and values [N] of what was measured; ValueError in one line where the file cannot be used."""
    times, values = read_csv(path, clock)
    if times is None:
        raise ValueError(f"{path}: want two columns, times and values")
    kept = ~np.isnan(values)  # what was not measured has no row
    return times[kept].astype(np.int64), values[kept].astype(np.float32)


def split(times: np.ndarray, values: np.ndarray) -> dict[str, np.ndarray]:
    """Return times and values of train, then val, then test; nothing is drawn."""
    if len(times) == 0:
        raise ValueError("found no values")
    ends = times[0] + np.cumsum([*FRACTIONS.values()])[:-1] * (times[-1] + 1 - times[0])
    places = np.searchsorted(times, ends)
    parts = {"inputs": np.split(times, places), "targets": np.split(values, places)}
    arrays = {f"{name}_{part}": own[place] for part, own in parts.items() for place, name in enumerate(SPLITS)}
    if empty := [name for name in SPLITS if not len(arrays[f"{name}_inputs"])]:
        raise ValueError(f"found {len(times)} values, want more, so that {empty[0]} has some")
    return arrays


def contract(clock: Clock, rows: dict[str, int]) -> dict[str, Any]:
    """Return what the manifest says of any series; limits are not taken from values, of which some are sealed."""
    whole, finite = np.iinfo(np.int64), np.finfo(np.float32)
    return {
        "time": vars(clock),
        "arrays": {
            "inputs": {"shape": [], "dtype": "int64", "minimum": whole.min, "maximum": whole.max},
            "targets": {"shape": [], "dtype": "float32", "minimum": float(finite.min), "maximum": float(finite.max)},
        },
        "columns": "inputs: time in units of time.unit since 1970; targets: the value measured then",
        "missing": "what was not measured has no row",
        "preprocessing": "differences to the last known value, scaled by the training split; the checkpoint holds it",
        "split": {"seed": None, "method": "by time: train, then val, then test", "fractions": FRACTIONS},
        "rows": rows,
    }


def make(file: Path, folder: Path, clock: Clock, licence: str) -> dict[str, int]:
    """Write two data files and a manifest into a new folder; return the number of rows of each split."""
    arrays, files = split(*read(file, clock)), dict[str, str]()
    rows: dict[str, int] = {name: len(arrays[f"{name}_inputs"]) for name in SPLITS}
    folder.mkdir(parents=True)
    for name, sealed in (("series.npz", False), ("series_test.npz", True)):
        content: Any = {key: array for key, array in arrays.items() if key.startswith("test") == sealed}
        np.savez_compressed(folder / name, allow_pickle=False, **content)
        files[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    manifest = {"name": file.stem, "source": file.name, "licence": licence, **contract(clock, rows), "files": files}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return rows


def main(arguments: list[str] | None = None) -> None:
    """Read the words of the command line, write the folder, and say how many rows each split has."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="a column of times, and one of values")
    parser.add_argument("folder", type=Path, help="a new folder")
    parser.add_argument("--period", type=int, required=True, metavar="N", help="steps in a season; 1: there is none")
    parser.add_argument("--step", type=int, default=1, metavar="N", help="units of time from value to value (1)")
    parser.add_argument("--unit", default="D", choices=[*"YMWDhms"], help="unit of time, as numpy names it (D)")
    parser.add_argument("--licence", default="unknown", help="what the data may be used for")
    given = parser.parse_args(arguments)
    if min(given.step, given.period) < 1:
        parser.error(f"--step {given.step}, --period {given.period}: want 1 or more")
    if given.folder.exists():
        parser.error(f"{given.folder} is there already; name a new folder")
    try:
        clock = Clock(unit=given.unit, step=given.step, period=given.period)
        print(json.dumps({"rows": make(given.file, given.folder, clock, given.licence)}))
    except ValueError as error:
        parser.error(f"{given.file}: {error}" if str(given.file) not in str(error) else str(error))


if __name__ == "__main__":
    main()
    # copier: endfilter
