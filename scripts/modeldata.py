"""What scripts share that take a table from the R package modeldata: open it, split its rows, write a data folder."""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import struct
import sys
import tarfile
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import rdata

DATA = Path(__file__).parents[1] / "template/src/{{ package_name }}/data"
PACKAGE = "Debian's r-cran-modeldata 1.1.0-1, r-cran-modeldata_1.1.0-1_all.deb"
SHA256 = "66c2e08bb4bf695d972b1e72ea44d5af9ada3c42841793d3871017f7b896bf95"
INSIDE = "./usr/lib/R/site-library/modeldata/data/Rdata"
SPLIT_SEED = 2026
FRACTIONS = {"train": 0.70, "val": 0.15, "test": 0.15}


def read_package(name: str) -> Any:
    """Return a data frame of the package whose path is the script's only argument."""
    if len(sys.argv) != 2:  # noqa: PLR2004 (the script and its argument)
        raise SystemExit(f"want one argument: the path of {PACKAGE}")
    content = Path(sys.argv[1]).read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != SHA256:
        raise SystemExit(f"{sys.argv[1]}: SHA-256 is {found}, want {SHA256} of {PACKAGE}")
    with tarfile.open(fileobj=io.BytesIO(ar_member(content, "data.tar.xz"))) as archive:
        index, values = (archive.extractfile(INSIDE + suffix).read() for suffix in (".rdx", ".rdb"))  # type: ignore[union-attr]
    start, length = (int(number) for number in convert(index)["variables"][name])
    return convert(unpack(values[start : start + length]))


def ar_member(content: bytes, name: str) -> bytes:
    """Return one member of an ar archive, which is what a .deb file is: headers of 60 bytes before the members."""
    place = 8
    while place < len(content):
        found, size = content[place : place + 16].decode().rstrip(" /"), int(content[place + 48 : place + 58])
        if found == name:
            return content[place + 60 : place + 60 + size]
        place += 60 + size + size % 2
    raise SystemExit(f"there is no {name} in the package")


def unpack(chunk: bytes) -> bytes:
    """Return what R has compressed: its length in four bytes, then zlib, or the letter Z and LZMA."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6 | lzma.PRESET_EXTREME, "dict_size": 1 << 26}]
    packed = chunk[4:5] == b"Z"
    content = lzma.decompress(chunk[5:], lzma.FORMAT_RAW, filters=filters) if packed else zlib.decompress(chunk[4:])
    assert len(content) == struct.unpack(">I", chunk[:4])[0]
    return content


def convert(content: bytes) -> Any:
    """Return an R object as one of Python."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return rdata.conversion.convert(rdata.parser.parse_data(content))


def split_by_group(groups: np.ndarray, classes: np.ndarray) -> dict[str, np.ndarray]:
    """Return the row numbers of each split: all rows of a group in one, each class in the stated fractions, seeded."""
    rng, parts = np.random.default_rng(SPLIT_SEED), {name: list[np.ndarray]() for name in FRACTIONS}
    edges = np.cumsum(list(FRACTIONS.values()))[:-1]
    class_of = dict(zip(groups[::-1].tolist(), classes[::-1].tolist(), strict=True))  # of its first row
    for label in np.unique(classes):
        order = rng.permutation([group for group, found in sorted(class_of.items()) if found == label])
        sizes = np.array([(groups == group).sum() for group in order])
        places = np.searchsorted(edges, (np.cumsum(sizes) - sizes / 2) / sizes.sum())
        for number, name in enumerate(FRACTIONS):
            parts[name].append(np.flatnonzero(np.isin(groups, order[places == number])))
    return {name: np.sort(np.concatenate(rows)) for name, rows in parts.items()}


def write_folder(name: str, arrays: dict[str, np.ndarray], rows: dict[str, np.ndarray], about: dict[str, Any]) -> None:
    """Write a data folder: the rows to train and validate on, the test rows in a file of their own, the manifest."""
    folder, files = DATA / name, {f"{name}.npz": ("train", "val"), f"{name}_test.npz": ("test",)}
    folder.mkdir(exist_ok=True)
    for file, splits in files.items():
        content = {f"{split}_{part}": values[rows[split]] for split in splits for part, values in arrays.items()}
        np.savez_compressed(folder / file, allow_pickle=False, **content)
    manifest = {
        **about,
        "split": {"seed": SPLIT_SEED, "method": about["split"], "fractions": FRACTIONS},
        "rows": {split: len(numbers) for split, numbers in rows.items()},
        "files": {file: hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in files},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    print(json.dumps({"folder": str(folder), "rows": manifest["rows"]}))
