"""Write the embedded table of concrete from the R package modeldata, as Debian's package holds it.

Run once, by hand, when the data or the split is to change; the same package gives the same files, byte for byte:

    uv run --with rdata python -m scripts.make_concrete r-cran-modeldata_1.1.0-1_all.deb
"""

from __future__ import annotations

import numpy as np

from scripts.modeldata import PACKAGE, SHA256, read_package, split_by_group, write_folder

TARGET, LOG = "compressive_strength", ("age",)  # concrete hardens fast at first, and slowly for a year
COLUMNS = {  # name: unit, and what a value has to lie between
    "cement": ("kg/m3", 50, 600),
    "blast_furnace_slag": ("kg/m3", 0, 400),
    "fly_ash": ("kg/m3", 0, 250),
    "water": ("kg/m3", 100, 300),
    "superplasticizer": ("kg/m3", 0, 40),
    "coarse_aggregate": ("kg/m3", 700, 1300),
    "fine_aggregate": ("kg/m3", 500, 1100),
    "age": ("days", 1, 365),
}


def main() -> None:
    """Leave out repeated rows, take the mean where a mixture was measured again at an age, split by mixtures."""
    table = read_package("concrete").astype(float).drop_duplicates()
    table = table.groupby(list(COLUMNS), sort=False, as_index=False)[TARGET].mean()
    inputs = table[list(COLUMNS)].to_numpy().astype(np.float32)
    mixtures = np.unique(inputs[:, :-1], axis=0, return_inverse=True)[1].ravel().astype(np.int16)
    targets = table[TARGET].to_numpy().astype(np.float32)
    low, high = ([limits[end] for limits in COLUMNS.values()] for end in (1, 2))
    about = {
        "name": "Concrete Compressive Strength",
        "source": "UCI Machine Learning Repository, data set 165, doi:10.24432/C5PK67, in the form of `concrete` in "
        f"the R package modeldata ({PACKAGE}, SHA-256 {SHA256})",
        "creators": "I-Cheng Yeh, 1998: Modeling of strength of high performance concrete using artificial neural "
        "networks, Cement and Concrete Research 28(12), 1797-1808",
        "licence": "CC BY 4.0",
        "licence_url": "https://creativecommons.org/licenses/by/4.0/legalcode",
        "attribution": "Concrete Compressive Strength, copyright I-Cheng Yeh, UCI Machine Learning Repository, "
        "https://doi.org/10.24432/C5PK67, CC BY 4.0, changed as stated",
        "changes": "1,030 rows: 25 that repeat another are left out; where a mixture was measured several times at an "
        "age, its mean is kept (9 such, of 22 rows); split; stored as float32",
        "columns": [
            {"name": name, "unit": unit, **({"log": True} if name in LOG else {})}
            for name, (unit, *_) in COLUMNS.items()
        ],
        "target": {"name": TARGET, "unit": "MPa"},
        "arrays": {
            "inputs": {"shape": [len(COLUMNS)], "dtype": "float32", "minimum": low, "maximum": high},
            "targets": {"shape": [], "dtype": "float32", "minimum": 0, "maximum": 100},
            "groups": {"shape": [], "dtype": "int16", "minimum": 0, "maximum": int(mixtures.max())},
        },
        "preprocessing": "columns marked `log` become log(1 + x), which is fixed; nothing is fitted here; a model "
        "standardises inputs and targets by means and deviations of the training split, and keeps them in its "
        "checkpoint",
        "split": "by mixture (`groups`), so that no mixture is in two splits, at whatever ages it was measured",
    }
    arrays = {"inputs": inputs, "targets": targets, "groups": mixtures}
    write_folder("concrete", arrays, split_by_group(mixtures, np.zeros(len(mixtures), int)), about)


if __name__ == "__main__":
    main()
