"""Texts of which each has a class: definitions of English nouns, by what they define, lie in the package itself."""

import csv
from pathlib import Path
from typing import Literal

import torch
from pydantic import NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor

from ..types import STRICT, Batch, Split
from .loader import read_arrays, read_manifest
from .tokens import encode


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TextConfig:
    """Settings of the texts."""

    task = "text_classification"
    kind: Literal["text"] = "text"
    folder: str = ""  # folder with <name>.npz, <name>_test.npz and manifest.json; empty: the package's own
    batch_size: PositiveInt = 64
    workers: NonNegativeInt = 0  # processes that prepare batches; 0 prepares them in the training process

    @property
    def root(self) -> Path:
        """The folder with the data files and their manifest."""
        return Path(self.folder or Path(__file__).parent / "wordnet_glosses")

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes, in the order of their numbers."""
        return tuple(read_manifest(self.root)["labels"])

    @property
    def vocabulary(self) -> list[str]:
        """The word of each token, fitted to the training split."""
        return [str(word) for word in read_arrays(self.root, file_of("train", self.root))["vocabulary"]]

    def build(self, split: Split, *, augment: bool = False, num_rows: int | None = None) -> "Texts":
        """Open one split, or its first rows; the test rows lie in a file of their own."""
        arrays = read_arrays(self.root, file_of(split, self.root))
        inputs, targets = (torch.from_numpy(arrays[f"{split}_{part}"][:num_rows]) for part in ("inputs", "targets"))
        return Texts(inputs.long(), targets.long(), self.vocabulary)

    def read(self, path: Path) -> Tensor:
        """Read tokens [B, L] of a .txt file with a text in each line, or of a .csv file with a column `text`."""
        (length,) = read_manifest(self.root)["arrays"]["inputs"]["shape"]
        return torch.from_numpy(encode(read_texts(path), self.vocabulary, length)).long()


def file_of(split: Split, root: Path) -> str:
    """Return the name of the file of a data folder that holds a split."""
    (name,) = (name for name in read_manifest(root)["files"] if name.endswith("_test.npz") == (split == "test"))
    return str(name)


def read_texts(path: Path) -> list[str]:
    """Return the texts of a .txt or .csv file."""
    want = "want a .txt file in UTF-8 with a text in each line, or a .csv file with a column text"
    if path.suffix not in {".txt", ".csv"} or not path.is_file():
        raise ValueError(f"{path}: {want}")
    try:
        with path.open(newline="" if path.suffix == ".csv" else None, encoding="utf-8-sig") as file:
            if path.suffix == ".txt":
                return file.read().splitlines()
            lines = csv.DictReader(file)
            if "text" not in (lines.fieldnames or ()):
                raise ValueError(f"{path}: found the columns {', '.join(lines.fieldnames or ())}; {want}")
            return [line["text"] or "" for line in lines]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: {error}; {want}") from error


class Texts:
    """Rows of tokens [N, L] in memory, taken a whole batch at a time."""

    def __init__(self, inputs: Tensor, targets: Tensor, vocabulary: list[str]) -> None:
        self.inputs, self.targets, self.vocabulary = inputs, targets, vocabulary

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, key: tuple[Tensor, int]) -> Batch:
        index, _ = key
        return Batch(self.inputs.index_select(0, index), self.targets.index_select(0, index), index)
