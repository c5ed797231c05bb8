"""How good a language model is: bits for each byte, baselines to beat, what its report shows, a prompt written on."""

import logging
import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.loader import DataConfig, Dataset
from ..types import UNKNOWN, Measurement, map_carry
from . import ngrams

NUM_QUICK, BATCH_SIZE = 256, 64  # windows that follow a training run; windows at once
ORDERS = {"unigram": 1, "3-gram": 3}  # baselines, by the bytes that they look at
NUM_PLACES, BEFORE, AFTER = 12, 60, 20  # surprising places in the report, and bytes around them
NUM_PROMPTS, PROMPT, WRITTEN, TEMPERATURES = 2, 64, 240, (0.5, 0.8, 1.0)  # samples in the report, lengths in bytes
TEMPERATURE, ANSWER, SEED = 0.8, 500, 0  # of an answer to a user's prompt

logger = logging.getLogger(__name__)


@torch.inference_mode()
def read(model: nn.Module, dataset: Dataset, most: int) -> dict[str, Tensor]:
    """Return of every byte in windows [R, L], on the CPU: its bits, whether it counts, the model's guess and how sure.

    Bytes that are only context have bits as well. At most about `most` windows are read, from all over the text.
    """
    model.eval()
    device, parts, carry = next(model.parameters()).device, list[tuple[Tensor, ...]](), None
    for index in in_order(dataset, most):
        batch = dataset[index, 0].to(device)
        output = model(batch, map_carry(carry, partial(first, len(index))))
        carry, logs = output.carry, F.log_softmax(output.outputs.float(), dim=2)  # [B, L, V]
        following = torch.cat([batch.inputs[:, 1:], batch.targets[:, -1:]], dim=1)  # [B, L]
        bits = -logs.gather(2, following.unsqueeze(2)).squeeze(2) / math.log(2)
        sure, guess = logs.max(2)
        parts.append(tuple(part.cpu() for part in (batch.index, bits, batch.targets != UNKNOWN, guess, sure.exp())))
    return dict(zip(("index", "bits", "known", "guess", "sure"), map(torch.cat, zip(*parts, strict=True)), strict=True))


def in_order(dataset: Dataset, most: int) -> list[Tensor]:
    """Return the rows of batch after batch [B]: from all over the text, or so that each goes on with that before."""
    if hasattr(dataset, "in_order"):
        return list(dataset.in_order(most))
    return [*torch.arange(len(dataset))[:: max(1, -(-len(dataset) // most))].split(BATCH_SIZE)]


def first(count: int, rows: Tensor) -> Tensor:
    """Return the first of rows [B, ...]: the others have no text left."""
    return rows[:count]


def summary(reading: dict[str, Tensor]) -> Measurement:
    """Return the figures that follow a training run, from a reading [R, L]."""
    bits = float(reading["bits"][reading["known"]].double().mean())
    figures = {"loss": bits * math.log(2), "bits_per_byte": bits}
    return Measurement(primary="bits_per_byte", value=bits, higher_is_better=False, metrics=figures)


def measure(model: nn.Module, dataset: Dataset) -> Measurement:
    """Return the few figures that follow a training run, from a part of the text."""
    return summary(read(model, dataset, NUM_QUICK))


def measure_fully(model: nn.Module, dataset: Dataset, _: DataConfig) -> Measurement:
    """Return every figure that the report shows, from all of the text, and what the model writes."""
    logger.info("reading %d windows of the text, then writing on", len(dataset))
    reading = read(model, dataset, len(dataset))
    short = summary(reading)
    figures = {
        **short.metrics,
        "perplexity": 2**short.value,
        "num_rows": len(reading["index"]),
        "num_bytes": int(reading["known"].sum()),
        "by_position": reading["bits"].mean(0).tolist(),
        "surprising": surprising(reading, dataset),
        "samples": samples(model, dataset),
    }
    return replace(short, metrics=figures)


def surprising(reading: dict[str, Tensor], dataset: Dataset) -> list[dict[str, Any]]:
    """Return the places of a reading [R, L] that took the most bits, one of a window, with the text around them."""
    bits, columns = reading["bits"].masked_fill(~reading["known"], -1).max(1)
    found = list[dict[str, Any]]()
    for row in bits.argsort(descending=True)[:NUM_PLACES].tolist():
        column = int(columns[row])
        at = int(dataset.begins[reading["index"][row]]) + column + 1
        parts = {"before": (at - BEFORE, at), "byte": (at, at + 1), "after": (at + 1, at + 1 + AFTER)}
        place = {name: text_of(dataset.text[max(0, first) : last]) for name, (first, last) in parts.items()}
        guess = {"guess": text_of(reading["guess"][row, column, None]), "sure": float(reading["sure"][row, column])}
        found.append({"place": at, **place, **guess, "bits": float(bits[row])})
    return found


def samples(model: Any, dataset: Dataset) -> list[dict[str, Any]]:
    """Return what the model writes after pieces of the text, if it can, and what the text has there."""
    if not hasattr(model, "generate"):
        return []
    begins = [len(dataset.text) * number // NUM_PROMPTS for number in range(NUM_PROMPTS)]
    pieces = torch.stack([dataset.text[begin : begin + PROMPT + WRITTEN].long() for begin in begins])  # [B, L]
    prompts = pieces[:, :PROMPT].to(next(model.parameters()).device)
    written = {t: model.generate(prompts, WRITTEN, temperature=t, seed=SEED).cpu() for t in TEMPERATURES}
    return [
        {
            "prompt": text_of(piece[:PROMPT]),
            "text": text_of(piece[PROMPT:]),
            "written": [{"temperature": t, "text": text_of(those[number])} for t, those in written.items()],
        }
        for number, piece in enumerate(pieces)
    ]


def text_of(values: Tensor) -> str:
    """Return bytes [N] as text; what is no UTF-8 becomes a sign for it."""
    return bytes(values.tolist()).decode("utf-8", errors="replace")


def baselines(train: Dataset, other: Dataset, _: DataConfig) -> dict[str, float]:
    """Return the bits per byte of n-gram models of the training text, on the bytes of another that count."""
    logger.info("baselines: %s", ", ".join(ORDERS))
    targets = other[torch.arange(len(other)), 0].targets  # [R, L]
    places = (other.begins[:, None] + 1 + torch.arange(other.seq_len))[targets != UNKNOWN].numpy()
    read, text = (dataset.text.long().numpy() for dataset in (train, other))
    return {name: float(ngrams.surprise(read, text, order)[places].mean()) for name, order in ORDERS.items()}


def pictures(_: Dataset, metrics: dict[str, Any]) -> dict[str, Any]:
    """Return what the page shows beside the figures: the highest of the bits by position."""
    return {"most": max(metrics["by_position"])}


def answers(model: Any, data: DataConfig, path: Path) -> list[dict[str, Any]]:
    """Return what the model writes after a user's text."""
    if not hasattr(model, "generate"):
        raise ValueError("this model predicts bytes but cannot write; train another, such as gpt")
    prompt = data.read(path)
    logger.info("writing %d bytes", ANSWER)
    written = model.generate(prompt, ANSWER, temperature=TEMPERATURE, seed=SEED)
    return [{"prompt": text_of(prompt[0]), "temperature": TEMPERATURE, "continuation": text_of(written[0])}]
