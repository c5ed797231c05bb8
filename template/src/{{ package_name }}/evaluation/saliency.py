"""What an answer to one row rests on: integrated gradients of numbers, and what is lost without each word of a text.

Sundararajan et al. (2017, equation 3): the gradient of the answer along the way from a row that says nothing, times
the way. What all inputs get together is the difference of both answers. Words: Li et al. (2016, equation 2).
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.loader import Dataset
from ..types import Batch
from .importance import MOST_CHANNELS, MOST_SECONDS, columns

NUM_WORST, NUM_OTHERS, NUM_STEPS = 6, 4, 32  # rows of worst errors, others; steps of the way
MOST_SHOWN = 8  # columns of a row
MOST_PIXELS = 48  # a side of a picture on the page
FLAT = 2  # axes of a picture without channels, and of a series


def saliency(model: nn.Module, data: Dataset, worst: list[int], labels: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the share of each input in the answers to worst errors and to other rows; nothing where it has none."""
    if hasattr(data, "searches") or not isinstance(data[torch.arange(1), 0].inputs, Tensor):
        return []
    others = [row for row in range(len(data)) if row not in worst]
    others = others[:: max(1, len(others) // NUM_OTHERS)][:NUM_OTHERS]
    rows = worst[:NUM_WORST] + others
    batch = data[torch.tensor(rows), 0].to(next(model.parameters()).device)
    if batch.inputs.is_floating_point():
        shares, answers = integrated_gradients(model, batch, blank(data, batch.inputs))
    else:
        shares, answers = occlusion(model, batch) if hasattr(data, "vocabulary") else (None, None)
    if shares is None:
        return []
    found = list[dict[str, Any]]()
    for place, row in enumerate(rows):
        head: dict[str, Any] = {"row": row, "worst": row in worst}
        if answers is not None and labels:
            head |= {"target": labels[int(batch.targets[place])], "answer": labels[int(answers[place])]}
        if shown := show(data, row, batch.inputs[place].cpu(), shares[place]):
            found.append(head | shown)
    return found


def show(data: Dataset, row: int, inputs: Tensor, shares: Tensor) -> dict[str, Any]:
    """Return the inputs of a row [...] and their shares [...] as a person reads them: words, columns, steps, pixels.

    More columns or axes than a person sees are not shown.
    """
    if not inputs.is_floating_point():
        pairs = [(data.vocabulary[token], share) for token, share in zip(inputs, shares.tolist(), strict=True) if token]
        return {"words": [{"name": word, "share": share} for word, share in pairs]}
    if inputs.ndim == 1:
        if not (known := columns(data, len(inputs))):
            return {}
        values = [*data.rows([row])[0].values()] if hasattr(data, "rows") else []
        values = values if len(values) == len(known) else inputs.tolist()
        parts = [float(part.change(torch.zeros_like(shares), shares).sum()) for part in known]
        named = zip((part.name for part in known), values, parts, strict=True)
        listed = [{"name": name, "value": value, "share": share} for name, value, share in named]
        return {"columns": sorted(listed, key=lambda one: -abs(one["share"]))[:MOST_SHOWN]}
    if not is_picture(inputs):
        return {"steps": inputs[:, 0].tolist(), "shares": shares.sum(1).tolist()}
    if inputs.ndim > FLAT + 1:
        return {}
    if inputs.ndim > FLAT:
        channels = 2 if inputs.shape[2] <= MOST_CHANNELS else 0
        inputs, shares = inputs.mean(channels), shares.sum(channels)
    size = -(-max(inputs.shape) // MOST_PIXELS)
    pixels = F.avg_pool2d(inputs[None], size, ceil_mode=True)[0]
    shares = F.avg_pool2d(shares[None], size, ceil_mode=True, divisor_override=1)[0]  # sums
    return {"pixels": pixels.tolist(), "shares": shares.tolist()}


def is_picture(row: Tensor) -> bool:
    """Return whether a row is [h, w], [h, w, C] or [C, h, w]; [L, C] with few values at a step is a series."""
    return row.ndim > FLAT or (row.ndim == FLAT and row.shape[1] > MOST_CHANNELS)


def blank(data: Dataset, inputs: Tensor) -> Tensor:
    """Return what says nothing: paper for images [B, h, w] or with channels, the mean of other rows."""
    if is_picture(inputs[0]):
        return torch.zeros_like(inputs)
    whole: Tensor = data[torch.arange(len(data)), 0].inputs
    return whole.mean(0, keepdim=True).expand_as(inputs).to(inputs)


def score(model: nn.Module, batch: Batch, answers: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Return what stands for each row's answer [B], and which class that is [B] where rows have one.

    It is the logit of the class that the model answers to the whole row; of other outputs [B, ...] it is their mean.
    """
    outputs = model(batch, None).outputs.float()
    if batch.targets.ndim == 1 and not batch.targets.is_floating_point() and outputs[0].ndim == 1:
        answers = outputs.argmax(1) if answers is None else answers
        return outputs.gather(1, answers[:, None])[:, 0], answers
    return outputs.reshape(len(outputs), -1).mean(1), None


def integrated_gradients(model: nn.Module, batch: Batch, nothing: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """Return shares [B, ...] of inputs in answers, from rows that say nothing [B, ...], and answered classes [B].

    A model that passes no gradient to its inputs has no shares.
    """
    model.eval()
    with torch.no_grad():
        _, answers = score(model, batch, None)
    total, started = torch.zeros_like(batch.inputs), time.perf_counter()
    for step in range(NUM_STEPS):
        in_time(started)
        part = (step + 0.5) / NUM_STEPS  # the middle of each step
        inputs = (nothing + part * (batch.inputs - nothing)).detach().requires_grad_()
        value, _ = score(model, replace(batch, inputs=inputs), answers)
        gradient = torch.autograd.grad(value.sum(), inputs, allow_unused=True)[0] if value.requires_grad else None
        if gradient is None:
            return None, answers
        total += gradient / NUM_STEPS
    return ((batch.inputs - nothing) * total).detach().cpu(), answers


def in_time(started: float) -> None:
    """Raise TimeoutError where more time has passed than a section of the report may take."""
    if time.perf_counter() - started > MOST_SECONDS:
        raise TimeoutError(f"not done yet, at most {MOST_SECONDS:.0f} s")


@torch.inference_mode()
def occlusion(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return what each answer's log-probability loses where a token of [B, L] is padding, [B, L], and answers [B]."""
    tokens, shares, answers = batch.inputs, torch.zeros(batch.inputs.shape), list[int]()
    started = time.perf_counter()
    for row in range(len(tokens)):
        in_time(started)
        used = tokens[row].nonzero().flatten()
        texts = tokens[row].repeat(len(used) + 1, 1)  # [words + 1, L], the whole text first
        texts[torch.arange(len(used)) + 1, used] = 0
        index = torch.zeros(len(texts), dtype=torch.long, device=tokens.device)
        logits = model.eval()(Batch(texts, batch.targets[row].expand(len(texts)), index), None).outputs
        answers.append(int(logits[0].argmax()))
        scores = logits.float().log_softmax(1)[:, answers[-1]].cpu()
        shares[row, used.cpu()] = scores[0] - scores[1:]
    return shares, torch.tensor(answers)
