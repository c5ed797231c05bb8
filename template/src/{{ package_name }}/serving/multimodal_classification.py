"""Images with captions to be classified, as a request has them: pixels and a text in, a label out."""

from typing import Any

import torch
from pydantic import BaseModel, Field
from torch import Tensor

from ..data import captioned, tokens
from .classification import decode, forward
from .rows import MOST_TEXT, image_features, make, pixels_of, stroke, token_features
from .stored import Stored

__all__ = ["decode", "encode", "features", "files", "forward", "row"]
SHOWN = slice(2, 8)  # words of the vocabulary that make an example


def row(data: Stored) -> type[BaseModel]:
    """Return what one input is: pixels [h, w] and a text, which may be empty: training had rows that miss a side."""
    schema = data.manifest["arrays"]["inputs"]
    about = f"a caption; its first {length(data)} words are read; empty: there is none"
    text = (str, Field(max_length=MOST_TEXT, description=about))
    return make(
        {"pixels": stroke(schema), "text": " ".join(data.vocabulary[SHOWN])}, pixels=pixels_of(schema), text=text
    )


def length(data: Stored) -> int:
    """Return how many words of a text are read."""
    return int(data.manifest["arrays"]["words"]["shape"][0])


def encode(rows: list[Any], data: Stored) -> dict[str, Tensor]:
    """Turn rows into images [B, h, w] from 0 to 1 and tokens [B, L]."""
    image = torch.tensor([row.pixels for row in rows]) / data.manifest["arrays"]["inputs"]["maximum"]
    words = tokens.encode([row.text for row in rows], data.vocabulary, length(data))
    return {"image": image, "words": torch.from_numpy(words).long()}


def features(inputs: dict[str, Tensor], _: list[Any], __: Stored) -> dict[str, Tensor]:
    """Return what is watched of either side."""
    return image_features(inputs["image"]) | token_features(inputs["words"])


def files(_: Stored) -> list[str]:
    """Return the names of the data files that answering reads: that with the vocabulary."""
    return [captioned.FILES[0]]
