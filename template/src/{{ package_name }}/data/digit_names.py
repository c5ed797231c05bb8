"""Handwritten digits beside what people call them: images of 8 by 8 pixels and phrases such as "the digit seven"."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor
from torch.nn import functional as F

from ..types import STRICT, Batch, Split
from .retrieval import Search, Side, lots, read_split

SIZE, BRIGHTEST = 8, 16  # pixels are divided by the sensor's range: nothing is fitted to the data
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LEARNT = ("{word}", "{figure}", "the digit {word}", "the number {word}", "a handwritten {figure}", "they wrote {word}")
FRESH = ("the figure {figure}", "this is the number {figure}")  # ways to say it that no training row has
ABOUT = 'Right is what is of the same digit. No training row says it as in "the figure 3" or "this is the number 3".'
LENGTH = 6  # words of a phrase; shorter ones are padded


def phrases(ways: Sequence[str]) -> list[str]:
    """Return what all digits are called in these ways, one digit after the other."""
    return [way.format(word=word, figure=figure) for figure, word in enumerate(WORDS) for way in ways]


# Fitted to the phrases of the training rows: other words are left out of a text.
VOCABULARY = {word: n for n, word in enumerate(sorted({w for text in phrases(LEARNT) for w in text.split()}), start=1)}


def encode(texts: Sequence[str]) -> Tensor:
    """Return the numbers [B, L] of the known words of texts; 0 is padding."""
    known = [[VOCABULARY[w] for w in re.findall(r"\w+", text.lower()) if w in VOCABULARY][:LENGTH] for text in texts]
    return torch.tensor([row + [0] * (LENGTH - len(row)) for row in known], dtype=torch.long).view(-1, LENGTH)


def pictured(images: Tensor, labels: Sequence[str], groups: Sequence[int] = ()) -> Side:
    """Return images [N, 8, 8] as a side of a search."""
    inputs = {"image": images, "text": torch.zeros(len(images), LENGTH, dtype=torch.long)}
    return Side(inputs=inputs, part=0, labels=labels, images=images, groups=groups, classes=WORDS)


def worded(texts: Sequence[str], groups: Sequence[int] = ()) -> Side:
    """Return texts as a side of a search."""
    inputs = {"image": torch.zeros(len(texts), SIZE, SIZE), "text": encode(texts)}
    return Side(inputs=inputs, part=1, labels=texts, groups=groups, classes=WORDS)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DigitNamesConfig:
    """Settings of the digits and their names."""

    task = "embedding"
    kind: Literal["digit_names"] = "digit_names"
    folder: str = ""  # folder with digits.npz, digits_test.npz and manifest.json; empty: the package's own
    batch_size: PositiveInt = 128
    workers: NonNegativeInt = 0  # processes that prepare batches; 0 prepares them in the training process
    shift: Annotated[int, Field(ge=0, lt=SIZE)] = 1  # training images move by up to so many pixels each way, at random

    @property
    def root(self) -> Path:
        """The folder with the data files and their manifest."""
        return Path(self.folder or Path(__file__).parent / "digits")

    def build(self, split: Split, *, augment: bool = False, num_rows: int | None = None) -> "DigitNames":
        """Open one split, or its first rows."""
        arrays = read_split(self.root, split)
        images, targets = (torch.from_numpy(arrays[f"{split}_{part}"][:num_rows]) for part in ("inputs", "targets"))
        return DigitNames(images.float() / BRIGHTEST, targets.long(), self, augment=augment)

    def rivals(self, train: "DigitNames", other: "DigitNames") -> list[dict[str, Tensor]]:
        """Return the scores [Q, C] of what a model has to beat: how near an image is to a class, by its pixels.

        `pixel_prototypes` is the distance to the mean of the training images of the class, `nearest_pixels` that to
        the nearest of them: one nearest neighbour.
        """
        classes = [train.images[train.targets == number].flatten(1) for number in range(len(WORDS))]
        pixels = other.images.flatten(1)
        means = torch.cdist(pixels, torch.stack([each.mean(0) for each in classes]))  # [images, classes]
        nearest = torch.stack([torch.cdist(pixels, each).amin(1) for each in classes], dim=1)
        scores = {"pixel_prototypes": -means, "nearest_pixels": -nearest}
        by_phrase = {name: each.repeat_interleave(len(LEARNT + FRESH), dim=1) for name, each in scores.items()}
        return [by_phrase, {name: each.T for name, each in by_phrase.items()}]

    def read(self, path: Path) -> Search:
        """Make a search of a .csv or .npy file of images, for names, or of a .txt file of names, for images."""
        if path.suffix != ".txt":
            images = read_images(path)
            queries, candidates = pictured(images, [f"image {n}" for n in range(len(images))]), worded(WORDS)
        else:
            candidates = self.gallery()
            queries = worded(read_names(path))
        nobody = torch.zeros(len(queries.labels), len(candidates.labels), dtype=torch.bool)  # knows what is right
        return Search(name=path.name, queries=queries, candidates=candidates, relevant=nobody)

    def gallery(self) -> Side:
        """Return the images among which names are looked for: those of training and validation."""
        parts = {split: self.build(split).images for split in ("train", "val")}
        labels = [f"{split} image {row}" for split, images in parts.items() for row in range(len(images))]
        return pictured(torch.cat([*parts.values()]), labels)


def read_images(path: Path) -> Tensor:
    """Read images [B, 8, 8] of pixels 0 (paper) to 16 (ink) from a .npy or .csv file."""
    if path.suffix not in {".npy", ".csv"} or not path.is_file():
        raise ValueError(f"{path}: want an existing .txt file of names, or .npy or .csv file of images")
    try:
        values = np.load(path) if path.suffix == ".npy" else np.loadtxt(path, delimiter=",")
        pixels = torch.from_numpy(values.astype(np.float32)).reshape(-1, SIZE, SIZE)
    except (ValueError, TypeError, RuntimeError, EOFError) as error:
        raise ValueError(f"{path}: want images of {SIZE} by {SIZE} numbers ({error})") from error
    if not ((pixels >= 0) & (pixels <= BRIGHTEST)).all():
        raise ValueError(f"{path}: want pixels from 0 (paper) to {BRIGHTEST} (ink)")
    return pixels / BRIGHTEST


def read_names(path: Path) -> list[str]:
    """Return the lines of a .txt file of names."""
    lines = [line.strip() for line in path.read_text("utf-8").splitlines()] if path.is_file() else []
    texts = [line for line in lines if line]
    strange = next((text for text in texts if not encode([text]).any()), "" if texts else "nothing")
    if strange:
        raise ValueError(f"{path}: got {strange!r}, want a name of a digit in each line, as in 'the digit seven'")
    return texts


def shifted(images: Tensor, most: int, down: Tensor, right: Tensor) -> Tensor:
    """Move images [B, h, w] by up to `most` pixels each way, as lots [B] for down and right say."""
    windows = F.pad(images, [most] * 4).unfold(1, images.shape[1], 1).unfold(2, images.shape[2], 1)
    places = [lot % (2 * most + 1) for lot in (down, right)]
    return windows[torch.arange(len(images)), *places]  # [B, 2m+1, 2m+1, h, w] -> [B, h, w]


class DigitNames:
    """Images [N, 8, 8] in memory, each with one of the phrases for its digit."""

    def __init__(self, images: Tensor, targets: Tensor, config: DigitNamesConfig, *, augment: bool) -> None:
        self.images, self.targets, self.batch_size = images, targets, config.batch_size
        self.texts = encode(phrases(LEARNT)).view(len(WORDS), len(LEARNT), LENGTH)
        self.augment, self.shift = augment, config.shift if augment else 0

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: tuple[Tensor, int]) -> Batch:
        index, seed = key
        images, targets = self.images.index_select(0, index), self.targets.index_select(0, index)
        way, down, right = lots(index, seed, 3).unbind(1)
        texts = self.texts[targets, (way if self.augment else index) % len(LEARNT)]
        return Batch({"image": shifted(images, self.shift, down, right), "text": texts}, targets, index)

    def searches(self) -> list[Search]:
        """Return the search for an image's names, also by phrases that are new, and that for a name's images."""
        ways = LEARNT + FRESH
        images = pictured(self.images, [f"image {n}" for n in range(len(self))], self.targets.tolist())
        names = worded(phrases(ways), [n for n in range(len(WORDS)) for _ in ways])
        right = self.targets[:, None] == torch.arange(len(WORDS)).repeat_interleave(len(ways))  # [images, phrases]
        return [
            Search(name="names of an image", queries=images, candidates=names, relevant=right, cut=1, about=ABOUT),
            Search(name="images of a name", queries=names, candidates=images, relevant=right.T, about=ABOUT),
        ]
