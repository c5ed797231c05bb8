"""Users and the items that they took, as pairs: the air routes of 2008, from airport to airport, lie in the package."""

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor

from ..types import STRICT, UNKNOWN, Batch, Split
from .loader import read_manifest
from .retrieval import Search, Side, lots, read_split

ABOUT = "Right are the items that were held out; what earlier splits have of a user is no answer."
STEPS = {100: "100 or more", 30: "30 to 99", 10: "10 to 29", 0: "fewer than 10"}  # times that an item was taken


@dataclass(frozen=True, kw_only=True, config=STRICT)
class InteractionsConfig:
    """Settings of interactions; the manifest names their users and items."""

    task = "embedding"
    kind: Literal["interactions"] = "interactions"
    folder: str = ""  # folder with <name>.npz, <name>_test.npz and manifest.json; empty: the package's own
    batch_size: PositiveInt = 256
    workers: NonNegativeInt = 0  # processes that prepare batches; 0 prepares them in the training process
    negatives: PositiveInt = 64  # items that are drawn to stand against the one that was taken

    @property
    def root(self) -> Path:
        """The folder with the data files and their manifest."""
        return Path(self.folder or Path(__file__).parent / "flight_routes")

    def build(self, split: Split, *, augment: bool = False, num_rows: int | None = None) -> "Interactions":
        """Open one split, or its first rows; what earlier splits hold of the same users is known there."""
        names: dict[Split, tuple[Split, ...]] = {"train": (), "val": ("train",), "test": ("train", "val")}
        earlier = [torch.from_numpy(read_split(self.root, name)[f"{name}_inputs"]).long() for name in names[split]]
        rows = torch.from_numpy(read_split(self.root, split)[f"{split}_inputs"]).long()
        return Interactions(self, rows, torch.cat([rows[:0], *earlier]), augment=augment, num_rows=num_rows)

    def together(self, rows: dict[str, np.ndarray]) -> np.ndarray | None:
        """Return the group [N] of each of `rows`: both directions of a pair, where users and items are the same."""
        manifest = read_manifest(self.root)
        if manifest["users"] != manifest["items"]:
            return None
        return np.unique(np.sort(rows["inputs"], axis=1), axis=0, return_inverse=True)[1].reshape(-1)

    def rivals(self, train: "Interactions", other: "Interactions") -> list[dict[str, Tensor]]:
        """Return the scores [Q, C] of what a model has to beat: how often each item was taken in training."""
        counts = torch.bincount(train.inputs[:, 1], minlength=len(other.items))
        return [{"popularity": counts.float().expand(len(other.users), -1)}]

    def read(self, path: Path) -> Search:
        """Make a search of a .txt file with one user a line; what a user has is no answer."""
        whole = self.build("val", num_rows=0)
        search, names = whole.searches()[0], read_manifest(self.root)["users"]
        if path.suffix != ".txt" or not path.is_file():
            raise ValueError(f"{path}: want an existing .txt file with a user a line, as in {names[0]}")
        given = [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]
        if unknown := sorted({*given} - {*names}):
            raise ValueError(f"{path}: got {unknown[0]!r}, want users that were trained on, as in {names[0]}")
        users = torch.tensor([names.index(name) for name in given], dtype=torch.long)
        queries = Side(inputs=search.queries.inputs[users], part=0, labels=given)
        known = whole.taken[users] | whole.same[users]
        return Search(
            name=search.name, queries=queries, candidates=search.candidates, relevant=known & ~known, known=known
        )


class Interactions:
    """Pairs [N, 2] of user and item in memory, each with items that are drawn against it."""

    def __init__(
        self, config: InteractionsConfig, rows: Tensor, earlier: Tensor, *, augment: bool, num_rows: int | None
    ) -> None:
        manifest = read_manifest(config.root)
        self.users, self.items, self.batch_size = manifest["users"], manifest["items"], config.batch_size
        self.inputs, self.targets, self.config = rows[:num_rows], rows[:num_rows, 1], config
        self.earlier, self.taken = self.table(earlier), self.table(torch.cat([rows, earlier]))
        self.same = torch.tensor([[user == item for item in self.items] for user in self.users])  # nobody takes itself
        self.augment = augment

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, key: tuple[Tensor, int]) -> Batch:
        index, seed = key
        rows = self.inputs.index_select(0, index)
        drawn = lots(index, seed * self.augment, self.config.negatives) % len(self.items)  # [B, K]
        taken = self.taken[rows[:, :1], drawn]  # what a user took does not stand against him
        return Batch(torch.cat([rows, drawn.masked_fill(taken, UNKNOWN)], dim=1), rows[:, 1], index)

    def table(self, rows: Tensor) -> Tensor:
        """Return where a user [U] took an item [I], of pairs [N, 2], as [U, I] bool."""
        table = torch.zeros(len(self.users), len(self.items), dtype=torch.bool)
        table[rows[:, 0], rows[:, 1]] = True
        return table

    def searches(self) -> list[Search]:
        """Return the one search there is: every user's items, without those of earlier splits."""
        users, items = torch.arange(len(self.users)), torch.arange(len(self.items))
        times = (self.earlier if self.earlier.any() else self.taken).sum(0).tolist()
        groups = [next(place for place, least in enumerate(STEPS) if count >= least) for count in times]
        queries = Side(inputs=torch.stack([users, users * 0], dim=1), part=0, labels=self.users)
        rows, names = torch.stack([items * 0, items], dim=1), [*STEPS.values()]
        candidates = Side(inputs=rows, part=1, labels=self.items, groups=groups, classes=names)
        known, relevant = self.earlier | self.same, self.table(self.inputs)
        search = Search(
            name="items of a user", queries=queries, candidates=candidates, relevant=relevant, known=known, about=ABOUT
        )
        return [search]
