"""What networks for puzzles share: a loss over the open cells, and answers that begin with the surest of them."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ..types import UNKNOWN, Batch, StepOutput

OPEN = 0  # the token of a cell to fill; no target has it


def open_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Return the cross-entropy of logits [B, L, V] over the open cells of each row, and of that the mean over rows."""
    targets = batch.targets.masked_fill(batch.inputs != OPEN, UNKNOWN)  # [B, L]
    losses = F.cross_entropy(logits.transpose(1, 2), targets, ignore_index=UNKNOWN, reduction="none")  # [B, L]
    num_cells = (targets != UNKNOWN).sum(1)
    rows = losses.sum(1) / num_cells.clamp(min=1)
    return rows.sum() / (num_cells > 0).sum().clamp(min=1)


def ranked(values: Tensor) -> Tensor:
    """Return the place of each of values [B, L] by size, 0 for the largest, of equal ones the first: [B, L].

    It compares all pairs: sorted in a stable way they would have the same places, but ONNX knows no such sort.
    """
    place = torch.arange(values.shape[1], device=values.device)
    mine, others = values.unsqueeze(2), values.unsqueeze(1)
    return ((others > mine) | (others == mine) & (place < place.unsqueeze(1))).sum(2)


def solve(network: Callable[[Tensor], Tensor], batch: Batch, passes: int) -> StepOutput:
    """Answer puzzles [B, L] with logits [B, L, V] in some passes of a network; the loss judges the first.

    Each pass but the last fills its share of the open cells, those it is surest of, for the next one to read
    (Chang et al. 2022, MaskGIT, section 3.2, with a linear schedule and no chance). A filled cell keeps its logits.
    """
    logits = outputs = network(batch.inputs)
    tokens, num_open = batch.inputs, (batch.inputs == OPEN).sum(1, keepdim=True)  # [B, 1]
    with torch.no_grad():
        for number in range(1, passes):
            is_open = tokens == OPEN
            sureness, labels = outputs[..., 1:].softmax(-1).max(-1)  # [B, L] each
            ranks = ranked(sureness.masked_fill(~is_open, -1))
            left = num_open * (passes - number) // passes  # open cells after this pass
            tokens = torch.where(is_open & (ranks < is_open.sum(1, keepdim=True) - left), labels + 1, tokens)
            outputs = torch.where((tokens == OPEN)[..., None], network(tokens), outputs)
    return StepOutput(open_loss(logits, batch), outputs, {})
