"""Write the embedded table of cluster jobs from the R package modeldata, as Debian's package holds it.

Run once, by hand, when the data or the split is to change; the same package gives the same files, byte for byte:

    uv run --with rdata python -m scripts.make_jobs r-cran-modeldata_1.1.0-1_all.deb
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scripts.modeldata import PACKAGE, SHA256, read_package, split_by_group, write_folder

CLASSES = {"VF": "very fast", "F": "fast", "M": "moderate", "L": "long"}
WORDS = ("protocol", "day")
COLUMNS: dict[
    str, tuple[dict[str, Any], int, int]
] = {  # name: what its manifest says besides, and what a value has to lie between
    "protocol": ({}, 0, 13),
    "compounds": ({"log": True}, 1, 100_000),
    "input_fields": ({"log": True}, 1, 100_000),
    "iterations": ({"log": True}, 1, 1000),
    "num_pending": ({"log": True}, 0, 10_000),
    "hour": ({"unit": "h"}, 0, 24),
    "day": ({}, 0, 6),
}


def main() -> None:
    """Put numbers in the places of words, and split by what the jobs worked on."""
    table = read_package("hpc_data")
    values = {name: [str(value) for value in table[name].cat.categories] for name in WORDS}
    columns = [table[name].cat.codes if name in WORDS else table[name] for name in COLUMNS]
    inputs = np.column_stack(columns).astype(np.float32)
    assert list(table["class"].cat.categories) == list(CLASSES)
    targets = table["class"].cat.codes.to_numpy().astype(np.uint8)
    work = np.unique(inputs[:, :3], axis=0, return_inverse=True)[1].ravel().astype(np.int16)
    low, high = ([limits[end] for limits in COLUMNS.values()] for end in (1, 2))
    about = {
        "name": "Jobs of a computing cluster",
        "source": f"`hpc_data` of the R package modeldata ({PACKAGE}, SHA-256 {SHA256})",
        "creators": "Max Kuhn and Kjell Johnson, 2013: Applied Predictive Modeling, Springer, chapter 17",
        "licence": "MIT",
        "licence_url": "LICENSE in this folder",
        "attribution": "Copyright 2019 Max Kuhn, RStudio",
        "changes": "split; words stored as their numbers; the classes VF, F, M and L written out",
        "columns": [
            {"name": name, **({"values": values[name]} if name in WORDS else more)}
            for name, (more, *_) in COLUMNS.items()
        ],
        "target": {"name": "class", "values": list(CLASSES.values())},
        "arrays": {
            "inputs": {"shape": [len(COLUMNS)], "dtype": "float32", "minimum": low, "maximum": high},
            "targets": {"shape": [], "dtype": "uint8", "minimum": 0, "maximum": len(CLASSES) - 1},
            "groups": {"shape": [], "dtype": "int16", "minimum": 0, "maximum": int(work.max())},
        },
        "preprocessing": "columns marked `log` become log(1 + x), which is fixed; nothing is fitted here; a model "
        "standardises its inputs by means and deviations of the training split, and keeps them in its checkpoint",
        "split": "by protocol, compounds and input fields together (`groups`), so that no two splits have jobs on the "
        "same work; stratified by class",
    }
    arrays = {"inputs": inputs, "targets": targets, "groups": work}
    write_folder("jobs", arrays, split_by_group(work, targets), about)


if __name__ == "__main__":
    main()
