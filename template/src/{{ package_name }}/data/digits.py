"""Handwritten digits, 8 by 8 pixels: 1,797 labelled images that lie in the package itself."""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from ..types import STRICT, Batch, Split
from .loader import read_arrays

SIZE, BRIGHTEST = 8, 16  # pixels are divided by the sensor's range: nothing is fitted to the data


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DigitsConfig:
    """Settings of the digits."""

    task, labels = "classification", tuple("0123456789")
    kind: Literal["digits"] = "digits"
    folder: str = ""  # folder with digits.npz, digits_test.npz and manifest.json; empty: the package's own
    batch_size: PositiveInt = 64
    workers: NonNegativeInt = 0  # processes that prepare batches; 0 prepares them in the training process
    shift: Annotated[int, Field(ge=0, lt=SIZE)] = 1  # training images move by up to so many pixels each way, at random

    @property
    def root(self) -> Path:
        """The folder with the data files and their manifest."""
        return Path(self.folder or Path(__file__).with_suffix(""))

    def build(self, split: Split, *, augment: bool = False, num_rows: int | None = None) -> "Digits":
        """Open one split, or its first rows; the test images lie in a file of their own."""
        arrays = read_arrays(self.root, "digits_test.npz" if split == "test" else "digits.npz")
        inputs, targets = (torch.from_numpy(arrays[f"{split}_{part}"][:num_rows]) for part in ("inputs", "targets"))
        return Digits(inputs.float() / BRIGHTEST, targets.long(), self.shift if augment else 0)

    def read(self, path: Path) -> Tensor:
        """Read images [B, 8, 8] of pixels 0 (paper) to 16 (ink) from a .npy or .csv file."""
        if path.suffix not in {".npy", ".csv"} or not path.is_file():
            raise ValueError(f"{path}: want an existing .npy or .csv file of pixels 0 to {BRIGHTEST}")
        try:
            values = np.load(path) if path.suffix == ".npy" else np.loadtxt(path, delimiter=",")
            pixels = torch.from_numpy(values.astype(np.float32)).reshape(-1, SIZE, SIZE)
        except (ValueError, TypeError, RuntimeError, EOFError) as error:
            raise ValueError(f"{path}: want images of {SIZE} by {SIZE} numbers ({error})") from error
        if not ((pixels >= 0) & (pixels <= BRIGHTEST)).all():
            raise ValueError(f"{path}: want pixels from 0 (paper) to {BRIGHTEST} (ink)")
        return pixels / BRIGHTEST


def shifted(images: Tensor, index: Tensor, most: int, seed: int) -> Tensor:
    """Move images [B, h, w] by up to `most` pixels each way, as their numbers [B] and the seed say (SplitMix64)."""
    bits = index * -0x61C8864680B583EB + seed
    for shift, factor in ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15), (31, 1)):
        bits = (bits ^ (bits >> shift & (1 << 64 - shift) - 1)) * factor  # the mask: >> copies the sign
    down, right = (half % (2 * most + 1) for half in (bits >> 32, bits & 0xFFFFFFFF))
    windows = nn.functional.pad(images, [most] * 4).unfold(1, images.shape[1], 1).unfold(2, images.shape[2], 1)
    return windows[torch.arange(len(images)), down, right]  # [B, 2m+1, 2m+1, h, w] -> [B, h, w]


class Digits:
    """Images [N, 8, 8] in memory, taken a whole batch at a time."""

    def __init__(self, inputs: Tensor, targets: Tensor, shift: int) -> None:
        self.inputs, self.targets, self.shift = inputs, targets, shift

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, key: tuple[Tensor, int]) -> Batch:
        index, seed = key
        inputs, targets = self.inputs.index_select(0, index), self.targets.index_select(0, index)
        return Batch(shifted(inputs, index, self.shift, seed) if self.shift else inputs, targets, index)
