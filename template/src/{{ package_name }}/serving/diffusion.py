"""Images that a model draws: the class in, pixels out."""

from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, Field
from torch import Tensor

from ..data.digit_images import BRIGHTEST
from ..data.loader import Dataset
from ..evaluation.diffusion import rounded
from .rows import make
from .stored import Stored

ALONE = True  # a row's noise is drawn by its own seed, whatever other rows there are


def row(data: Stored) -> type[BaseModel]:
    """Return what one input is: the label of a class, and a seed."""
    label: Any = Literal[tuple(data.labels)]
    seed = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
    return make(
        {"label": data.labels[-1], "seed": 0},
        label=(label, Field(description="what is to be drawn")),
        seed=(seed, Field(default=0, description="the same seed draws the same")),
    )


def encode(rows: list[Any], data: Stored) -> Tensor:
    """Turn rows into the numbers of their classes [B]."""
    return torch.tensor([data.labels.index(row.label) for row in rows])


def forward(model: Any, inputs: Tensor, rows: list[Any]) -> Tensor:
    """Return an image for each class, [B] -> [B, h, w]."""
    pairs = zip(inputs.split(1), rows, strict=True)
    return torch.cat([model.sample(label, seed=row.seed) for label, row in pairs])


def decode(outputs: Tensor, rows: list[Any], _: Stored) -> list[dict[str, Any]]:
    """Turn images [B, h, w] into answers: pixels from 0 (paper) to the brightest, with no word on how sure they are."""
    images = (rounded(outputs.float()) * BRIGHTEST).int().tolist()
    unknown = {"confidence": None, "uncertainty": None}
    return [
        {"answer": image, **unknown, "label": row.label, "seed": row.seed, "brightest": BRIGHTEST}
        for image, row in zip(images, rows, strict=True)
    ]


def requests(dataset: Dataset, index: Tensor, data: Stored) -> list[dict[str, Any]]:
    """Return the classes of rows [B] of a data set as a client asks for them."""
    pairs = zip(dataset.targets[index].tolist(), index.tolist(), strict=True)
    return [{"label": data.labels[label], "seed": number} for label, number in pairs]


def features(inputs: Tensor, _: list[Any], __: Stored) -> dict[str, Tensor]:
    """Return what is watched of classes [B]: which they are."""
    return {"label": inputs}
