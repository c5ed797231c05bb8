"""Images to be classified, as a request has them: rows of pixels in, a label with all probabilities out."""

from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from ..types import UNKNOWN, Batch
from .rows import image_features, make, pixels_of, stroke
from .stored import Stored


def row(data: Stored) -> type[BaseModel]:
    """Return what one input is: pixels [h, w] in the range that the manifest says."""
    schema = data.manifest["arrays"]["inputs"]
    return make({"pixels": stroke(schema)}, pixels=pixels_of(schema))


def encode(rows: list[Any], data: Stored) -> Tensor:
    """Turn rows into inputs [B, h, w] from 0 to 1."""
    images = torch.tensor([row.pixels for row in rows])
    return images / float(data.manifest["arrays"]["inputs"]["maximum"])


def forward(model: nn.Module, inputs: Any, _: list[Any]) -> Tensor:
    """Return logits [B, C] for inputs [B, ...], or several of them in a dict."""
    first: Tensor = next(iter(inputs.values())) if isinstance(inputs, dict) else inputs
    index = torch.arange(len(first), device=first.device)
    outputs: Tensor = model(Batch(inputs, torch.full_like(index, UNKNOWN), index), None).outputs
    return outputs


def decode(outputs: Tensor, _: list[Any], data: Stored) -> list[dict[str, Any]]:
    """Turn logits [B, C] into answers; the uncertainty is the entropy of the probabilities, 0 to 1."""
    probabilities = outputs.float().softmax(1)
    entropy = torch.special.entr(probabilities).sum(1) / torch.tensor(max(2.0, len(data.labels))).log()
    confidence, answers = probabilities.max(1)
    columns = (answers.tolist(), confidence.tolist(), entropy.tolist(), probabilities.tolist())
    return [
        {
            "answer": data.labels[answer],
            "confidence": sure,
            "uncertainty": unsure,
            "probabilities": dict(zip(data.labels, row, strict=True)),
        }
        for answer, sure, unsure, row in zip(*columns, strict=True)
    ]


def features(inputs: Tensor, _: list[Any], __: Stored) -> dict[str, Tensor]:
    """Return what is watched of inputs [B, h, w]: each pixel, and the ink of the whole."""
    return image_features(inputs)
