"""The contrastive loss of two towers: each row's other side has to be found among those of the whole batch."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..types import UNKNOWN, StepOutput

SHARPEST = 100.0  # no temperature falls below 1 / 100 (Radford et al. 2021, section 2.5)


class Contrast(nn.Module):
    """InfoNCE in both directions (van den Oord et al. 2018, equation 4) with a learned temperature.

    The negatives are the other rows of the batch: batches of another size, `train.accumulate` instead of a larger
    batch, several processes, or rows that take turns for want of memory make another loss.
    """

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.tensor([-math.log(temperature)]))  # as in CLIP: its logarithm is learned

    def forward(self, embeddings: Tensor, targets: Tensor) -> StepOutput:
        """Compare embeddings [B, 2, D] of length 1; rows with equal targets [B] are not each other's negatives."""
        first, second = embeddings.float().unbind(1)  # [B, D] each
        known = targets != UNKNOWN
        same = (targets[:, None] == targets) | ~known | ~known[:, None]  # [B, B]: the same thing, or nobody knows
        same = same & ~torch.eye(len(targets), dtype=torch.bool, device=targets.device)
        scale = self.sharpness.clamp(max=math.log(SHARPEST)).exp()
        logits = (scale * first @ second.T).masked_fill(same, -torch.inf)  # [B, B]
        places = torch.where(known, torch.arange(len(targets), device=targets.device), UNKNOWN)
        losses = [F.cross_entropy(part, places, ignore_index=UNKNOWN, reduction="sum") for part in (logits, logits.T)]
        count = known.sum().clamp(min=1)
        right = (logits.argmax(1) == places).sum() if len(places) else known.sum()  # argmax wants a column
        metrics = {"temperature": (1 / scale[0]).detach(), "right_in_batch": right / count}
        return StepOutput(sum(losses[1:], losses[0]) / (2 * count), embeddings, metrics)
