"""A text as a stream of bytes, cut into windows: Pride and Prejudice lies in the package."""

from pathlib import Path
from typing import Literal

import torch
from pydantic import NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor

from ..types import STRICT, UNKNOWN, Batch, Fraction, Split
from .loader import read_arrays


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TextStreamConfig:
    """Settings of the text: the target of every byte is the byte after it."""

    task, vocab_size = "generation", 256
    kind: Literal["text_stream"] = "text_stream"
    folder: str = ""  # folder with text.npz, text_test.npz and manifest.json; empty: the package's own
    batch_size: PositiveInt = 32
    workers: NonNegativeInt = 0  # processes that prepare batches; 0 prepares them in the training process
    seq_len: PositiveInt = 128  # bytes of a window
    overlap: Fraction = 0.5  # share of a held-out window that belongs to the one before: read, not predicted again

    @property
    def root(self) -> Path:
        """The folder with the data files and their manifest."""
        return Path(self.folder or Path(__file__).parent / "pride_and_prejudice")

    def build(self, split: Split, *, augment: bool = False, num_rows: int | None = None) -> "TextStream":
        """Open one split, or its first windows; the test pages lie in a file of their own."""
        arrays = read_arrays(self.root, "text_test.npz" if split == "test" else "text.npz")
        text = torch.from_numpy(arrays[f"{split}_inputs"]).flatten()
        if len(text) < 3 * self.seq_len:
            raise ValueError(f"data.seq_len: got {self.seq_len}, but the {split} split has only {len(text)} bytes")
        return TextStream(text, self, num_rows, augment=augment)

    def read(self, path: Path) -> Tensor:
        """Read a prompt [1, L] from a text file."""
        content = path.read_bytes() if path.is_file() else b""
        if not content:
            raise ValueError(f"{path}: want an existing text file, with something in it to go on from")
        return torch.tensor([*content]).unsqueeze(0)


class TextStream:
    """Windows [L] of a text [N], in training moved on by up to a window, by the seed.

    Windows of held-out text overlap, so that each byte has some before it, and is predicted once: what a window has in
    common with the one before has targets UNKNOWN.
    """

    def __init__(self, text: Tensor, config: TextStreamConfig, num_rows: int | None = None, *, augment: bool) -> None:
        self.text, self.augment, self.seq_len = text, augment, config.seq_len
        self.windows = text.unfold(0, self.seq_len + 1, 1)  # [N] -> [N-L, L+1], a view
        step = self.seq_len if augment else self.seq_len - int(self.seq_len * config.overlap)
        last = len(self.windows) - 1 - (self.seq_len - 1 if augment else 0)  # a window may still be moved on
        begins = torch.arange(0, last + 1 if augment else last + step, step).clamp(max=last)
        self.begins = begins[:num_rows]  # [R] where in the text
        before = torch.cat([begins.new_full((1,), -self.seq_len), begins])[: len(self.begins)]
        self.known_from = (before + self.seq_len - self.begins).clamp(min=0)  # [R] the first target that is new

    def __len__(self) -> int:
        return len(self.begins)

    def __getitem__(self, key: tuple[Tensor, int]) -> Batch:
        index, seed = key
        moved = self.begins[index] + (seed % self.seq_len if self.augment else 0)
        windows = self.windows[moved].long()  # [B, L+1]
        known = torch.arange(self.seq_len) >= self.known_from[index, None]
        targets = windows[:, 1:].where(known, UNKNOWN)
        return Batch(windows[:, :-1], targets, index)
