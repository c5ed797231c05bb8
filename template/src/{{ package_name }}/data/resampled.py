"""Other data in other shares: some classes only, fewer rows of a class, training rows drawn by their class's weight."""

from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, NonNegativeInt, PlainValidator, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor

from ..models.nested import check_weights, make_base
from ..types import STRICT, Batch, Split
from .loader import Dataset

Base = Annotated[Any, PlainValidator(partial(make_base, __package__))]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ResampledConfig:
    """Settings of what is taken of other data; what a data config has beside these, such as labels, is the base's."""

    kind: Literal["resampled"] = "resampled"
    base: Base = Field("", validate_default=True)  # the data, as in '{kind: digits}'; batch_size, workers: those below
    batch_size: PositiveInt = 64
    workers: NonNegativeInt = 0  # processes that prepare batches; 0 prepares them in the training process
    classes: tuple[NonNegativeInt, ...] = ()  # numbers of the classes that stay, in every split; empty: all
    keep: dict[NonNegativeInt, Share] = Field(default_factory=dict)  # shares of training rows, as in '{0: 0.1}'
    weights: Annotated[Any, PlainValidator(check_weights)] = "none"  # none; balanced: classes are drawn alike; a list

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "base":
            raise AttributeError(name)
        return getattr(self.base, name)

    def build(self, split: Split, *, augment: bool = False, num_rows: int | None = None) -> Dataset:
        """Open one split, or its first rows. Rows are left out by `keep` in train, and drawn by weight to train on."""
        whole = self.base.build(split, augment=augment)
        rows = self.choose(whole.targets, split)[:num_rows]
        if not len(rows):
            raise ValueError(f"no {split} row is left of classes {list(self.classes)}; want other data.classes")
        draw = split == "train" and augment and self.weights != "none"
        if len(rows) == len(whole) and not draw:
            return whole
        return Resampled(whole, rows, self.weigh(whole.targets[rows]) if draw else None)

    def choose(self, targets: Tensor, split: Split) -> Tensor:
        """Return the numbers [M] of the rows that stay, of targets [N]; which ones `keep` leaves out never changes."""
        stays = torch.isin(targets, torch.tensor(self.classes)) if self.classes else torch.full_like(targets, 1).bool()
        for label, share in self.keep.items() if split == "train" else ():
            rows = (targets == label).nonzero().flatten()
            order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(label))
            stays[rows[order[round(share * len(rows)) :]]] = False
        return stays.nonzero().flatten()

    def weigh(self, targets: Tensor) -> Tensor:
        """Return how often rows with targets [M] are drawn, in shares [M]."""
        counts = torch.bincount(targets).double()
        factors = 1 / counts if self.weights == "balanced" else torch.tensor(self.weights, dtype=torch.double)
        if len(factors) <= int(targets.max()):
            raise ValueError(f"data.weights: got {len(factors)}, want one for each class, {int(targets.max()) + 1}")
        return factors[targets]


class Resampled:
    """Some rows of a data set. With weights, each place of a batch gets a row drawn by them, as place and seed say."""

    def __init__(self, whole: Dataset, rows: Tensor, weights: Tensor | None = None) -> None:
        self.whole, self.rows = whole, rows
        self.ends = None if weights is None else weights.cumsum(0) / weights.sum()  # [M], the last is 1

    @property
    def inputs(self) -> Any:
        """The inputs of all rows."""
        return self.whole.inputs[self.rows]

    @property
    def targets(self) -> Tensor:
        """The targets [M, ...] of all rows."""
        targets: Tensor = self.whole.targets[self.rows]
        return targets

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: tuple[Tensor, int]) -> Batch:
        index, seed = key
        if self.ends is not None:
            index = torch.searchsorted(self.ends, uniform(index, seed), right=True).clamp(max=len(self.rows) - 1)
        batch: Batch = self.whole[self.rows[index], seed]
        return replace(batch, index=index)


def uniform(index: Tensor, seed: int, stream: int = 1) -> Tensor:
    """Return a number [B] from 0 to 1 for each place [B], as place, seed and stream say (Steele et al. 2014, SplitMix).

    So a batch is the same whichever processes share it, and whenever a run resumes.
    """
    bits = (index + 1) * -0x61C8864680B583EB + (seed ^ stream << 40)
    for shift, factor in ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15), (31, 1)):
        bits = (bits ^ (bits >> shift & (1 << 64 - shift) - 1)) * factor  # the mask: >> copies the sign
    return (bits >> 11 & (1 << 53) - 1).double() / 2**53
