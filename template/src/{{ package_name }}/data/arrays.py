"""Arrays of one's own, images or vectors with classes or numbers: in .npz files, or in .npy files of any size."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor

from ..types import STRICT, Batch, Split
from .folders import Array, blocks, copies, digests, open_array, sha256
from .loader import read_arrays, read_manifest

SHOWN = 16  # numbers of a row that a person reads
EVALUATION = Path(__file__).parents[1] / "evaluation"  # what a project measures: a file for each task


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ArraysConfig:
    """Settings of a folder that `data import` or `data split` wrote."""

    kind: Literal["arrays"] = "arrays"
    folder: str = ""  # folder with manifest.json and its files
    batch_size: PositiveInt = 64
    workers: NonNegativeInt = 0  # processes that prepare batches; 0 prepares them in the training process
    checksums: bool = True  # compare .npy files with their SHA-256 at the start; off leaves that to `data verify`
    sample: PositiveInt = 10_000  # training rows at most that evaluation compares the held-out rows with

    @property
    def root(self) -> Path:
        """The folder with the data files and their manifest."""
        if not (Path(self.folder) / "manifest.json").is_file() or not self.folder:
            raise ValueError(f"data.folder: got '{self.folder}', want a folder that `data import` wrote")
        return Path(self.folder)

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes, in the order of their numbers; none where targets are numbers."""
        return tuple(map(str, read_manifest(self.root).get("labels", ())))

    @property
    def task(self) -> str:
        """What is learned: a class, or a number; ValueError where the project has no figures for it."""
        task = "classification" if self.labels else "regression"
        if not (EVALUATION / f"{task}.py").is_file():
            raise ValueError(f"data.kind: got arrays, for {task} here; this project has no evaluation/{task}.py")
        return task

    def build(self, split: Split, *, augment: bool = False, num_rows: int | None = None) -> "ArrayRows":
        """Open one split, or its first rows. Evaluation takes a sample of a large training split, always the same."""
        manifest, root, _ = read_manifest(self.root), self.root, self.task
        if words := [column["name"] for column in manifest.get("columns", ()) if "values" in column]:
            raise ValueError(f"{root}: columns {', '.join(words)} hold words; read them with a kind for tables")
        parts = (f"{split}_{name}" for name in ("inputs", "targets"))
        inputs, targets = (open_part(root, manifest, part, self.checksums) for part in parts)
        rows = np.arange(len(targets))[:num_rows]
        if split == "train" and not augment and not num_rows and len(rows) > self.sample:
            rows = np.sort(np.random.default_rng(0).choice(rows, self.sample, replace=False))
        columns = [column["name"] for column in manifest.get("columns", ())]
        return ArrayRows(inputs, targets[rows], rows, brightest(manifest), columns)

    def read(self, path: Path) -> Tensor:
        """Read inputs [B, ...] from a .npy file, or from a .csv file of one row of numbers a line."""
        schema = read_manifest(self.root)["arrays"]["inputs"]
        if path.suffix not in {".npy", ".csv"} or not path.is_file():
            raise ValueError(f"{path}: want an existing .npy or .csv file of rows {schema['shape']}")
        try:
            values = np.load(path) if path.suffix == ".npy" else np.loadtxt(path, delimiter=",", ndmin=2)
            rows = torch.from_numpy(values.astype(np.float32)).reshape(-1, *schema["shape"])
        except (ValueError, TypeError, RuntimeError, EOFError) as error:
            raise ValueError(f"{path}: want rows {schema['shape']} of numbers ({error})") from error
        if not rows.isfinite().all():
            raise ValueError(f"{path}: row {int((~rows.flatten(1).isfinite()).any(1).nonzero()[0])} has no number")
        return rows / brightest({"arrays": {"inputs": schema}})


def brightest(manifest: dict[str, Any]) -> float:
    """Return what inputs are divided by: the range of pixels, as the manifest states it; 1 for other numbers."""
    schema = manifest["arrays"]["inputs"]
    return float(schema["maximum"]) if schema["dtype"] == "uint8" else 1.0


def open_part(root: Path, manifest: dict[str, Any], key: str, checksums: bool) -> Array:
    """Open an array of a split, from a .npy file of its own or an .npz file; OSError where it is not the manifest's."""
    if f"{key}.npy" not in manifest["files"]:
        test = key.startswith("test_")
        (name,) = (name for name in manifest["files"] if name.endswith("_test.npz") == test)
        return read_arrays(root, name)[key]
    problems = [*check_file(root, manifest, *key.split("_", 1), checksum=checksums)]
    if problems:
        raise OSError(f"{root}: {problems[0]}; restore the file")
    return open_array(root / f"{key}.npy")


class ArrayRows:
    """Rows of a file or of memory, taken a whole batch at a time; targets [N] are in memory."""

    def __init__(self, source: Array, targets: np.ndarray, rows: np.ndarray, divisor: float, names: list[str]) -> None:
        self.source, self.numbers, self.divisor, self.columns = source, rows, divisor, names
        whole = np.issubdtype(targets.dtype, np.integer)
        self.targets = torch.from_numpy(targets.astype(np.int64 if whole else np.float32))

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, index: Tensor) -> Tensor:
        """Return inputs [B, ...] of rows [B], pixels divided by their range."""
        values = torch.from_numpy(self.source[self.numbers[index.numpy()]].astype(np.float32))
        return values / self.divisor if self.divisor != 1 else values

    @property
    def inputs(self) -> Tensor:
        """All inputs [N, ...] at once: what baselines and pictures ask for."""
        return self.take(torch.arange(len(self)))

    def rows(self, index: list[int]) -> list[dict[str, float]]:
        """Return rows by their numbers as a person reads them: the first numbers by their column's name or place."""
        values = self.take(torch.tensor(index)).flatten(1)[:, :SHOWN].tolist()
        return [dict(zip(self.columns or map(str, range(len(row))), row, strict=False)) for row in values]

    def __getitem__(self, key: tuple[Tensor, int]) -> Batch:
        index, _ = key
        return Batch(self.take(index), self.targets[index], index)


def verify(root: Path) -> Iterator[str]:
    """Return one line for each way in which a folder of .npy files breaks its manifest; reads them block by block."""
    manifest, seen = read_manifest(root), list[np.ndarray]()
    whole = True
    for split in manifest["rows"]:
        for name in manifest["arrays"]:
            for problem in check_file(root, manifest, split, name, checksum=True):
                whole = False
                yield f"{root}: {problem}; restore the file"
    for split in manifest["rows"] if whole else ():
        for name, schema in manifest["arrays"].items():
            low, high = schema["minimum"], schema["maximum"]
            array = open_array(root / f"{split}_{name}.npy")
            if not all(((part >= low) & (part <= high)).all() for part in blocks(array)):
                yield f"{split}: {name} leave {low} to {high}"
        seen.append(digests(open_array(root / f"{split}_inputs.npy")))
    if seen:
        names, starts = list(manifest["rows"]), np.cumsum([0, *map(len, seen)])
        for pair in copies(np.concatenate(seen)).items():
            split = [int(np.searchsorted(starts, row, side="right")) - 1 for row in pair]
            late, early = (f"{names[s]} row {row - starts[s]}" for s, row in zip(split, pair, strict=True))
            yield f"{late} is a copy of {early}"


def check_file(root: Path, manifest: dict[str, Any], split: str, name: str, *, checksum: bool) -> Iterator[str]:
    """Compare a .npy file with the manifest: its schema first, which costs nothing, then its SHA-256."""
    file, schema = f"{split}_{name}.npy", manifest["arrays"][name]
    path, shape = root / file, (manifest["rows"][split], *schema["shape"])
    if not path.is_file():
        yield f"{file} is missing"
        return
    found = path.stat().st_size
    try:
        array = open_array(path)
    except ValueError:
        yield f"{file} is cut off or no .npy file ({found:,} bytes)"
        return
    if (array.shape, array.dtype.name) != (shape, schema["dtype"]):
        yield f"{file} has {array.dtype.name} {array.shape}, the manifest says {schema['dtype']} {shape}"
    elif checksum and (digest := sha256(path)) != manifest["files"][file]:
        yield f"{file} has SHA-256 {digest[:12]}..., the manifest says {manifest['files'][file][:12]}..."
