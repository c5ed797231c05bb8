"""What crosses the border between rooms: a batch, a model's answer, the figures of a split."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import ConfigDict, Field
from torch import Tensor, nn

Split = Literal["train", "val", "test"]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Carry = Any  # what a model hands itself from step to step: None, or tensors [B, ...] in lists, tuples and dicts
UNKNOWN = -100  # the target of a row whose answer nobody knows; losses leave such rows out
HALVES = (lambda rows: rows.tensor_split(2)[0], lambda rows: rows.tensor_split(2)[1])  # of rows [B, ...]
STRICT = ConfigDict(extra="forbid", allow_inf_nan=False, coerce_numbers_to_str=True)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that go through the model together; `index` is their numbers in the split."""

    inputs: Any  # tensor [B, ...], or several of them in dicts and tuples
    targets: Tensor  # [B, ...]
    index: Tensor  # [B]
    starts: Tensor | None = None  # [B] bool, where rows go on from batch to batch: a document begins, drop the carry

    def map(self, function: Callable[[Tensor], Any]) -> Self:
        """Return the batch with a function applied to each of its tensors."""
        return type(self)(*map_carry((self.inputs, self.targets, self.index, self.starts), function))

    def to(self, device: torch.device) -> Self:
        """Return the same rows on another device, without waiting for the copy."""
        return self if self.index.device == device else self.map(lambda part: part.to(device, non_blocking=True))

    def pin_memory(self) -> Self:
        """Return the same rows in page-locked memory: what a DataLoader calls when it pins."""
        return self.map(Tensor.pin_memory)

    def split(self, count: int) -> "list[Batch]":
        """Return the rows in `count` parts, a power of 2, by halving again and again."""
        return [part for half in map(self.map, HALVES) for part in half.split(count // 2)] if count > 1 else [self]


@dataclass(slots=True)
class StepOutput:
    """What a model answers to a batch; the metrics are logged beside the loss."""

    loss: Tensor  # [] mean over the rows: what is minimised
    outputs: Tensor  # [B, ...] logits or predictions
    metrics: Mapping[str, Tensor]  # [] each, detached
    carry: Carry = None


def classify(logits: Tensor, batch: Batch, label_smoothing: float) -> StepOutput:
    """Turn logits [B, C] into a step's answer: loss 0 without rows, smoothing by Szegedy et al. (2016, section 7)."""
    loss = nn.functional.cross_entropy(logits, batch.targets, ignore_index=UNKNOWN, label_smoothing=label_smoothing)
    return StepOutput(loss if len(logits) else logits.sum(), logits, {})


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The figures of a model on one split, the primary one named."""

    primary: str
    value: float
    higher_is_better: bool
    metrics: Mapping[str, Any]


def map_carry(carry: Carry, function: Callable[[Tensor], Any]) -> Carry:
    """Return a carry, or what else holds tensors so, with a function applied to each of its tensors [B, ...]."""
    if isinstance(carry, Tensor):
        return function(carry)
    if isinstance(carry, dict):
        return {key: map_carry(value, function) for key, value in carry.items()}
    return type(carry)(map_carry(value, function) for value in carry) if isinstance(carry, (list, tuple)) else carry
