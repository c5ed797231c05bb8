"""Handwritten digits of which a part is hidden, with a caption beside each: inputs of two kinds."""

import csv
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor

from ..types import STRICT, Batch, Split
from .loader import read_arrays, read_manifest
from .tokens import encode

SIZE, BRIGHTEST = 8, 16  # pixels are divided by the sensor's range: nothing is fitted to the data
FILES = ("captioned_digits.npz", "captioned_digits_test.npz")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CaptionedConfig:
    """Settings of the captioned digits."""

    task, labels = "multimodal_classification", tuple("0123456789")
    kind: Literal["captioned"] = "captioned"
    folder: str = ""  # folder with captioned_digits.npz, captioned_digits_test.npz, manifest.json; empty: our own
    batch_size: PositiveInt = 64
    workers: NonNegativeInt = 0  # processes that prepare batches; 0 prepares them in the training process

    @property
    def root(self) -> Path:
        """The folder with the data files and their manifest."""
        return Path(self.folder or Path(__file__).parent / "captioned_digits")

    @property
    def vocabulary(self) -> list[str]:
        """The word of each token."""
        return [str(word) for word in read_arrays(self.root, FILES[0])["vocabulary"]]

    def build(self, split: Split, *, augment: bool = False, num_rows: int | None = None) -> "Captioned":
        """Open one split, or its first rows; the test rows lie in a file of their own."""
        arrays = read_arrays(self.root, FILES[split == "test"])
        parts = ("inputs", "words", "targets")
        image, words, targets = (torch.from_numpy(arrays[f"{split}_{part}"][:num_rows]) for part in parts)
        return Captioned({"image": image / BRIGHTEST, "words": words.long()}, targets.long(), self.vocabulary)

    def read(self, path: Path) -> dict[str, Tensor]:
        """Read images [B, 8, 8] and words [B, L] from a .csv file: in each line a caption, then pixels 0 to 16."""
        want = f"want a .csv file in UTF-8, in each line a caption and {SIZE * SIZE} pixels from 0 to {BRIGHTEST}"
        if path.suffix != ".csv" or not path.is_file():
            raise ValueError(f"{path}: {want}")
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                captions, *columns = zip(*filter(None, csv.reader(file)), strict=True)
            pixels = np.array(columns, np.float32).T.reshape(-1, SIZE, SIZE)
        except (ValueError, csv.Error) as error:
            raise ValueError(f"{path}: {error}; {want}") from error
        if not ((pixels >= 0) & (pixels <= BRIGHTEST)).all():
            raise ValueError(f"{path}: pixels are {pixels.min():g} to {pixels.max():g}; {want}")
        (length,) = read_manifest(self.root)["arrays"]["words"]["shape"]
        words = torch.from_numpy(encode(captions, self.vocabulary, length)).long()
        return {"image": torch.from_numpy(pixels) / BRIGHTEST, "words": words}


class Captioned:
    """Images [N, 8, 8] and captions [N, L] in memory, taken a whole batch at a time."""

    def __init__(self, inputs: dict[str, Tensor], targets: Tensor, vocabulary: list[str]) -> None:
        self.inputs, self.targets, self.vocabulary = inputs, targets, vocabulary

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, key: tuple[Tensor, int]) -> Batch:
        index, _ = key
        inputs = {side: rows.index_select(0, index) for side, rows in self.inputs.items()}
        return Batch(inputs, self.targets.index_select(0, index), index)

    def without(self, side: str) -> "Captioned":
        """Return the same rows with one side empty: blank paper, or no word."""
        inputs = {name: torch.zeros_like(rows) if name == side else rows for name, rows in self.inputs.items()}
        return Captioned(inputs, self.targets, self.vocabulary)
