"""Make a data folder of texts in a CSV file, where those of one family belong together."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np

from ..data.own_folder import read_table, schema, write_folder

HELP = "make a data folder from a .csv file with the columns family and text"
SPLITS = {"train": 0.70, "val": 0.15, "test": 0.15}
SEED = 2026


def add_arguments(parser: ArgumentParser) -> bool:
    """Say what the command takes; it takes no options of a run."""
    parser.add_argument(
        "path", type=Path, metavar="FILE", help="columns family and text, and perhaps title and subject"
    )
    parser.add_argument("--folder", type=Path, required=True, metavar="DIR", help="a new folder")
    ways = "families: each in one split only, so that figures are for new ones; texts: each in all splits"
    parser.add_argument("--by", choices=("families", "texts"), default="families", help=ways)
    parser.add_argument("--licence", default="not stated", metavar="X", help="what the data may be used for")
    return False


def main(path: Path, *, folder: Path, by: str, licence: str) -> dict[str, Any]:
    """Write two data files and a manifest; return the folder and the number of rows in each split."""
    rows = read_table(path, ("family", "text"))
    texts = [row["text"] for row in rows]
    if len({*texts}) < len(texts):
        raise ValueError(f"{path}: line {2 + next(n for n, x in enumerate(texts) if x in texts[:n])} repeats a text")
    names = sorted({row["family"] for row in rows})
    targets = np.array([names.index(row["family"]) for row in rows])
    parts = split_rows(targets, whole=by == "families")
    if poor := [split for split, part in parts.items() if len(part) and np.bincount(targets[part]).max() == 1]:
        raise ValueError(f"--by {by}: no family has two texts in {poor[0]}")
    columns = {"inputs": pack(texts), "titles": pack([row.get("title", "") for row in rows])}
    columns["targets"] = targets.astype(np.int32)
    arrays = {f"{split}_{name}": array[part] for split, part in parts.items() for name, array in columns.items()}
    subjects = {row["family"]: row.get("subject", "") for row in rows}
    manifest = {
        "name": path.stem,
        "source": path.name,
        "licence": licence,
        "families": [{"name": name, "subject": subjects[name]} for name in names],
        "arrays": schema(arrays),
        "preprocessing": "words, their beginnings and endings are hashed: nothing is fitted",
        "split": {"seed": SEED, "method": f"by {by}", "fractions": SPLITS},
    }
    return {"folder": str(folder), "rows": write_folder(folder, arrays, manifest)}


def pack(texts: list[str]) -> np.ndarray:
    """Return texts as bytes [N, width] in UTF-8, padded with 0."""
    content = [text.encode() for text in texts]
    width = max(1, *map(len, content))
    return np.frombuffer(b"".join(text.ljust(width, b"\0") for text in content), np.uint8).reshape(-1, width)


def split_rows(targets: np.ndarray, *, whole: bool) -> dict[str, np.ndarray]:
    """Return the rows of each split of texts of families [N]: families as a whole, or each in its fractions."""
    draw, ends = np.random.default_rng(SEED), np.cumsum([*SPLITS.values()])[:-1]
    families = draw.permutation(targets.max() + 1)
    if whole:
        parts = np.split(families, np.round(ends * len(families)).astype(int))
        return {split: np.flatnonzero(np.isin(targets, part)) for split, part in zip(SPLITS, parts, strict=True)}
    each = [draw.permutation(np.flatnonzero(targets == family)) for family in families]
    cut = [np.split(rows, np.round(ends * len(rows)).astype(int)) for rows in each]
    return {split: draw.permutation(np.concatenate([part[n] for part in cut])) for n, split in enumerate(SPLITS)}
