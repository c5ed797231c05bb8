"""What crosses the border between rooms: a batch, a model's answer, and what configs promise."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, Self

import torch
from pydantic import ConfigDict, Field
from torch import Tensor, nn

Split = Literal["train", "val", "test"]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Carry = Any  # what a model hands itself from step to step: None, or detached tensors in any nesting
UNKNOWN = -100  # the target of a row whose answer nobody knows; losses leave such rows out
STRICT = ConfigDict(extra="forbid", allow_inf_nan=False, coerce_numbers_to_str=True, use_attribute_docstrings=True)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that go through the model together; `index` is their numbers in the split."""

    inputs: Tensor  # [B, ...]
    targets: Tensor  # [B, ...]
    index: Tensor  # [B]

    def to(self, device: torch.device) -> Self:
        """Return the same rows on another device, without waiting for the copy."""
        return type(self)(*(part.to(device, non_blocking=True) for part in (self.inputs, self.targets, self.index)))

    def pin_memory(self) -> Self:
        """Return the same rows in page-locked memory: what a DataLoader calls when it pins."""
        return type(self)(*(part.pin_memory() for part in (self.inputs, self.targets, self.index)))


@dataclass(slots=True)
class StepOutput:
    """What a model answers to a batch; the metrics are logged beside the loss."""

    loss: Tensor  # [] mean over the rows: what is minimised
    outputs: Tensor  # [B, ...] logits or predictions
    metrics: Mapping[str, Tensor]  # [] each, detached
    carry: Carry = None


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The figures of a model on one split, the primary one named."""

    primary: str
    value: float
    higher_is_better: bool
    metrics: Mapping[str, Any]

    def beats(self, best: float | None) -> bool:
        """Whether this is better than the best value so far (None: there is none yet)."""
        return best is None or (self.value > best if self.higher_is_better else self.value < best)


class Dataset(Protocol):
    """Rows taken a whole batch at a time: `dataset[rows [B], seed]`; what is random follows from the seed."""

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int: ...
    def __getitem__(self, key: tuple[Tensor, int]) -> Batch: ...


class ModelConfig(Protocol):
    """The settings of a model; `build` makes it, and `model(batch, carry)` returns a `StepOutput`."""

    def build(self) -> nn.Module: ...


class DataConfig(Protocol):
    """A data source: `build` opens a split or its first rows, `read` a user's file of inputs [B, ...]."""

    @property
    def batch_size(self) -> int: ...
    @property
    def workers(self) -> int: ...
    @property
    def root(self) -> Path: ...
    @property
    def labels(self) -> tuple[str, ...]: ...
    def build(self, split: Split, *, augment: bool = False, num_rows: int | None = None) -> Dataset: ...
    def read(self, path: Path) -> Tensor: ...
