"""Write the embedded weekly carbon dioxide of the template from statsmodels' copy of the record of Mauna Loa.

Run once, by hand, when the data or the split is to change:

    uv run --no-project --with numpy --with statsmodels==0.15.0 python scripts/make_co2_weekly.py

It takes one file from that package, and only with the SHA-256 that stands here.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import json
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parents[1] / "template/src/{{ package_name }}/data/co2_weekly"
SOURCE, SHA256 = "datasets/co2/co2.csv", "16695fa2786e53414e5a6b54767a3fdf5de99cfbc68617f69d1362d92776a92f"
FRACTIONS = {"train": 0.70, "val": 0.15, "test": 0.15}  # of the weeks, in the order of time
WEEK = 7  # days
PPMV = {"minimum": 300.0, "maximum": 400.0}  # what is plausible; not taken from the values, of which some are sealed


def read_source() -> tuple[np.ndarray, np.ndarray]:
    """Days since 1970-01-01 and ppmv of every week; NaN where there is no measurement."""
    package = importlib.util.find_spec("statsmodels")
    if package is None or package.submodule_search_locations is None:
        raise SystemExit("statsmodels is not installed")
    content = (Path(package.submodule_search_locations[0]) / SOURCE).read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != SHA256:
        raise SystemExit(f"{SOURCE}: SHA-256 is {found}, want {SHA256}")
    rows = [*csv.DictReader(content.decode().splitlines())]
    dates = [f"{row['date'][:4]}-{row['date'][4:6]}-{row['date'][6:]}" for row in rows]
    days = np.array(dates, "datetime64[D]").astype(np.int32)
    return days, np.array([float(row["co2"] or "nan") for row in rows], np.float32)


def main() -> None:
    """Write the two data files and the manifest that names their checksums."""
    days, values = read_source()
    assert (np.diff(days) == WEEK).all()
    ends = np.round(np.cumsum([0.0, *FRACTIONS.values()]) * len(days)).astype(int)
    arrays, first = dict[str, np.ndarray](), dict[str, str]()
    for name, start, end in zip(FRACTIONS, ends[:-1], ends[1:], strict=True):
        measured = start + np.flatnonzero(~np.isnan(values[start:end]))
        arrays |= {f"{name}_inputs": days[measured], f"{name}_targets": values[measured]}
        first[name] = str(days[measured[0]].astype("datetime64[D]"))
    files = {
        "co2_weekly.npz": {key: array for key, array in arrays.items() if not key.startswith("test")},
        "co2_weekly_test.npz": {key: array for key, array in arrays.items() if key.startswith("test")},
    }
    FOLDER.mkdir(exist_ok=True)
    for name, content in files.items():
        np.savez_compressed(FOLDER / name, allow_pickle=False, **content)
    manifest = {
        "name": "Weekly carbon dioxide in the air at Mauna Loa, Hawaii",
        "source": "Carbon Dioxide Information Analysis Center, Oak Ridge National Laboratory, U.S. Department of "
        f"Energy; in the form of {SOURCE} in the package statsmodels 0.15.0 (SHA-256 {SHA256})",
        "creators": "C.D. Keeling and T.P. Whorf, Scripps Institution of Oceanography, 1958 to 2001",
        "licence": "public domain",
        "licence_evidence": "statsmodels/datasets/co2/data.py: COPYRIGHT = 'This is public domain.'",
        "attribution": "Keeling, C.D. and T.P. Whorf. 2004. Atmospheric CO2 concentrations derived from flask air "
        "samples at sites in the SIO network. In Trends: A Compendium of Data on Global Change. Carbon Dioxide "
        "Information Analysis Center, Oak Ridge National Laboratory, U.S. Department of Energy, Oak Ridge, "
        "Tennessee, U.S.A.",
        "changes": "weeks without a measurement have no row; split by time; stored as int32 and float32",
        "unit": "ppmv",
        "time": {"unit": "D", "step": WEEK, "period": 52},
        "arrays": {
            "inputs": {"shape": [], "dtype": "int32", "minimum": int(days[0]), "maximum": int(days[-1])},
            "targets": {"shape": [], "dtype": "float32", **PPMV},
        },
        "columns": "inputs: time in units of time.unit since 1970-01-01; targets: the value measured then",
        "missing": f"{int(np.isnan(values).sum())} of {len(days)} weeks were not measured. Nothing is invented for "
        "them: as targets they count in no loss and no figure; in a history the last measured value stands for them, "
        "with a mark that says so",
        "preprocessing": "differences to the last known value, divided by their root mean square over the windows of "
        "the training split; the checkpoint holds it",
        "split": {
            "seed": None,
            "method": "by time, nothing is drawn: train, then val, then test. The history of a validation or test "
            "window may lie in an earlier split, its targets never do",
            "fractions": FRACTIONS,
            "first": first,
        },
        "rows": {name: len(arrays[f"{name}_inputs"]) for name in FRACTIONS},
        "files": {name: hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in files},
    }
    text = json.dumps(manifest, indent=2) + "\n"
    (FOLDER / "manifest.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
