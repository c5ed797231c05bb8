"""Any classifier with another loss: classes weighted against imbalance, and easy rows weighted down (focal loss)."""

from functools import partial
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, NonNegativeFloat, PlainValidator
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from ..types import STRICT, UNKNOWN, Batch, Carry, Fraction, StepOutput
from .nested import check_weights, make_base

Base = Annotated[Any, PlainValidator(partial(make_base, __package__))]
SMALLEST = 1e-6  # of 1 - p: a power below 1 of zero has no gradient


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ReweightedConfig:
    """Settings of the loss around a classifier."""

    kind: Literal["reweighted"] = "reweighted"
    base: Base = Field("", validate_default=True)  # the model, as in '{kind: mlp}'; its own loss is not used
    class_weights: Annotated[Any, PlainValidator(check_weights)] = "balanced"  # none; balanced by counts; a list
    focal_gamma: NonNegativeFloat = 0.0  # how much less rows count that are easy already; 0: no focal loss
    label_smoothing: Fraction = 0.0

    def __post_init__(self) -> None:
        count = getattr(self.base, "num_classes", 0)
        if not count:
            raise ValueError(f"base {self.base.kind} has no num_classes; want a classifier")
        if isinstance(self.class_weights, tuple) and len(self.class_weights) != count:
            raise ValueError(f"class_weights are {len(self.class_weights)}, base has num_classes {count}")
        if getattr(self.base, "label_smoothing", 0):
            raise ValueError("base.label_smoothing would not be used; set label_smoothing beside base")

    def build(self) -> "Reweighted":
        """Make the model."""
        return Reweighted(self)


class Reweighted(nn.Module):
    """A base whose logits [B, C] get another loss; the weights [C] are part of the checkpoint."""

    weights: Tensor

    def __init__(self, config: ReweightedConfig) -> None:
        super().__init__()
        self.base, self.balanced = config.base.build(), config.class_weights == "balanced"
        self.focal_gamma, self.label_smoothing = config.focal_gamma, config.label_smoothing
        given = config.class_weights if isinstance(config.class_weights, tuple) else [1.0] * config.base.num_classes
        self.register_buffer("weights", torch.tensor(given))

    def prepare(self, dataset: Any) -> None:
        """Count the classes of the training rows: N / (C * N_c) for class c, 1 on average (King and Zeng 2001)."""
        if hasattr(self.base, "prepare"):
            self.base.prepare(dataset)
        if self.balanced:
            known = dataset.targets[dataset.targets != UNKNOWN]
            counts = torch.bincount(known, minlength=len(self.weights))
            self.weights.copy_(len(known) / (len(self.weights) * counts.clamp(min=1)))

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Answer with the base's logits [B, C] and carry, and the loss of these."""
        output = self.base(batch, carry)
        loss = reweighted_loss(output.outputs, batch.targets, self.weights, self.focal_gamma, self.label_smoothing)
        return StepOutput(loss, output.outputs, output.metrics, output.carry)


def reweighted_loss(logits: Tensor, targets: Tensor, weights: Tensor, gamma: float, smoothing: float) -> Tensor:
    """Return the mean [] over rows of w_c (1 - p_c)^gamma CE, for logits [B, C], targets c [B] and weights [C].

    Lin et al. (2017, equation 5), with the class weights as alpha. The mean is over rows, not over their weights, so
    that the parts of a batch add up to the whole.
    """
    known, classes = targets != UNKNOWN, targets.clamp(min=0)
    entropy = F.cross_entropy(logits, classes, reduction="none", label_smoothing=smoothing)  # [B]
    sure = logits.float().softmax(1).gather(1, classes[:, None])[:, 0]  # [B] p_c
    factor = weights[classes] * (1 - sure).clamp(min=SMALLEST) ** gamma if gamma else weights[classes]
    return (factor * entropy * known).sum() / known.sum().clamp(min=1)
