"""Handwritten digits as images to draw: a model is told the class, and has to make the image."""

from pathlib import Path
from typing import Literal

import torch
from pydantic import NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor

from ..types import STRICT, Batch, Split
from .loader import read_arrays

BRIGHTEST = 16  # pixels are divided by the sensor's range: nothing is fitted to the data


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DigitImagesConfig:
    """Settings of the digits that are to be drawn."""

    task, labels = "diffusion", tuple("0123456789")
    kind: Literal["digit_images"] = "digit_images"
    folder: str = ""  # folder with digits.npz, digits_test.npz and manifest.json; empty: the package's own
    batch_size: PositiveInt = 128
    workers: NonNegativeInt = 0  # processes that prepare batches; 0 prepares them in the training process

    @property
    def root(self) -> Path:
        """The folder with the data files and their manifest."""
        return Path(self.folder or Path(__file__).with_name("digits"))

    def build(self, split: Split, *, augment: bool = False, num_rows: int | None = None) -> "DigitImages":
        """Open one split, or its first rows; images are never moved, or the model would learn to draw them so."""
        arrays = read_arrays(self.root, "digits_test.npz" if split == "test" else "digits.npz")
        inputs, targets = (torch.from_numpy(arrays[f"{split}_{part}"][:num_rows]) for part in ("inputs", "targets"))
        return DigitImages(inputs.float() / BRIGHTEST, targets.long(), self)

    def read(self, path: Path) -> Tensor:
        """Read the classes [B] to draw from a text file."""
        want = f"{path}: want an existing text file of classes from 0 to {len(self.labels) - 1}, such as 7,7,3"
        if not path.is_file():
            raise ValueError(want)
        try:
            classes = [int(word) for word in path.read_text("utf-8").replace(",", " ").split()]
        except ValueError as error:
            raise ValueError(f"{want} ({error})") from error
        if not classes or not all(0 <= label < len(self.labels) for label in classes):
            raise ValueError(f"{want}, got {classes}")
        return torch.tensor(classes)


class DigitImages:
    """Images [N, 8, 8] and their classes [N] in memory, which know where the other splits are."""

    def __init__(self, inputs: Tensor, targets: Tensor, config: DigitImagesConfig) -> None:
        self.inputs, self.targets, self.config = inputs, targets, config

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, key: tuple[Tensor, int]) -> Batch:
        index, _ = key
        return Batch(self.inputs.index_select(0, index), self.targets.index_select(0, index), index)
