"""Your own data in one step: a table, images or arrays become a data folder with splits and a manifest."""

import logging
import re
from argparse import ArgumentParser
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from ..data.folders import Arrays, copies, digests, write_folder
from ..data.sources import Ask, read_source
from ..data.splitting import Plan, describe, parse_ratios

HELP = "make a data folder of a table, a folder of images or .npy files"

logger = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> bool:
    """Say what the command takes; it does not take the options of a run."""
    parser.add_argument("path", type=Path, metavar="SOURCE", help=".csv, .tsv, .parquet, .npy, .npz or a folder")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the new data folder")
    parser.add_argument("--source", required=True, metavar="TEXT", help="where the data come from, for the manifest")
    parser.add_argument("--licence", required=True, metavar="NAME", help="under which they may be used; or proprietary")
    parser.add_argument("--name", default="", metavar="TEXT", help="what they are called (SOURCE's name)")
    parser.add_argument("--stem", default="", metavar="WORD", help="name of the .npz files (made from the name)")
    parser.add_argument("--target", default="", metavar="COLUMN", help="what is foretold; for .npy the file of targets")
    parser.add_argument("--classes", action="store_true", help="targets are classes although they are numbers")
    parser.add_argument("--group", default="", metavar="COLUMN", help="stays in one split (or a .npy file of groups)")
    parser.add_argument("--time", default="", metavar="COLUMN", help="rows are split in this order (or a .npy file)")
    parser.add_argument("--without", nargs="+", default=[], metavar="COLUMN", help="columns that are left out")
    parser.add_argument("--size", type=parse_size, metavar="HxW", help="bring images to a height and width")
    parser.add_argument("--grey", action="store_true", help="images lose their colours")
    parser.add_argument("--made", default="", metavar="DATE", help="when the data were made, as in 2026-01-31")
    parser.add_argument("--fresh-days", type=int, metavar="N", help="days after which `data leakage` calls them stale")
    parser.add_argument("--ratios", default="0.7/0.15/0.15", help="shares of train, val and test (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the split (0)")
    parser.add_argument("--mapped", action="store_true", help="write .npy files, which are read row by row: any size")
    return False


def parse_size(text: str) -> tuple[int, int]:
    """Read a height and a width, as in 32x32."""
    height, width = (int(part) for part in text.split("x"))
    return height, width


def main(path: Path, folder: Path, *, ratios: str, seed: int, **options: Any) -> dict[str, Any]:
    """Read a source, leave out rows that repeat another, split the rest, write the folder; return what is in it."""
    shares = parse_ratios(ratios)
    found = read_source(path, Ask(**{field.name: options[field.name] for field in fields(Ask)}))
    arrays, classes = found.arrays, found.about["target"].get("values", [])
    group, order = ("groups" if "groups" in arrays else ""), ("times" if "times" in arrays else "")
    kept, changes = without_copies(arrays)
    plan = Plan(ratios=shares, seed=seed, group=group, order=order, classes=bool(classes) and not order)
    rows, split = plan.split(arrays, kept)
    name = options["name"] or path.stem
    about = {"name": name, "source": options["source"], "licence": options["licence"], "changes": changes}
    about |= {**found.about, "preprocessing": "none; nothing is fitted", "fitted_on": "nothing", "split": split}
    about |= {key: options[key] for key in ("made", "fresh_days") if options[key]}
    about |= ({"labels": classes} if classes else {}) | ({"layout": "arrays"} if options["mapped"] else {})
    stem = options["stem"] or re.sub(r"\W+", "_", name.lower()).strip("_") or "data"
    write_folder(folder, arrays, rows, about, stem)
    logger.info("wrote %s; next: data leakage %s", folder, folder)
    return {"folder": str(folder), "split": split["method"], **describe(arrays, rows, classes)}


def without_copies(arrays: Arrays) -> tuple[np.ndarray, str]:
    """Return the rows [N] that do not repeat an earlier one's inputs, and what was left out, for the manifest."""
    inputs, targets = arrays["inputs"], arrays["targets"]
    copied = copies(digests(inputs))
    late, early = np.array([*copied], np.int64), np.array([*copied.values()], np.int64)
    if not copied:
        return np.arange(len(inputs)), "split"
    other = int((targets[late] != targets[early]).reshape(len(late), -1).any(1).sum())
    said = f"{len(late)} rows that repeat the inputs of another are left out, {other} of them with another target"
    logger.warning("%s; the first is row %d, which repeats row %d", said, late[0] + 1, early[0] + 1)
    return np.setdiff1d(np.arange(len(inputs)), late), f"{said}; split"
