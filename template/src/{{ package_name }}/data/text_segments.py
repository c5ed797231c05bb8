"""A text as streams: row b of a batch goes on where row b of the batch before ended, for models that carry a state."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor

from ..types import STRICT, Batch, Split
from .loader import ShuffledBatches
from .text_stream import TextStream, TextStreamConfig


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TextSegmentsConfig:
    """Settings of the streams: `batch_size` of them, each a stretch of the text, cut into segments."""

    task, vocab_size = "generation", 256
    kind: Literal["text_segments"] = "text_segments"
    folder: str = ""  # folder with text.npz, text_test.npz and manifest.json; empty: the package's own
    batch_size: PositiveInt = 32  # streams that are read side by side, in training and evaluation
    workers: NonNegativeInt = 0  # processes that prepare batches; 0 prepares them in the training process
    seq_len: PositiveInt = 128  # bytes of a segment
    repeat: PositiveInt = 1  # training batches in a row that have a segment: steps of a model that thinks again

    @property
    def root(self) -> Path:
        """The folder with the data files and their manifest."""
        return self.windows.root

    @property
    def windows(self) -> TextStreamConfig:
        """The same text, cut into windows that stand side by side."""
        return TextStreamConfig(folder=self.folder, seq_len=self.seq_len, overlap=0.0)

    def build(self, split: Split, *, augment: bool = False, num_rows: int | None = None) -> "TextSegments":
        """Open one split, or its first segments."""
        return TextSegments(self.windows.build(split, augment=augment, num_rows=num_rows), self.batch_size, self.repeat)

    def read(self, path: Path) -> Tensor:
        """Read a prompt [1, L] from a text file."""
        return self.windows.read(path)


class ContinuedBatches(ShuffledBatches):
    """Row numbers whose texts go on from batch to batch, or once in `repeat` ones; an epoch has one seed."""

    repeat = 1

    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        length = self.num_rows // self.batch_size * self.repeat
        columns = first_rows(self.num_rows, self.batch_size)[self.rank :: self.world]
        epoch, first = divmod(self.position, length)
        while True:
            seed = int(np.random.SeedSequence((self.seed, epoch)).generate_state(1)[0])
            yield from ((columns + step // self.repeat, seed) for step in range(first, length))
            epoch, first = epoch + 1, 0


def first_rows(num_rows: int, num_streams: int) -> Tensor:
    """Return where streams of as equal length as can be begin, [B]; the longer ones come first."""
    return torch.stack([part[0] for part in torch.arange(num_rows).tensor_split(min(num_streams, num_rows))])


class TextSegments:
    """Segments [L] of streams of a text, in training all moved on by up to a segment, by the seed.

    A batch says which of its rows begin a stream: what was carried so far is of another text.
    """

    def __init__(self, windows: TextStream, num_streams: int, repeat: int = 1) -> None:
        self.repeat, self.windows, self.text = repeat, windows, windows.text
        self.begins, self.seq_len = windows.begins, windows.seq_len
        self.firsts = first_rows(len(windows), num_streams) if len(windows) else torch.arange(0)

    def order(self, *args: Any, **options: Any) -> ContinuedBatches:
        """Return the order of training batches, for the options of any order."""
        order = ContinuedBatches(*args, **options)
        order.repeat = self.repeat
        return order

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, key: tuple[Tensor, int]) -> Batch:
        return replace(self.windows[key], starts=torch.isin(key[0], self.firsts))

    def in_order(self, most: int) -> list[Tensor]:
        """Return the rows of batch after batch so that each goes on with that before: the heads of streams, or all.

        Streams that end before others leave the batch from its end.
        """
        ends = torch.cat([self.firsts[1:], torch.tensor([len(self)])])
        steps = min(int((ends - self.firsts).max()), max(1, -(-most // len(self.firsts))))
        return [(self.firsts + step)[self.firsts + step < ends] for step in range(steps)]
