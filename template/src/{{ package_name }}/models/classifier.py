"""The head that every classifier here shares: cross entropy over the classes."""

from torch import Tensor
from torch.nn import functional as F

from ..types import UNKNOWN, Batch, StepOutput


def classify(logits: Tensor, batch: Batch, label_smoothing: float) -> StepOutput:
    """Turn logits [B, C] into a step's answer; the loss of a batch without rows is 0.

    Smoothing mixes the target with the uniform distribution (Szegedy et al. 2016, section 7).
    """
    if not len(logits):
        return StepOutput(logits.sum(), logits, {})
    loss = F.cross_entropy(logits, batch.targets, ignore_index=UNKNOWN, label_smoothing=label_smoothing)
    return StepOutput(loss, logits, {})
