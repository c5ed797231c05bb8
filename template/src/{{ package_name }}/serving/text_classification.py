"""Texts to be classified, as a request has them: a text in, a label with all probabilities out."""

from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor

from ..data import tokens
from ..data.text import file_of
from .classification import decode, forward
from .rows import make, text_of, token_features
from .stored import Stored

__all__ = ["decode", "encode", "features", "files", "forward", "row"]
SHOWN = slice(2, 8)  # words of the vocabulary that make an example


def row(data: Stored) -> type[BaseModel]:
    """Return what one input is: a text with a word in it."""
    example = " ".join(data.vocabulary[SHOWN]) or "a"
    return make({"text": example}, text=text_of(worded, f"a text; its first {length(data)} words are read"))


def worded(text: str) -> str:
    """Refuse a text without a word."""
    if not tokens.words(text):
        raise ValueError(f"got {text[:40]!r}, want a text with a word in it")
    return text


def length(data: Stored) -> int:
    """Return how many words of a text are read."""
    return int(data.manifest["arrays"]["inputs"]["shape"][0])


def encode(rows: list[Any], data: Stored) -> Tensor:
    """Turn rows into tokens [B, L] of the vocabulary that was fitted to the training split."""
    texts = [row.text for row in rows]
    return torch.from_numpy(tokens.encode(texts, data.vocabulary, length(data))).long()


def features(inputs: Tensor, _: list[Any], __: Stored) -> dict[str, Tensor]:
    """Return what is watched of tokens [B, L]: how many words, how many unknown, how rare."""
    return token_features(inputs)


def files(data: Stored) -> list[str]:
    """Return the names of the data files that answering reads: that with the vocabulary."""
    return [file_of("train", data.root)]
