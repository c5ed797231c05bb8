"""Write the embedded digits of the template from scikit-learn's copy of the UCI set.

Run once, by hand, when the data or the split is to change:

    uv run --with scikit-learn python scripts/make_digits.py
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

FOLDER = Path(__file__).parents[1] / "template/src/{{ package_name }}/data/digits"
SPLIT_SEED = 2026
FRACTIONS = {"train": 0.70, "val": 0.15, "test": 0.15}


def stratified_split(targets: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Row numbers of each split, every class in the stated fractions, in seeded order."""
    rng = np.random.default_rng(seed)
    parts: dict[str, list[np.ndarray]] = {name: [] for name in FRACTIONS}
    for label in np.unique(targets):
        rows = rng.permutation(np.flatnonzero(targets == label))
        edges = np.round(np.cumsum(list(FRACTIONS.values()))[:-1] * len(rows)).astype(int)
        for name, part in zip(FRACTIONS, np.split(rows, edges), strict=True):
            parts[name].append(part)
    return {name: np.sort(np.concatenate(rows)) for name, rows in parts.items()}


def main() -> None:
    """Write the two data files and the manifest that names their checksums."""
    digits = load_digits()
    inputs, targets = digits.images.astype(np.uint8), digits.target.astype(np.int64)
    rows = stratified_split(targets, SPLIT_SEED)
    arrays = {
        f"{name}_{part}": values[rows[name]]
        for name in FRACTIONS
        for part, values in {"inputs": inputs, "targets": targets.astype(np.uint8)}.items()
    }
    files = {
        "digits.npz": {k: v for k, v in arrays.items() if not k.startswith("test")},
        "digits_test.npz": {k: v for k, v in arrays.items() if k.startswith("test")},
    }
    for name, content in files.items():
        np.savez_compressed(FOLDER / name, **content)
    manifest = {
        "name": "Optical Recognition of Handwritten Digits",
        "source": "UCI Machine Learning Repository, doi:10.24432/C50P49 (its test part, "
        "1,797 images, in the form scikit-learn distributes as load_digits)",
        "creators": "E. Alpaydin and C. Kaynak, 1998",
        "licence": "CC BY 4.0",
        "licence_url": "https://creativecommons.org/licenses/by/4.0/legalcode",
        "changes": "split into train, validation and test; stored as uint8",
        "arrays": {
            "inputs": {"shape": [8, 8], "dtype": "uint8", "minimum": 0, "maximum": 16},
            "targets": {"shape": [], "dtype": "uint8", "minimum": 0, "maximum": 9},
        },
        "preprocessing": "pixels divided by 16, the sensor's range; nothing is fitted",
        "split": {"seed": SPLIT_SEED, "method": "stratified by class", "fractions": FRACTIONS},
        "rows": {name: len(rows[name]) for name in FRACTIONS},
        "files": {name: hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in files},
    }
    text = json.dumps(manifest, indent=2) + "\n"
    (FOLDER / "manifest.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
