"""Texts in families as candidates of a search: a row is a description of what is looked for."""

from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor

from ..data import families
from ..data.retrieval import Side
from .rows import make, text_of
from .stored import Stored


def row(_: Stored) -> type[BaseModel]:
    """Return what one input is: a text with a word in it."""
    return make({"query": "a small bird"}, query=text_of(worded, "what is looked for, in words"))


def worded(text: str) -> str:
    """Refuse a text without a word."""
    if not families.words(text):
        raise ValueError(f"got {text[:40]!r}, want a description, as in 'a small bird'")
    return text


def encode(rows: list[Any], data: Stored) -> dict[str, Any]:
    """Turn rows into tokens [B, 2, L], of which the first side is the query's."""
    tokens = families.encode([row.query for row in rows], data.seq_len)
    return {"query": tokens, "part": torch.zeros(len(rows), dtype=torch.long)}


def candidates(data: Stored) -> dict[int, Side]:
    """Return what is searched: the texts of training and validation."""
    parts = [data.config.build(split) for split in ("train", "val")]
    labels = [label for part in parts for label in part.labels]
    return {0: Side(inputs=torch.cat([part.tokens for part in parts]), part=1, labels=labels)}


def known(_: list[Any], __: Stored) -> None:
    """Leave nothing out."""


def requests(dataset: families.Families, index: Tensor, _: Stored) -> list[dict[str, Any]]:
    """Return the texts [B] of a data set as a client asks for them."""
    return [{"query": dataset.texts[row]} for row in index.tolist()]


def features(inputs: dict[str, Any], rows: list[Any], _: Stored) -> dict[str, Tensor]:
    """Return what is watched of tokens [B, 2, L]: words, letters of a word, and the share of the row that is filled."""
    texts = [families.words(row.query) for row in rows]
    return {
        "words": torch.tensor([float(len(words)) for words in texts]),
        "word_length": torch.tensor([sum(map(len, words)) / len(words) for words in texts]),
        "filled": (inputs["query"][:, 0] > 0).float().mean(1),
    }


def files(data: Stored) -> list[str]:
    """Return the names of the data files that answering reads: those with the candidates."""
    return [name for name in data.manifest["files"] if not name.endswith("_test.npz")]
