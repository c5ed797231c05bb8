"""Data folders of one's own: arrays that stay on the disk, a folder written with its manifest, a manifest checked."""

import hashlib
import json
import logging
import math
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from ..types import Split
from .loader import read_arrays, read_manifest

SPLITS: tuple[Split, ...] = ("train", "val", "test")
BLOCK = 2**22  # bytes that are in memory at a time
LICENCES = re.compile(  # families of licences, as people and SPDX write them
    r"cc[ -]?(0|by)|public[ -]domain|pddl|odbl|odc|mit\b|apache|bsd|[al]?gpl|mpl|isc\b|ogl|proprietary|licen[cs]e",
    re.IGNORECASE,
)
FIT_BOUNDARY = re.compile(r"nothing is fitted|training split|train split|fitted (on|to) train", re.IGNORECASE)
FITTED_ON_MORE = re.compile(
    r"(fitted|computed|taken) (on|over|to|from) (all|every|the whole|the entire|val|test)", re.IGNORECASE
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Mapped:
    """An array [N, ...] in a .npy file: rows are read when they are asked for, and leave no page of it in memory."""

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int  # bytes before the first row

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Return rows [B, ...] by their numbers or a slice; the map is closed again, so that nothing adds up."""
        return np.array(np.memmap(self.path, self.dtype, "r", self.offset, self.shape)[rows])


@dataclass(frozen=True)
class Joined:
    """Arrays [N, ...] one after the other, as if they were one; none is read before its rows are asked for."""

    parts: "tuple[Array, ...]"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the whole."""
        return (len(self), *self.parts[0].shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the numbers."""
        return self.parts[0].dtype

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Return rows [B, ...] by their numbers or a slice."""
        numbers = np.arange(len(self))[rows]
        starts = np.cumsum([0, *map(len, self.parts)])
        found = np.empty((len(numbers), *self.shape[1:]), self.dtype)
        for start, part in zip(starts, self.parts, strict=False):
            here = (numbers >= start) & (numbers < start + len(part))
            found[here] = part[numbers[here] - start]
        return found


Array = np.ndarray | Mapped | Joined
Arrays = dict[str, Array]  # inputs [N, ...], targets [N, ...], groups [N], times [N]


def open_array(path: Path) -> Mapped:
    """Open a .npy file; ValueError where it is none, is cut off, or would need code to be read."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        return Mapped(path, array.shape, array.dtype, array.offset)
    except (ValueError, EOFError, AttributeError) as error:
        raise ValueError(f"{path}: want a whole .npy file ({error})") from error


def blocks(array: Array) -> Iterator[np.ndarray]:
    """Return the rows of an array [N, ...] a few megabytes at a time."""
    row = max(1, int(np.prod(array.shape[1:])) * array.dtype.itemsize)
    step = max(1, BLOCK // row)
    return (array[start : start + step] for start in range(0, len(array), step))


def sha256(path: Path) -> str:
    """Return the checksum of a file of any size, which is read block by block."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests(array: Array) -> np.ndarray:
    """Return 16 bytes [N] for each row, equal where rows are equal."""
    each = [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for part in blocks(array) for row in part]
    return np.array(each, dtype="V16")


def copies(digest: np.ndarray) -> dict[int, int]:
    """Return for every row that repeats an earlier one, by digests [N], which one that is."""
    _, first, inverse = np.unique(digest, return_index=True, return_inverse=True)
    origin = first[inverse]
    return {int(row): int(origin[row]) for row in np.flatnonzero(origin != np.arange(len(digest)))}


def read_folder(root: Path) -> tuple[dict[str, Any], dict[Split, Arrays]]:
    """Return a folder's manifest and the arrays of its splits; those in .npy files stay there."""
    manifest, found = read_manifest(root), Arrays()
    for name in manifest["files"]:
        if name.endswith(".npy"):
            found[name.removesuffix(".npy")] = open_array(root / name)
        else:
            found |= read_arrays(root, name)
    missing = [split for split in SPLITS if split not in manifest["rows"]]
    if missing:
        raise ValueError(f"{root}: the manifest has no {missing[0]} split; want train, val and test")
    return manifest, {split: {name: found[f"{split}_{name}"] for name in manifest["arrays"]} for split in SPLITS}


def write_folder(
    folder: Path, arrays: Mapping[str, Array], rows: Mapping[Split, np.ndarray], about: dict[str, Any], stem: str
) -> dict[str, Any]:
    """Write rows [N] of arrays as splits, with the manifest that `about` begins; it is there whole or not at all.

    The test split gets files of its own: `<stem>_test.npz`; with `layout: arrays` every array of every split is one.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is there and not empty: data are never overwritten; name another folder")
    if empty := [split for split in SPLITS if not len(rows[split])]:
        raise ValueError(f"no row is left for {empty[0]} ({count_rows(rows)}); want other ratios, or more data")
    known = about.get("arrays", {})
    schemas = {name: schema(array, known.get(name, {})) for name, array in arrays.items()}
    logger.info("writing %s: %s rows", folder, count_rows(rows))
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    files = write_mapped(part, arrays, rows) if "layout" in about else write_npz(part, arrays, rows, stem)
    manifest = {
        **about,
        "arrays": schemas,
        "rows": {split: len(rows[split]) for split in SPLITS},
        "files": {name: sha256(part / name) for name in files},
    }
    (part / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part.replace(folder)
    return manifest


def write_npz(folder: Path, arrays: Mapping[str, Array], rows: Mapping[Split, np.ndarray], stem: str) -> list[str]:
    """Write two .npz files, the second with the test split; return their names."""
    names: dict[str, tuple[Split, ...]] = {f"{stem}.npz": ("train", "val"), f"{stem}_test.npz": ("test",)}
    for name, splits in names.items():
        parts: dict[str, Any] = {f"{s}_{key}": array[rows[s]] for s in splits for key, array in arrays.items()}
        np.savez_compressed(folder / name, **parts)
    return list(names)


def write_mapped(folder: Path, arrays: Mapping[str, Array], rows: Mapping[Split, np.ndarray]) -> list[str]:
    """Write a .npy file for each array of each split, block by block; return their names."""
    names = list[str]()
    for split, key in ((split, key) for split in SPLITS for key in arrays):
        array, names = arrays[key], [*names, f"{split}_{key}.npy"]
        head = {"descr": array.dtype.str, "fortran_order": False, "shape": (len(rows[split]), *array.shape[1:])}
        with (folder / names[-1]).open("wb") as file:
            np.lib.format.write_array_header_1_0(file, head)
            for part in blocks(rows[split]):
                for few in np.array_split(part, max(1, len(part) // 1024)):
                    file.write(array[few].tobytes())
    return names


def schema(array: Array, known: dict[str, Any]) -> dict[str, Any]:
    """Return what a manifest says of an array; the range is what was known of it, else that of bytes or of the rows."""
    if "minimum" in known and known.get("dtype") == array.dtype.name:
        low, high = known["minimum"], known["maximum"]
    elif array.dtype == np.uint8 and len(array.shape) > 1:
        low, high = 0, 255
    else:
        ends = [(part.min().item(), part.max().item()) for part in blocks(array)]
        low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    if not (math.isfinite(np.min(low)) and math.isfinite(np.max(high))):
        raise ValueError("some inputs or targets are no numbers; fill them in, or leave their rows out")
    return {"shape": list(array.shape[1:]), "dtype": array.dtype.name, "minimum": low, "maximum": high}


def count_rows(rows: Mapping[Split, np.ndarray]) -> str:
    """Say how many rows the splits have."""
    return ", ".join(f"{split} {len(rows[split])}" for split in rows)


def check_manifest(manifest: dict[str, Any], today: date) -> list[str]:
    """Return one line for each thing that a manifest has to say and does not, or says wrongly."""
    problems = [f"the manifest does not say its {key}" for key in ("name", "source") if not manifest.get(key)]
    licence = manifest.get("licence")
    if not isinstance(licence, str) or not LICENCES.search(licence):
        wanted = "the name of one, as in 'CC BY 4.0', 'MIT', 'public domain' or 'proprietary'"
        problems.append(f"the licence is {licence!r}, want {wanted}")
    problems += [f"there is no {split} split" for split in SPLITS if not manifest.get("rows", {}).get(split)]
    if not isinstance(split := manifest.get("split"), dict) or not split.get("method") or "seed" not in split:
        problems.append("the manifest does not say how it was split, and with which seed")
    problems += check_preprocessing(manifest)
    if days := manifest.get("fresh_days"):
        age = (today - date.fromisoformat(str(manifest.get("made", "1970-01-01")))).days
        problems += [f"the data are {age} days old, fresh are {days} at most"] if age > days else []
    return problems


def check_preprocessing(manifest: dict[str, Any]) -> list[str]:
    """Return a line where the manifest does not say on which rows preprocessing was fitted, or on others than train."""
    said, fitted_on = str(manifest.get("preprocessing", "")), manifest.get("fitted_on")
    if fitted_on not in {None, "nothing", "train"}:
        return [f"preprocessing was fitted on {fitted_on}, want train, or nothing"]
    if FITTED_ON_MORE.search(said):
        return [f"preprocessing was fitted on more than train: {said!r}"]
    if not fitted_on and not FIT_BOUNDARY.search(said):
        return [f"the manifest does not say on which split preprocessing was fitted: {said!r}"]
    return []
