"""Write the embedded air routes of the template from the npm package vega-datasets.

Run once, by hand, when the data or the split is to change; the same package gives the same files, byte for byte:

    uv run --no-project --with numpy python scripts/make_flight_routes.py vega-datasets-3.2.1.tgz
"""

from __future__ import annotations

import csv
import hashlib
import json
import sys
import tarfile
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parents[1] / "template/src/{{ package_name }}/data/flight_routes"
PACKAGE, MEMBER = "vega-datasets 3.2.1", "package/data/flights-airport.csv"
SHA256 = "6f72fda460a9863fae5fcb32f85bcd49e1761fdea6dc6cf9f4962472881cc5a3"
SPLIT_SEED = 2026
FRACTIONS = {"test": 0.15, "val": 0.15}  # of the pairs of airports; what is left is for training
KEPT = 2  # routes that every airport keeps for training, if it has so many


def read_routes(package: Path) -> list[tuple[str, str]]:
    """Origin and destination of every route, sorted."""
    if (found := hashlib.sha256(package.read_bytes()).hexdigest()) != SHA256:
        raise SystemExit(f"{package}: SHA-256 is {found}, want {SHA256}")
    with tarfile.open(package) as archive:
        file = archive.extractfile(MEMBER)
        assert file is not None
        lines = file.read().decode().splitlines()
    return sorted((row["origin"], row["destination"]) for row in csv.DictReader(lines))


def split_by_pair(routes: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Row numbers of each split of routes [N, 2]; both directions go together, and no airport loses its last ones."""
    pairs = np.unique(np.sort(routes, axis=1), axis=0, return_inverse=True)[1].ravel()
    left = [np.bincount(routes[:, side]) for side in (0, 1)]  # routes for training, by origin and by destination
    held = dict.fromkeys(range(pairs.max() + 1), "train")
    wanted = {name: round(fraction * len(held)) for name, fraction in FRACTIONS.items()}
    for pair in np.random.default_rng(seed).permutation(len(held)).tolist():
        rows = routes[pairs == pair]
        ends = [(side, airport) for side in (0, 1) for airport in rows[:, side]]
        name = next((name for name, count in wanted.items() if count), None)
        if name and all(left[side][airport] > KEPT for side, airport in ends):
            held[pair], wanted[name] = name, wanted[name] - 1
            for side, airport in ends:
                left[side][airport] -= 1
    names = np.array([held[pair] for pair in pairs.tolist()])
    return {name: np.flatnonzero(names == name) for name in ("train", "val", "test")}


def main() -> None:
    """Number the airports, split the routes, write two data files and the manifest that names their checksums."""
    named = read_routes(Path(sys.argv[1]))
    airports = sorted({airport for route in named for airport in route})
    number = {airport: position for position, airport in enumerate(airports)}
    routes = np.array([[number[airport] for airport in route] for route in named], np.int16)
    rows = split_by_pair(routes, SPLIT_SEED)
    assert all(set(routes[rows["train"], side]) >= set(routes[:, side]) for side in (0, 1))
    content = {f"{name}_inputs": routes[numbers] for name, numbers in rows.items()}
    content |= {f"{name}_targets": routes[numbers, 1] for name, numbers in rows.items()}
    files = {
        "flight_routes.npz": {key: array for key, array in content.items() if not key.startswith("test")},
        "flight_routes_test.npz": {key: array for key, array in content.items() if key.startswith("test")},
    }
    FOLDER.mkdir(exist_ok=True)
    for name, arrays in files.items():
        np.savez_compressed(FOLDER / name, allow_pickle=False, **arrays)
    manifest = {
        "name": "Air routes in the United States, 2008",
        "source": "Bureau of Transportation Statistics, U.S. Department of Transportation, in the form of "
        f"{MEMBER.removeprefix('package/')} in the npm package {PACKAGE} (SHA-256 {SHA256})",
        "creators": "U.S. Department of Transportation, Bureau of Transportation Statistics, 2008",
        "licence": "public domain in the United States (work of the U.S. government)",
        "licence_url": "https://www.usa.gov/government-works",
        "attribution": "U.S. Department of Transportation, Bureau of Transportation Statistics, 2008; by way of "
        f"{PACKAGE}",
        "changes": "numbers of flights left out; split; stored as int16",
        "users": airports,
        "items": airports,
        "columns": "inputs: user (the airport that a route leaves from) and item (the one it goes to), positions in "
        "users and items; targets: the item again",
        "arrays": {
            "inputs": {"shape": [2], "dtype": "int16", "minimum": 0, "maximum": len(airports) - 1},
            "targets": {"shape": [], "dtype": "int16", "minimum": 0, "maximum": len(airports) - 1},
        },
        "preprocessing": "nothing is fitted",
        "split": {
            "seed": SPLIT_SEED,
            "method": "by pair of airports: both directions of a route are in one split, since nine of ten routes go "
            f"both ways; every airport keeps at least {KEPT} routes each way for training, if it has so many",
            "fractions": {"train": round(1 - sum(FRACTIONS.values()), 2), **FRACTIONS},
        },
        "rows": {name: len(numbers) for name, numbers in rows.items()},
        "files": {name: hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in files},
    }
    (FOLDER / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    print(FOLDER, manifest["rows"])


if __name__ == "__main__":
    main()
