"""What people bring: a table, a folder of images, arrays; each is read as it is, into rows with one schema."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from .folders import Arrays, open_array

MOST_WORDS = 64  # different words in a column; one with more of them names rows rather than describing them
IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".npy"}


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What a person says of a source."""

    target: str = ""  # a column, or a .npy file
    group: str = ""
    time: str = ""
    without: Sequence[str] = ()  # columns that are left out
    classes: bool = False  # targets are classes although they are numbers
    size: tuple[int, int] | None = None  # height and width that images are brought to
    grey: bool = False


@dataclass(frozen=True, kw_only=True)
class Found:
    """Rows, not split yet, and what the manifest says of them."""

    arrays: Arrays
    about: dict[str, Any] = field(default_factory=dict)


def read_source(path: Path, ask: Ask) -> Found:
    """Read a source by what it is; ValueError says in a line what is wrong with it."""
    if path.is_dir():
        return read_images(path, ask)
    if not path.is_file() or path.suffix not in READERS:
        wanted = f"an existing file ({', '.join(READERS)}) or a folder of images in folders named by class"
        raise ValueError(f"{path}: want {wanted}")
    return READERS[path.suffix](path, ask)


def read_csv(path: Path, ask: Ask) -> Found:
    """Read a table whose first line names the columns."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = list(csv.reader(file, delimiter="\t" if path.suffix == ".tsv" else ","))
    names, rows = (lines[0], [line for line in lines[1:] if line]) if lines else ([], [])
    if not rows:
        raise ValueError(f"{path}: want a line of names, and rows under it")
    if twice := [name for number, name in enumerate(names) if name in names[:number]]:
        raise ValueError(f"{path}: two columns are called '{twice[0]}'")
    if uneven := [number for number, row in enumerate(rows, start=2) if len(row) != len(names)]:
        raise ValueError(f"{path}, line {uneven[0]}: has {len(rows[uneven[0] - 2])} cells, the first line {len(names)}")
    return from_columns(path, dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)), ask)


def read_parquet(path: Path, ask: Ask) -> Found:
    """Read a Parquet table."""
    table = import_module("pyarrow.parquet").read_table(path)  # here, since importing it takes a while
    cells = {name: table[name].to_pylist() for name in table.column_names}
    return from_columns(path, {n: ["" if c is None else str(c) for c in column] for n, column in cells.items()}, ask)


def from_columns(path: Path, columns: dict[str, list[str]], ask: Ask) -> Found:
    """Make rows of a table's cells: numbers, and words by their place in the list of all words of a column."""
    for name in filter(None, (ask.target, ask.group, ask.time, *ask.without)):
        if name not in columns:
            raise ValueError(f"{path}: there is no column '{name}'; it has {', '.join(columns)}")
    if not ask.target:
        raise ValueError(f"{path}: say which column is to be foretold: --target, one of {', '.join(columns)}")
    inputs = [name for name in columns if name not in {ask.target, ask.group, ask.time, *ask.without}]
    if not inputs:
        raise ValueError(f"{path}: no column is left to learn from")
    codes, coded = zip(*(encode(path, name, columns[name]) for name in inputs), strict=True)
    target, about = encode(path, ask.target, columns[ask.target], classes=ask.classes, most=None)
    arrays: Arrays = {"inputs": np.stack(codes, axis=1).astype(np.float32)}
    arrays["targets"] = target.astype(np.int64 if "values" in about else np.float32)
    more: dict[str, Any] = {"columns": [*coded], "target": about}
    if ask.group:
        arrays["groups"] = np.unique(columns[ask.group], return_inverse=True)[1].astype(np.int64)
    if ask.time:
        arrays["times"], more["time"] = read_times(path, ask.time, columns[ask.time])
    return Found(arrays=arrays, about=more)


def encode(
    path: Path, name: str, cells: list[str], *, classes: bool = False, most: int | None = MOST_WORDS
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return a column's numbers [N], and its entry in the manifest: for words (or classes) with all its `values`."""
    if empty := [row for row, cell in enumerate(cells) if not cell.strip()]:
        raise ValueError(f"{path}: '{name}' is empty in row {empty[0] + 1}; fill it in, or leave the row out")
    try:
        numbers = np.array([float(cell) for cell in cells])
    except ValueError:
        numbers, classes = np.zeros(0), True
    if not classes:
        if not np.isfinite(numbers).all():
            row = int(np.flatnonzero(~np.isfinite(numbers))[0])
            raise ValueError(f"{path}: '{name}' is '{cells[row]}' in row {row + 1}, want a number")
        return numbers, {"name": name}
    words = sorted({cell.strip() for cell in cells}, key=float if numbers.size else None)
    if most and len(words) > most:
        many = f"{len(words)} different words ('{words[0]}')"
        raise ValueError(f"{path}: '{name}' has {many}; leave it out: --without {name}")
    place = {word: number for number, word in enumerate(words)}
    return np.array([place[cell.strip()] for cell in cells]), {"name": name, "values": words}


def read_times(path: Path, name: str, cells: list[str]) -> tuple[np.ndarray, dict[str, Any]]:
    """Return times [N] as whole numbers since 1970, in the unit in which they are written: months, days, hours."""
    try:
        return np.array([int(cell) for cell in cells], np.int64), {"unit": "generic"}
    except ValueError:
        pass
    try:
        times = np.array([cell.strip().replace("/", "-") for cell in cells], dtype="datetime64")
    except ValueError as error:
        raise ValueError(f"{path}: '{name}' wants whole numbers or dates such as 2026-01-31 ({error})") from None
    return times.astype(np.int64), {"unit": np.datetime_data(times.dtype)[0]}


def read_npy(path: Path, ask: Ask) -> Found:
    """Open arrays in .npy files, one each for inputs, targets, groups and times; they may be larger than memory."""
    if not ask.target:
        raise ValueError(f"{path}: say which .npy file holds the targets: --target FILE")
    files = {"inputs": path, "targets": Path(ask.target), "groups": Path(ask.group), "times": Path(ask.time)}
    given = {name: file for name, file in files.items() if file != Path()}
    if missing := [file for file in given.values() if not file.is_file()]:
        raise ValueError(f"{missing[0]}: no such file")
    return from_arrays(path, {name: open_array(file) for name, file in given.items()}, ask)


def read_npz(path: Path, ask: Ask) -> Found:
    """Read inputs, targets and, where they are there, groups and times of one .npz file."""
    with np.load(path, allow_pickle=False) as file:
        arrays: Arrays = {name: file[name] for name in ("inputs", "targets", "groups", "times") if name in file}
    if not {"inputs", "targets"} <= set(arrays):
        raise ValueError(f"{path}: want arrays named inputs and targets")
    return from_arrays(path, arrays, ask)


def from_arrays(path: Path, arrays: Arrays, ask: Ask) -> Found:
    """Check that arrays belong together; whole numbers as targets are classes where somebody says so."""
    lengths = {name: array.shape[0] if array.shape else 0 for name, array in arrays.items()}
    if len({*lengths.values()}) > 1:
        raise ValueError(f"{path}: numbers of rows differ: {', '.join(f'{n} {count}' for n, count in lengths.items())}")
    about: dict[str, Any] = {"name": "target"}
    if ask.classes:
        names, numbers = np.unique(arrays["targets"][:], return_inverse=True)
        arrays, about = {**arrays, "targets": numbers}, {**about, "values": [str(name) for name in names.tolist()]}
    if "groups" in arrays:
        arrays = {**arrays, "groups": np.unique(arrays["groups"][:], return_inverse=True)[1]}
    return Found(arrays=arrays, about={"target": about})


def read_images(folder: Path, ask: Ask) -> Found:
    """Read images [N, height, width] or [N, height, width, 3] from folders whose names are the classes."""
    files = sorted(p for p in folder.glob("*/*") if p.suffix.lower() in IMAGES and not p.name.startswith("."))
    if not files:
        raise ValueError(f"{folder}: want folders named by class with images in them ({', '.join(sorted(IMAGES))})")
    images = [read_image(file, ask) for file in files]
    for file, image in zip(files, images, strict=True):
        if (image.shape, image.dtype) != (images[0].shape, images[0].dtype):
            found = f"{image.dtype} {image.shape}, {files[0].name} is {images[0].dtype} {images[0].shape}"
            raise ValueError(f"{file} is {found}; want images of one form: --size HEIGHTxWIDTH, --grey")
    labels = [label for label, _ in groupby(file.parent.name for file in files)]
    place = {label: number for number, label in enumerate(labels)}
    targets = np.array([place[file.parent.name] for file in files])
    about = {"target": {"name": "class", "values": labels}}
    return Found(arrays={"inputs": np.stack(images), "targets": targets}, about=about)


def read_image(path: Path, ask: Ask) -> np.ndarray:
    """Return the pixels of an image [height, width] or [height, width, 3]."""
    if path.suffix == ".npy":
        return open_array(path)[:]
    pillow = import_module("PIL.Image")
    try:
        image = pillow.open(path).convert("L" if ask.grey else "RGB")
    except pillow.UnidentifiedImageError:
        raise ValueError(f"{path}: want an image; this file is none") from None
    return np.asarray(image.resize(ask.size[::-1]) if ask.size else image)


READERS: dict[str, Callable[[Path, Ask], Found]] = {
    ".csv": read_csv,
    ".tsv": read_csv,
    ".parquet": read_parquet,
    ".npy": read_npy,
    ".npz": read_npz,
}
