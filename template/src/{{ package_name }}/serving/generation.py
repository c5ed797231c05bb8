"""Texts that a model writes on: a prompt in, what follows it out, with the bits that each byte of it took."""

import math
from typing import Annotated, Any

import torch
from pydantic import BaseModel, Field
from torch import Tensor
from torch.nn import functional as F

from ..data.loader import Dataset
from ..evaluation.generation import PROMPT, TEMPERATURE, text_of
from ..types import UNKNOWN, Batch
from .rows import MOST_TEXT, make
from .stored import Stored

ALONE = True  # a row's bytes are drawn by its own seed, whatever other rows there are
MOST, USUAL = 2000, 200  # bytes that may be asked for; bytes where nothing is asked for
FEW = 8  # bytes that are written after a prompt of a data set
SEGMENT = 128  # bytes that are read at once where a model has no length of its own


def row(_: Stored) -> type[BaseModel]:
    """Return what one input is: a prompt, how much is to be written, how boldly, and by which seed."""
    whole, bold = Annotated[int, Field(strict=True, ge=1, le=MOST)], Annotated[float, Field(strict=True, ge=0, le=10)]
    seed = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
    return make(
        {"prompt": "The ", "max_bytes": 40, "temperature": TEMPERATURE, "seed": 0},
        prompt=(str, Field(min_length=1, max_length=MOST_TEXT, description="what is to be gone on from")),
        max_bytes=(whole, Field(default=USUAL, description="bytes to write")),
        temperature=(bold, Field(default=TEMPERATURE, description="0: always the likeliest byte")),
        seed=(seed, Field(default=0, description="the same seed writes the same")),
    )


def prepare(model: Any, _: Stored) -> None:
    """Refuse a model that only predicts."""
    if not hasattr(model, "generate"):
        raise ValueError("this model predicts bytes but cannot write; train another, such as gpt")


def encode(rows: list[Any], _: Stored) -> list[Tensor]:
    """Turn rows into the bytes [1, L] of each prompt."""
    return [torch.tensor([*row.prompt.encode()]).unsqueeze(0) for row in rows]


def forward(model: Any, inputs: list[Tensor], rows: list[Any]) -> list[dict[str, Tensor]]:
    """Return what the model writes after each prompt [1, L], bytes [N], and the bits [N] that each of them took."""
    found = list[dict[str, Tensor]]()
    for prompt, row in zip(inputs, rows, strict=True):
        written = model.generate(prompt, row.max_bytes, temperature=row.temperature, seed=row.seed)
        found.append({"written": written[0], "bits": surprise(model, prompt, written)})
    return found


def surprise(model: Any, prompt: Tensor, written: Tensor) -> Tensor:
    """Return the bits [N] of bytes that were written [1, N] after a prompt [1, L], as the model reads them.

    It reads windows. A model that looks back on `seq_len` bytes has as many of the prompt, and half of each window is
    context, as where it is evaluated; one that carries what it has read goes on from window to window.
    """
    looks = getattr(getattr(model, "config", None), "seq_len", None)
    context, size = (prompt[:, -looks:] if looks else prompt), looks or SEGMENT
    text = torch.cat([context, written], dim=1)
    bits, done, begin, carry = list[Tensor](), context.shape[1], 0, None
    while done < text.shape[1]:
        part = text[:, begin : begin + size]
        starts = torch.full((1,), carry is None, device=text.device)
        targets = torch.full_like(part, UNKNOWN)
        output = model(Batch(part, targets, targets[:, 0] * 0, starts), carry)
        logs = F.log_softmax(output.outputs.float(), dim=2)  # [1, l, V]
        following = text[:, begin + 1 : begin + size + 1]
        known = -logs[:, : following.shape[1]].gather(2, following.unsqueeze(2))[0, :, 0] / math.log(2)
        new = known[max(0, done - begin - 1) :]
        bits.append(new)
        done, carry = done + len(new), output.carry
        begin += size if carry is not None else max(1, size // 2)
    return torch.cat(bits)


def decode(outputs: list[dict[str, Tensor]], rows: list[Any], _: Stored) -> list[dict[str, Any]]:
    """Turn bytes into answers; the uncertainty is the mean of their bits, the confidence the probability of a byte."""
    records = list[dict[str, Any]]()
    for output, row in zip(outputs, rows, strict=True):
        bits = float(output["bits"].double().mean())
        record = {"answer": text_of(output["written"]), "confidence": 2**-bits, "uncertainty": bits}
        records.append(
            {**record, "num_bytes": len(output["written"]), "temperature": row.temperature, "seed": row.seed}
        )
    return records


def requests(dataset: Dataset, index: Tensor, _: Stored) -> list[dict[str, Any]]:
    """Return pieces of a text, where the windows [B] of a data set begin, as prompts of which little is asked."""
    pieces = [dataset.text[begin : begin + PROMPT] for begin in dataset.begins[index].tolist()]
    rows = zip(pieces, index.tolist(), strict=True)
    return [{"prompt": text_of(piece), "max_bytes": FEW, "seed": number} for piece, number in rows]


def features(_: list[Tensor], rows: list[Any], __: Stored) -> dict[str, Tensor]:
    """Return what is watched of prompts: the shares of some kinds of letters."""
    kinds = {"capitals": str.isupper, "spaces": str.isspace, "digits": str.isdigit, "not_ascii": not_ascii}
    texts = [row.prompt for row in rows]
    return {name: torch.tensor([sum(map(kind, text)) / len(text) for text in texts]) for name, kind in kinds.items()}


def not_ascii(letter: str) -> bool:
    """Say whether a letter is none of English text."""
    return not letter.isascii()
