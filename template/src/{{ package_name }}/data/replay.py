"""A new task's rows mixed with rows of an old one, so that the old one is not forgotten (Robins 1995)."""

from functools import partial
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, NonNegativeInt, PlainValidator, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor

from ..models.nested import make_base
from ..types import STRICT, Batch, Fraction, Split
from .loader import Dataset
from .resampled import uniform

Base = Annotated[Any, PlainValidator(partial(make_base, __package__))]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ReplayConfig:
    """Settings of the mixture; what a data config has beside these, such as labels, is the base's."""

    kind: Literal["replay"] = "replay"
    base: Base = Field("", validate_default=True)  # the new data, as in '{kind: digits}'; they alone are evaluated
    old: Base = Field("", validate_default=True)  # the old data, of the same form
    share: Fraction = 0.5  # of the training rows that are old ones
    memory: PositiveInt = 200  # old rows that are remembered
    batch_size: PositiveInt = 64
    workers: NonNegativeInt = 0  # processes that prepare batches; 0 prepares them in the training process

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "base":
            raise AttributeError(name)
        return getattr(self.base, name)

    def build(self, split: Split, *, augment: bool = False, num_rows: int | None = None) -> Dataset:
        """Open one split of the new data, or its first rows; old rows are mixed in only to train."""
        new = self.base.build(split, augment=augment, num_rows=num_rows)
        return Replay(new, self.old.build(split, augment=augment), self) if split == "train" and augment else new


class Replay:
    """New rows, of which some give way to remembered old ones, as their places and the seed say."""

    def __init__(self, new: Dataset, old: Dataset, config: ReplayConfig) -> None:
        self.new, self.old, self.share = new, old, config.share
        self.memory = torch.randperm(len(old), generator=torch.Generator().manual_seed(0))[: config.memory]
        self.inputs, self.targets = new.inputs, new.targets

    def __len__(self) -> int:
        return len(self.new)

    def __getitem__(self, key: tuple[Tensor, int]) -> Batch:
        index, seed = key
        recall = uniform(index, seed, 2) < self.share
        place = (uniform(index[recall], seed, 3) * len(self.memory)).long()
        new, old = self.new[index[~recall], seed], self.old[self.memory[place], seed]
        order = torch.cat([(~recall).nonzero(), recall.nonzero()]).flatten().argsort()
        numbers = join(new.index, len(self.new) + old.index, order)
        return Batch(join(new.inputs, old.inputs, order), join(new.targets, old.targets, order), numbers)


def join(one: Any, other: Any, order: Tensor) -> Any:
    """Return the rows of two tensors [A, ...] and [B, ...], or of dicts and tuples of such, in one order [A + B]."""
    if isinstance(one, dict):
        return {key: join(value, other[key], order) for key, value in one.items()}
    if isinstance(one, list | tuple):
        return type(one)(join(*pair, order) for pair in zip(one, other, strict=True))
    return torch.cat([one, other])[order]
