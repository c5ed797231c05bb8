"""Another split of a data folder, written to a new folder: stratified, by group, in the order of time, or at random."""

import logging
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np

from ..data.folders import SPLITS, Arrays, Joined, read_folder, write_folder
from ..data.loader import read_arrays, verify
from ..data.splitting import Plan, describe, parse_ratios

HELP = "split a data folder anew, into another folder"

logger = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> bool:
    """Say what the command takes; it does not take the options of a run."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a data folder")
    parser.add_argument("new", type=Path, metavar="NEW", help="the folder to write; it must not be there yet")
    parser.add_argument("--ratios", default="0.8/0.1/0.1", help="shares of train, val and test (%(default)s)")
    parser.add_argument("--stratify", action="store_true", help="each split gets its share of every class")
    parser.add_argument("--group", default="", metavar="COLUMN", help="rows of one group stay in one split")
    parser.add_argument("--time", default="", metavar="COLUMN", help="train comes first, then val, then test")
    parser.add_argument("--seed", type=int, default=0, help="of the drawing (0)")
    return False


def main(folder: Path, new: Path, *, ratios: str, group: str, **options: Any) -> dict[str, Any]:
    """Put the rows of all splits together, split them anew and write them; the old test rows are no longer sealed."""
    time, fixed = options["time"], {"seed": options["seed"], "classes": options["stratify"]}
    plan = Plan(ratios=parse_ratios(ratios), group=group, order=time, **fixed)
    if not (folder / "manifest.json").is_file():
        raise ValueError(f"{folder}: there is no manifest.json; `data import` makes a data folder of a file")
    if problems := verify(folder):
        logger.error("data split: %s", "; ".join(problems))
        raise SystemExit(1)
    manifest, old = read_folder(folder)
    if known := fitted(folder, manifest):
        raise ValueError(f"{folder}: {known} to the training rows of its split; split what the folder was made of")
    arrays: Arrays = {name: Joined(tuple(old[split][name] for split in SPLITS)) for name in manifest["arrays"]}
    keys = {name: find(folder, manifest, arrays, name) for name in (group, time) if name}
    rows, split = plan.split({**arrays, **keys}, np.arange(len(arrays["inputs"])))
    write_folder(new, arrays, rows, {**manifest, "split": split}, stem(manifest))
    logger.info("wrote %s: %s", new, split["method"])
    return {"folder": str(new), "split": split["method"], **describe(arrays, rows, class_names(manifest))}


def fitted(folder: Path, manifest: dict[str, Any]) -> str:
    """Say what in a folder was fitted to its old training rows, if anything: arrays beside the splits, or values."""
    files = [name for name in manifest["files"] if name.endswith(".npz")]
    beside = {key for name in files for key in read_arrays(folder, name)}
    beside -= {f"{split}_{name}" for split in SPLITS for name in manifest["arrays"]}
    said = manifest.get("fitted_on") not in {None, "nothing"}
    return f"{', '.join(sorted(beside))} was fitted" if beside else "its preprocessing was fitted" if said else ""


def find(folder: Path, manifest: dict[str, Any], arrays: Arrays, name: str) -> np.ndarray:
    """Return what rows are grouped or ordered by [N]: an array of the folder, or a column of its inputs."""
    if name in arrays and len(arrays[name].shape) == 1:
        return arrays[name][:]
    columns = [column["name"] for column in manifest.get("columns", ()) if isinstance(column, dict)]
    if name in columns:
        return arrays["inputs"][:][:, columns.index(name)]
    known = [*(key for key, array in arrays.items() if len(array.shape) == 1), *columns]
    raise ValueError(f"{folder}: there is nothing called '{name}' to split by; it has {', '.join(known)}")


def stem(manifest: dict[str, Any]) -> str:
    """Return what the .npz files of a folder are called, without _test and the ending."""
    return min((str(name).removesuffix(".npz") for name in manifest["files"]), key=len)


def class_names(manifest: dict[str, Any]) -> list[str]:
    """Return the names of the classes, or their numbers where they have no names; none for other targets."""
    if names := manifest.get("labels") or manifest.get("target", {}).get("values"):
        return [str(name) for name in names]
    schema = manifest["arrays"].get("targets", {"dtype": "none", "shape": []})
    whole = schema["dtype"].startswith(("int", "uint")) and not schema["shape"] and schema["minimum"] >= 0
    return [str(number) for number in range(schema["maximum"] + 1)] if whole else []
