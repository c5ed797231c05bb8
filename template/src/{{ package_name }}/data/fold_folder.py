"""A data folder as a fold has it: its training and validation rows change places, and nothing is written anywhere."""

import hashlib
import io
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from .loader import read_arrays, read_manifest

Arrays = dict[str, np.ndarray]
PADDING, UNKNOWN_WORD = 0, 1  # tokens of no word, and of one that no training row has


@dataclass(frozen=True)
class Folder:
    """A folder of which some files are others than those on the disk."""

    real: Path
    manifest: str
    files: dict[str, bytes]
    file: str = ""
    seen: list[str] = field(default_factory=list)  # the files that were read

    def __truediv__(self, file: str) -> "Folder":
        return replace(self, file=file)

    def __str__(self) -> str:
        return f"{self.real}, folded{': ' if self.file else ''}{self.file}"

    def read_text(self, encoding: str) -> str:
        """Return the manifest."""
        return self.manifest.encode().decode(encoding)

    def read_bytes(self) -> bytes:
        """Return a data file; that of the test split is the one on the disk."""
        self.seen.append(self.file)
        return self.files[self.file] if self.file in self.files else (self.real / self.file).read_bytes()


def read_pool(root: Path) -> Arrays:
    """Return arrays [N, ...] of all training rows, then all validation rows; none where no file holds such rows."""
    names, found = read_manifest(root).get("files", {}), Arrays()
    if mapped := [name for name in names if name.endswith(".npy")]:
        raise ValueError(f"{root}: {mapped[0]} stays on the disk; folds want `data import` without --mapped")
    for name in names:
        if name.endswith(".npz") and not name.endswith("_test.npz"):
            found |= read_arrays(root, name)
    rows = [name.removeprefix("train_") for name in found if name.startswith("train_")]
    return {name: np.concatenate([found[f"train_{name}"], found[f"val_{name}"]]) for name in rows}


def fold(root: Path, pool: Arrays, rows: dict[str, np.ndarray], about: str) -> Folder:
    """Return the folder in which `rows` of the pool are the training and the validation rows."""
    manifest, files = read_manifest(root), dict[str, bytes]()
    for name in manifest["files"] if "inputs" in pool else ():
        if not name.endswith("_test.npz"):
            files[name] = pack(read_arrays(root, name), pool, rows)
    manifest["rows"] = {**manifest["rows"], **{split: len(numbers) for split, numbers in rows.items()}}
    manifest["split"] = {"seed": None, "method": about}
    manifest["files"] |= {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    if not files:  # whoever draws rows by himself: what tells this fold from another
        manifest["files"] |= {f"{split} rows": checksum(numbers) for split, numbers in rows.items()}
    return Folder(root, json.dumps(manifest, indent=2), files)


def checksum(numbers: np.ndarray) -> str:
    """Return the SHA-256 of row numbers [N]."""
    return hashlib.sha256(numbers.astype("<i8").tobytes()).hexdigest()


def pack(arrays: Arrays, pool: Arrays, rows: dict[str, np.ndarray]) -> bytes:
    """Return a file of arrays with these rows of the pool in it; words that no training row has are no longer known."""
    found: dict[str, Any] = dict(arrays)
    for split, numbers in rows.items():
        found |= {f"{split}_{name}": array[numbers] for name, array in pool.items() if f"{split}_{name}" in arrays}
    tokens = [name for name in pool if pool[name].shape[2:] == () != pool[name].shape[1:]]  # [N, L]
    if "vocabulary" in found and tokens:
        words = found["vocabulary"].copy()
        known = np.isin(np.arange(len(words)), [PADDING, UNKNOWN_WORD])
        for name in tokens:
            known[np.unique(found[f"train_{name}"])] = True
        for name in tokens:
            held = found[f"val_{name}"]
            found[f"val_{name}"] = np.where(known[held], held, UNKNOWN_WORD).astype(held.dtype)
        found["vocabulary"] = np.where(known, words, "")
    np.savez(buffer := io.BytesIO(), **found)
    return buffer.getvalue()
