"""A fold of other data: some training and validation rows are held out, the others train; test stays sealed."""

from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field, NonNegativeInt, PlainValidator, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor

from ..models.nested import make_base
from ..types import STRICT, Batch, Split
from .fold_folder import Arrays, Folder, fold, read_pool
from .fold_rows import By, choose
from .loader import Dataset, read_arrays, read_manifest
from .replay import join

Base = Annotated[Any, PlainValidator(partial(make_base, __package__))]
OWN = {"base", "pool", "rows", "root", "ways"}  # names that are never the base's


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FoldsConfig:
    """Settings of a fold; what a data config has beside these, such as labels, is the base's."""

    kind: Literal["folds"] = "folds"
    base: Base = Field("", validate_default=True)  # the data, as in '{kind: digits}'; batch_size, workers: those below
    num_folds: Annotated[int, Field(ge=2)] = 5
    fold: PositiveInt = 1  # the one that is held out, from 1 to num_folds
    by: By = "stratified"  # by class or size of target, by groups, temporal: train on what came before, or random
    seed: NonNegativeInt = 0  # of the folds, which all have to share
    batch_size: PositiveInt = 64
    workers: NonNegativeInt = 0  # processes that prepare batches; 0 prepares them in the training process

    def __post_init__(self) -> None:
        if self.fold > self.num_folds:
            raise ValueError(f"fold {self.fold}: want 1 to {self.num_folds}")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in OWN:
            raise AttributeError(name)
        plain = not callable(own := getattr(type(self.base), name, None)) and not isinstance(own, property)
        return getattr(self.base if plain else self.opened("val"), name)

    @cached_property
    def pool(self) -> Arrays:
        """The arrays [N, ...] of training and validation rows together; targets alone where no file holds them."""
        if not isinstance(root := self.base.root, Path):
            raise ValueError(f"data.base: {self.base.kind} makes its rows from a seed; train with several data.seed")
        parts = [self.base.build(split) for split in ("train", "val")] if not (found := read_pool(root)) else []
        return found or {"targets": torch.cat([part.targets for part in parts]).numpy()}

    @cached_property
    def ways(self) -> dict[By, np.ndarray]:
        """What the data can be folded by, the soundest first: the groups, targets or times [N] that decide."""
        pool, manifest, found = self.pool, read_manifest(self.base.root), dict[By, np.ndarray]()
        count = len(next(iter(pool.values())))
        if "time" in manifest or "targets" not in pool:  # a series, a text: rows that follow one another
            return {"temporal": pool["inputs"] if "time" in manifest else np.arange(count)}
        if "times" in pool:
            found["temporal"] = pool["times"]
        groups = self.base.together(pool) if hasattr(self.base, "together") else pool.get("groups")
        if groups is not None:
            found["grouped"] = groups
        if pool["targets"].ndim == 1:
            found["stratified"] = pool["targets"]
        return {**found, "random": np.zeros(count, np.int64)}

    @cached_property
    def rows(self) -> dict[str, np.ndarray]:
        """The numbers of the rows of the pool that train, that are held out, and that come later in time."""
        if self.by not in self.ways:
            raise ValueError(f"data.by: got {self.by}, but {self.base.root} can be folded {', '.join(self.ways)}")
        targets = self.pool.get("targets", np.zeros(0))
        whole = targets.ndim == 1 and np.issubdtype(targets.dtype, np.integer)
        keys = self.ways[self.by]
        classes = targets if whole and len(targets) else np.zeros(len(keys), np.int64)
        return choose(self.by, keys, classes, (self.fold, self.num_folds), self.seed)

    @cached_property
    def root(self) -> Any:
        """The data folder as this fold has it: what reads a folder of the disk reads this."""
        return self.folder(self.rows["val"])

    def release(self) -> None:
        """Forget what was read, which is read again when it is asked for; which rows are whose stays known."""
        for name in ("pool", "ways", "root"):
            vars(self).pop(name, None)

    def folder(self, held: np.ndarray) -> Folder:
        """Return the data folder with held-out rows [M] of the pool."""
        about = f"fold {self.fold} of {self.num_folds}, {self.by}, seed {self.seed}, of what were train and val"
        return fold(self.base.root, self.pool, {"train": self.rows["train"], "val": held}, about)

    def loses_words(self) -> bool:
        """Say whether a vocabulary on the disk, by which test is written, has words that this fold does not know."""
        files = [[read_arrays(root, name) for name in self.root.files] for root in (self.root, self.base.root)]
        pairs = [(own.get("vocabulary"), whole.get("vocabulary")) for own, whole in zip(*files, strict=True)]
        return any(not np.array_equal(own, whole) for own, whole in pairs)

    def opened(self, split: Split) -> Any:
        """Return the base with the folder, the batches and the processes of this fold; before test there is no gap."""
        later, kind = self.rows["later"] if split == "test" else (), type(self.base)
        root = self.folder(np.concatenate([self.rows["val"], later])) if len(later) else self.root
        twin: Any = object.__new__(type(kind.__name__, (kind,), {"root": root}))
        vars(twin).update(vars(self.base), batch_size=self.batch_size, workers=self.workers)
        return twin

    def build(self, split: Split, *, augment: bool = False, num_rows: int | None = None) -> Dataset:
        """Open one split, or its first rows; a held-out window of a series shares no step with those that train."""
        if "inputs" not in self.pool:  # rows that are drawn, not read
            if split == "test":
                return self.base.build(split, augment=augment, num_rows=num_rows)
            parts = [self.base.build(part, augment=augment) for part in ("train", "val")]
            return Pooled(parts, torch.from_numpy(self.rows[split][:num_rows]))
        if split == "test" and self.loses_words():
            raise ValueError(f"data.base: test has words that this fold does not know; train on {self.base.kind} whole")
        base = self.opened(split)
        gap = getattr(base, "history", 0) if split == "val" else 0
        data = base.build(split, augment=augment, num_rows=num_rows and num_rows + gap)
        if not base.root.seen:
            raise ValueError(f"data.base: {base.kind} does not read {self.base.root} as it is told; it has no folds")
        return data.after(gap) if gap else data


class Pooled:
    """Rows [M] of two data sets as if they were one: what every data set has, and nothing else."""

    def __init__(self, parts: list[Dataset], rows: Tensor) -> None:
        self.parts, self.rows = parts, rows

    @property
    def inputs(self) -> Any:
        """The inputs of all rows."""
        return self.take([part.inputs for part in self.parts])

    @property
    def targets(self) -> Tensor:
        """The targets [M, ...] of all rows."""
        targets: Tensor = self.take([part.targets for part in self.parts])
        return targets

    def take(self, wholes: list[Any]) -> Any:
        """Return the rows [M, ...] of both parts' rows, tensors [N, ...] or dicts and tuples of such."""
        return join(wholes[0], wholes[1], self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: tuple[Tensor, int]) -> Batch:
        index, seed = key
        rows, first = self.rows[index], len(self.parts[0])
        early = rows < first
        one, other = self.parts[0][rows[early], seed], self.parts[1][rows[~early] - first, seed]
        order = torch.cat([early.nonzero(), (~early).nonzero()]).flatten().argsort()
        return Batch(join(one.inputs, other.inputs, order), join(one.targets, other.targets, order), index)
