"""Texts in families, where those of a family belong together: definitions of WordNet lie in the package."""

import re
import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor

from ..types import STRICT, Batch, Split
from .loader import read_manifest
from .retrieval import Search, Side, lots, read_split
from .tfidf import tfidf

MOST = 1200  # texts that a search is measured on: among more candidates it is harder, so splits have to be alike
ABOUT = "Right are the other texts of a query's family; the query itself is no answer."
NUM_LETTERS = 4  # in a row, of which the second baseline's tokens are made


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FamiliesConfig:
    """Settings of texts in families."""

    task = "embedding"
    kind: Literal["families"] = "families"
    folder: str = ""  # folder with <name>.npz, <name>_test.npz and manifest.json; empty: the package's own
    batch_size: PositiveInt = 256
    workers: NonNegativeInt = 0  # processes that prepare batches; 0 prepares them in the training process
    seq_len: PositiveInt = 80  # tokens of a text, three of each word; what is longer is cut off

    @property
    def root(self) -> Path:
        """The folder with the data files and their manifest."""
        return Path(self.folder or Path(__file__).parent / "wordnet_families")

    def build(self, split: Split, *, augment: bool = False, num_rows: int | None = None) -> "Families":
        """Open one split, or its first rows."""
        return Families(self, split, augment=augment, num_rows=num_rows)

    def rivals(self, train: "Families", other: "Families") -> list[dict[str, Tensor]]:
        """Return the scores [Q, C] of what a model has to beat: cosines of TF-IDF, of words and of letters in a row.

        How rare a token is was counted in the training split.
        """
        texts, found = other.texts[:MOST], dict[str, Tensor]()
        for name, tokens in {"tfidf_words": words, "tfidf_letters": letters}.items():
            rows = tfidf([*map(tokens, train.texts)], [*map(tokens, texts)])
            found[name] = rows @ rows.T
        return [found]

    def read(self, path: Path) -> Search:
        """Make a search of a .txt file with a query a line, among the texts of training and validation."""
        there = path.suffix == ".txt" and path.is_file()
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()] if there else []
        if not (texts := [line for line in lines if words(line)]):
            raise ValueError(f"{path}: want a .txt file with a description in each line, as in 'a small bird'")
        parts = [self.build(split) for split in ("train", "val")]
        labels = [label for part in parts for label in part.labels]
        candidates = Side(inputs=torch.cat([part.tokens for part in parts]), part=1, labels=labels)
        queries = Side(inputs=encode(texts, self.seq_len), part=0, labels=texts)
        nobody = torch.zeros(len(texts), len(labels), dtype=torch.bool)  # knows what is right
        return Search(name=path.name, queries=queries, candidates=candidates, relevant=nobody)


def words(text: str) -> list[str]:
    """Return the words of a text, in small letters."""
    return re.findall(r"[^\W_]+", text.lower())


def letters(text: str) -> list[str]:
    """Return the letters in a row of each word of a text, with marks where it begins and ends."""
    marked = [f"<{word}>" for word in words(text)]
    return [word[n : n + NUM_LETTERS] for word in marked for n in range(max(1, len(word) - NUM_LETTERS + 1))]


@cache
def tokens_of(word: str) -> tuple[int, int, int]:
    """Hash a word, its first five letters and its last three, as a stem and an ending: no vocabulary is fitted."""
    return tuple(1 + zlib.crc32(part.encode()) for part in (word, f"<{word[:5]}", f"{word[-3:]}>"))  # type: ignore[return-value]


def encode(texts: Sequence[str], seq_len: int) -> Tensor:
    """Return the tokens [B, 2, L] of texts, twice: as query and as candidate; 0 is padding."""
    table = torch.zeros(len(texts), seq_len, dtype=torch.long)
    for row, text in enumerate(texts):
        tokens = [token for word in words(text) for token in tokens_of(word)][:seq_len]
        table[row, : len(tokens)] = torch.tensor(tokens, dtype=torch.long)
    return table[:, None].expand(-1, 2, -1)


def unpack(array: np.ndarray) -> list[str]:
    """Return texts of their bytes [N, width], which 0 pads."""
    return [bytes(row).rstrip(b"\0").decode() for row in array]


class Families:
    """Texts in memory; a row is a text and another one of its family, which is drawn anew for every seed."""

    def __init__(self, config: FamiliesConfig, split: Split, *, augment: bool, num_rows: int | None) -> None:
        arrays, families = read_split(config.root, split), read_manifest(config.root)["families"]
        every, self.batch_size, self.augment = unpack(arrays[f"{split}_inputs"]), config.batch_size, augment
        titles, self.all_targets = (
            unpack(arrays[f"{split}_titles"]),
            torch.from_numpy(arrays[f"{split}_targets"]).long(),
        )
        self.all_tokens = encode(every, config.seq_len)
        self.texts, self.targets, self.tokens = (
            every[:num_rows],
            self.all_targets[:num_rows],
            self.all_tokens[:num_rows],
        )
        named = zip(titles, self.texts, strict=False)
        self.labels = [f"{title}: {text}" if title else text for title, text in named]
        self.subjects = [family["subject"] for family in families]
        # The rows of a family lie side by side in `members`, from `first` on.
        self.members = self.all_targets.argsort(stable=True)
        self.counts = torch.bincount(self.all_targets, minlength=len(families))
        self.first = self.counts.cumsum(0) - self.counts
        self.place = self.members.argsort() - self.first[self.all_targets]  # of each row in its family

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, key: tuple[Tensor, int]) -> Batch:
        index, seed = key
        targets = self.all_targets[index]
        others = (self.counts[targets] - 1).clamp(min=1)
        drawn = lots(index, seed, 1)[:, 0] % others if self.augment else torch.zeros_like(index)
        place = (self.place[index] + 1 + drawn) % self.counts[targets]
        mates = self.members[self.first[targets] + place]
        return Batch(torch.stack([self.all_tokens[index, 0], self.all_tokens[mates, 1]], dim=1), targets, index)

    def searches(self) -> list[Search]:
        """Return the one search there is: each text looks for the others of its family."""
        count = min(MOST, len(self))
        targets, names = self.targets[:count], sorted({*self.subjects})
        groups = [names.index(self.subjects[target]) for target in targets]
        inputs, labels = self.tokens[:count], self.labels[:count]
        queries, candidates = (
            Side(inputs=inputs, part=part, labels=labels, groups=groups, classes=names) for part in (0, 1)
        )
        itself = torch.eye(count, dtype=torch.bool)
        relevant = (targets[:, None] == targets) & ~itself
        search = Search(
            name="kindred texts",
            queries=queries,
            candidates=candidates,
            relevant=relevant,
            known=itself,
            about=ABOUT,
            kin=targets,
        )
        return [search]
