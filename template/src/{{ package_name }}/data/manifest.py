"""The manifest beside the data: what the files must be, and every way in which they are not."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


def read_manifest(root: Path) -> dict[str, Any]:
    """Return the manifest of a data folder."""
    manifest: dict[str, Any] = json.loads((root / "manifest.json").read_text(encoding="utf-8"))
    return manifest


def read_arrays(root: Path, name: str) -> Arrays:
    """Return the arrays of one data file; raises OSError unless its SHA-256 is the manifest's."""
    path = root / name
    found, wanted = hashlib.sha256(path.read_bytes()).hexdigest(), read_manifest(root)["files"][name]
    if found != wanted:
        raise OSError(f"{path}: SHA-256 is {found[:12]}..., the manifest says {wanted[:12]}...; restore the file")
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def verify(root: Path) -> list[str]:
    """Return one line for each way in which a data folder breaks its manifest; none if it holds."""
    try:
        manifest = read_manifest(root)
        arrays = {key: array for name in manifest["files"] for key, array in read_arrays(root, name).items()}
        problems = [line for split in manifest["rows"] for line in check_split(split, arrays, manifest)]
    except (OSError, ValueError, KeyError) as error:
        return [f"{root}: lacks {error}" if isinstance(error, KeyError) else str(error)]
    first: dict[bytes, str] = {}
    for split in manifest["rows"]:
        places = ((values.tobytes(), f"{split} row {row}") for row, values in enumerate(arrays[f"{split}_inputs"]))
        problems += [f"{at} is a copy of {first[row]}" for row, at in places if first.setdefault(row, at) != at]
    return problems


def check_split(split: str, arrays: Arrays, manifest: dict[str, Any]) -> list[str]:
    """Compare one split's arrays with the manifest's schema and row counts."""
    inputs, targets = arrays[f"{split}_inputs"], arrays[f"{split}_targets"]
    rows, schema, classes = manifest["rows"][split], manifest["inputs"], manifest["targets"]["classes"]
    low, high = schema["minimum"], schema["maximum"]
    checks = {
        f"inputs are {inputs.shape}, want {(rows, *schema['shape'])}": inputs.shape == (rows, *schema["shape"]),
        f"targets are {targets.shape}, want {(rows,)}": targets.shape == (rows,),
        f"inputs are {inputs.dtype}, want {schema['dtype']}": inputs.dtype == schema["dtype"],
        f"inputs leave {low} to {high}": bool(((inputs >= low) & (inputs <= high)).all()),
        f"targets are not the classes 0 to {classes - 1}": set(targets.tolist()) == set(range(classes)),
    }
    return [f"{split}: {problem}" for problem, holds in checks.items() if not holds]
