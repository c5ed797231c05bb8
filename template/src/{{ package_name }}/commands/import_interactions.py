"""Make a data folder of users and the items that they took, from a CSV file."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np

from ..data.own_folder import read_table, schema, write_folder

HELP = "make a data folder from a .csv file with the columns user and item"
SPLITS = {"val": 0.15, "test": 0.15}  # of each user's rows; the others are for training
SEED = 2026


def add_arguments(parser: ArgumentParser) -> bool:
    """Say what the command takes; it takes no options of a run."""
    parser.add_argument("path", type=Path, metavar="FILE", help="columns user and item")
    parser.add_argument("--folder", type=Path, required=True, metavar="DIR", help="a new folder")
    parser.add_argument("--licence", default="not stated", metavar="X", help="what the data may be used for")
    return False


def main(path: Path, *, folder: Path, licence: str) -> dict[str, Any]:
    """Write two data files and a manifest; return the folder, its rows, and the sizes that a model has to have."""
    named = sorted({(row["user"], row["item"]) for row in read_table(path, ("user", "item"))})
    users, items = (sorted({pair[side] for pair in named}) for side in (0, 1))
    places = [{name: place for place, name in enumerate(names)} for names in (users, items)]
    pairs = np.array([[places[0][user], places[1][item]] for user, item in named], np.int32)
    splits = split_rows(pairs)
    arrays = {f"{split}_{name}": array[rows] for split, rows in splits.items() for name, array in columns(pairs)}
    manifest = {
        "name": path.stem,
        "source": path.name,
        "licence": licence,
        "users": users,
        "items": items,
        "arrays": schema(arrays),
        "preprocessing": "nothing is fitted",
        "split": {
            "seed": SEED,
            "method": "by rows of each user; all users and items are trained on",
            "fractions": SPLITS,
        },
    }
    rows = write_folder(folder, arrays, manifest)
    return {"folder": str(folder), "rows": rows, "model.num_users": len(users), "model.num_items": len(items)}


def columns(pairs: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Return inputs and targets of pairs [N, 2]."""
    return [("inputs", pairs), ("targets", pairs[:, 1])]


def split_rows(pairs: np.ndarray) -> dict[str, np.ndarray]:
    """Return the rows of each split of pairs [N, 2]; the last row of a user or an item stays in training."""
    draw, left = np.random.default_rng(SEED), [np.bincount(pairs[:, side]) for side in (0, 1)]
    wanted = {split: np.floor(left[0] * share + draw.random(len(left[0]))) for split, share in SPLITS.items()}
    held = np.full(len(pairs), "train")
    for row in draw.permutation(len(pairs)):
        user, item = pairs[row]
        split = next((split for split in SPLITS if wanted[split][user] >= 1), None)
        if split and left[0][user] > 1 and left[1][item] > 1:
            held[row], left[0][user], left[1][item] = split, left[0][user] - 1, left[1][item] - 1
            wanted[split][user] -= 1
    return {split: np.flatnonzero(held == split) for split in ("train", *SPLITS)}
