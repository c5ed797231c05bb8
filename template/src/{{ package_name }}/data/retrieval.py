"""What the data of a search share: its two sides, which answers are right, the file of a split, and seeded lots."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..types import Split
from .loader import read_arrays, read_manifest


@dataclass(frozen=True, kw_only=True)
class Side:
    """Things [N] that are embedded, and how a page shows them."""

    inputs: Any  # rows [N, ...] as a batch has them, each with one of these things in it
    part: int  # which of a row's embeddings [2, D] is theirs
    labels: Sequence[str]
    images: Tensor | None = None  # [N, height, width] of ink from 0 to 1
    groups: Sequence[int] = ()  # the class of each, for the map; empty: the map leaves this side out
    classes: Sequence[str] = ()  # the names of the classes


@dataclass(frozen=True, kw_only=True)
class Search:
    """Queries, candidates, and which of these are right."""

    name: str
    queries: Side
    candidates: Side
    relevant: Tensor  # [Q, C] bool
    known: Tensor | None = None  # [Q, C] bool: what is never an answer, as what a user has already
    cut: int = 10  # so many answers count in the primary figure
    about: str = ""  # what is right, in a sentence
    kin: Tensor | None = None  # [Q] numbers: queries with one number depend on one another; None: none do


def read_split(root: Path, split: Split) -> dict[str, np.ndarray]:
    """Return the arrays of the file that holds a split: the test rows lie in a file of their own, `*_test.npz`."""
    names = [name for name in read_manifest(root)["files"] if name.endswith("_test.npz") == (split == "test")]
    return read_arrays(root, names[0])


def lots(index: Tensor, seed: int, count: int) -> Tensor:
    """Draw numbers [B, count] from 0 to 2^62, as row numbers [B] and the seed say (SplitMix64)."""
    bits = (index[:, None] * count + torch.arange(count)) * -0x61C8864680B583EB + seed
    for shift, factor in ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15), (31, 1)):
        bits = (bits ^ (bits >> shift & (1 << 64 - shift) - 1)) * factor  # the mask: >> copies the sign
    return bits >> 2 & (1 << 62) - 1  # [B, count]
