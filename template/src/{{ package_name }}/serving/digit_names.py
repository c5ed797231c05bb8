"""Digits and their names as candidates of a search: a row is a name, for images, or an image, for names."""

from typing import Any

import torch
from pydantic import BaseModel, Field, create_model, model_validator
from torch import Tensor

from ..data import digit_names as names
from ..data.retrieval import Side
from .rows import make, pixels_of, text_of
from .stored import Stored

IMAGE, TEXT = 0, 1  # which of a model's embeddings is whose


def row(data: Stored) -> type[BaseModel]:
    """Return what one input is: a name of a digit, or pixels [h, w] in the range that the manifest says."""
    schema = data.manifest["arrays"]["inputs"]
    (text, about), (pixels, shape) = text_of(named, "a name of a digit, for images of it"), pixels_of(schema)
    base = make(
        {"query": names.WORDS[-1]},
        query=(text | None, Field(default=None, description=about.description)),
        pixels=(pixels | None, Field(default=None, description=f"{shape.description}, for names of it")),
    )
    one: Any = model_validator(mode="after")(one_of_both)
    return create_model("Row", __base__=base, __validators__={"one": one})


def one_of_both(row: Any) -> Any:
    """Refuse a row that asks for both or for neither."""
    if (row.query is None) == (row.pixels is None):
        raise ValueError("want query or pixels, one of them")
    return row


def named(text: str) -> str:
    """Refuse a text in which no word is known."""
    if not names.encode([text]).any():
        raise ValueError(f"got {text[:40]!r}, want a name of a digit, as in 'the digit seven'")
    return text


def encode(rows: list[Any], data: Stored) -> dict[str, Any]:
    """Turn rows into images [B, h, w] and words [B, L], one of them empty, and which it is not [B]."""
    schema = data.manifest["arrays"]["inputs"]
    paper = torch.zeros(schema["shape"]).tolist()
    images = torch.tensor([row.pixels or paper for row in rows]) / schema["maximum"]
    query = {"image": images, "text": names.encode([row.query or "" for row in rows])}
    return {"query": query, "part": torch.tensor([TEXT if row.pixels is None else IMAGE for row in rows])}


def candidates(data: Stored) -> dict[int, Side]:
    """Return what is searched: for an image the names, for a name the images of training and validation."""
    return {IMAGE: names.worded(names.WORDS), TEXT: data.config.gallery()}


def known(_: list[Any], __: Stored) -> None:
    """Leave nothing out."""


def requests(dataset: names.DigitNames, index: Tensor, data: Stored) -> list[dict[str, Any]]:
    """Return rows [B] of a data set as a client asks for them: images, and phrases for every other one."""
    brightest, phrases = data.manifest["arrays"]["inputs"]["maximum"], names.phrases(names.LEARNT)
    images, ways = (dataset.images[index] * brightest).tolist(), len(names.LEARNT)
    targets = dataset.targets[index].tolist()
    return [
        {"query": phrases[targets[n] * ways + row // 2 % ways]} if row % 2 else {"pixels": images[n]}
        for n, row in enumerate(index.tolist())
    ]


def features(inputs: dict[str, Any], _: list[Any], __: Stored) -> dict[str, Tensor]:
    """Return what is watched: whether an image or a name is given, and what is in it; NaN where it is not."""
    image, missing = inputs["part"] == IMAGE, torch.tensor(float("nan"))
    ink, words = inputs["query"]["image"].flatten(1).mean(1), (inputs["query"]["text"] > 0).sum(1).float()
    return {"asked": inputs["part"], "ink": ink.where(image, missing), "words": words.where(~image, missing)}


def files(data: Stored) -> list[str]:
    """Return the names of the data files that answering reads: that with the images."""
    return [name for name in data.manifest["files"] if not name.endswith("_test.npz")]
