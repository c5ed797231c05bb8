"""What rows of several tasks share: their fields as pydantic checks them, and the figures that are watched of them."""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model
from torch import Tensor
from torch.nn import functional as F

from ..data.loader import Dataset

LARGEST = float(torch.finfo(torch.float32).max)
MOST_TEXT = 2**16  # letters of a text; what a model reads of it is less
SIDE = 8  # parts of an image, each way, that are watched
Number = Annotated[float, Field(strict=True, ge=-LARGEST, le=LARGEST)]
Column = dict[str, Any]  # of a manifest: name, unit; `values` of a category; `log` where numbers are 0 or more


def make(example: dict[str, Any], **given: Any) -> type[BaseModel]:
    """Make a class of rows from fields, `(type, what pydantic's Field says)` each, and a row that is right."""
    config = ConfigDict(
        extra="forbid",
        allow_inf_nan=False,
        frozen=True,
        serialize_by_alias=True,
        protected_namespaces=(),
        json_schema_extra={"examples": [example]},
    )
    made: type[BaseModel] = create_model("Row", __config__=config, **given)
    return made


def nested(shape: Sequence[int], least: float, most: float) -> Any:
    """Return the type of lists in lists of a shape, of numbers in a range."""
    kind: Any = Annotated[float, Field(strict=True, ge=least, le=most)]
    for length in reversed(shape):
        kind = Annotated[list[kind], Field(min_length=length, max_length=length)]
    return kind


def pixels_of(schema: dict[str, Any]) -> tuple[Any, Any]:
    """Return the field for images of a manifest's schema: lines of pixels, or of colours."""
    shape, least, most = schema["shape"], schema["minimum"], schema["maximum"]
    about = f"{' by '.join(map(str, shape))} numbers from {least} to {most}"
    return nested(shape, least, most), Field(description=about)


def stroke(schema: dict[str, Any]) -> Any:
    """Return an image of a manifest's schema, or what else has its shape, with a bar down its middle."""
    image = torch.full(schema["shape"], schema["minimum"])
    middle = image.movedim(min(1, image.ndim - 1), 0)  # [w, h, ...]
    middle[len(middle) // 2] = schema["maximum"]
    return image.tolist()


def text_of(check: Any, about: str) -> tuple[Any, Any]:
    """Return the field for a text; `check` returns it or raises ValueError, which says what is wanted."""
    return Annotated[str, Field(max_length=MOST_TEXT), AfterValidator(check)], Field(description=about)


def table_row(columns: list[Column], schema: dict[str, Any]) -> type[BaseModel]:
    """Return what a row of a table is: by the name of each column a number, or one of a category's words."""
    least, most = (spread(schema.get(end), len(columns)) for end in ("minimum", "maximum"))
    given, example = dict[str, Any](), dict[str, Any]()
    for number, column in enumerate(columns):
        kind: Any = Annotated[float, Field(strict=True, ge=0 if column.get("log") else -LARGEST, le=LARGEST)]
        if values := column.get("values"):
            kind = Literal[tuple(values)]
        given[f"column_{number}"] = (kind, Field(alias=column["name"], description=column.get("unit") or None))
        middle = (least[number] + most[number]) / 2
        example[column["name"]] = values[0] if values else float(f"{middle:.4g}")
    return make(example, **given)


def spread(limit: Any, count: int) -> list[float]:
    """Return a limit of a manifest for each column: its own, the one for all, or 1 where they say nothing."""
    limits = limit if isinstance(limit, list) else [limit] * count
    return [1.0 if one is None or abs(one) > math.sqrt(LARGEST) else float(one) for one in limits]


def table_values(rows: list[Any], columns: list[Column]) -> Tensor:
    """Return values [B, C] as a data file has them: numbers, and of a category the place of its word."""
    places = [{word: place for place, word in enumerate(column.get("values", ()))} for column in columns]
    cells = [[getattr(row, f"column_{number}") for number in range(len(columns))] for row in rows]
    return torch.tensor(
        [[float(place.get(cell, cell)) for place, cell in zip(places, row, strict=True)] for row in cells]
    )


def table_rows(dataset: Dataset, index: Tensor, columns: list[Column]) -> list[dict[str, Any]]:
    """Return rows [B] of a table, or of a part of one, as a client sends them."""
    if hasattr(dataset, "whole"):
        return table_rows(dataset.whole, dataset.rows[index], columns)
    words = [[str(word) for word in column.get("values", ())] for column in columns]
    return [
        {c["name"]: w[int(value)] if w else value for c, w, value in zip(columns, words, values, strict=True)}
        for values in dataset.values[index].tolist()
    ]


def table_features(values: Tensor, columns: list[Column]) -> dict[str, Tensor]:
    """Return what is watched of values [B, C]: every column, categories as their places."""
    pairs = zip(columns, values.unbind(1), strict=True)
    return {column["name"]: value.long() if "values" in column else value for column, value in pairs}


def image_features(images: Tensor) -> dict[str, Tensor]:
    """Return what is watched of images [B, h, w] or [B, h, w, c]: the ink of the whole, and each pixel or part."""
    grey = images.flatten(3).mean(3) if images.ndim > 3 else images.view(len(images), -1, images.shape[-1])  # noqa: PLR2004
    size = min(SIDE, grey.shape[1]), min(SIDE, grey.shape[2])
    pixels = F.adaptive_avg_pool2d(grey.unsqueeze(1), size).flatten(1)  # [B, P]
    return {"ink": images.flatten(1).mean(1), **{f"pixel {n}": part for n, part in enumerate(pixels.unbind(1))}}


def token_features(tokens: Tensor) -> dict[str, Tensor]:
    """Return what is watched of tokens [B, L]: words, the share that is unknown, and how rare the others are.

    A vocabulary begins with its most frequent words, so that the logarithm of a token's place says how rare it is.
    """
    there, known = (tokens > 0), (tokens > 1)
    rarity = (tokens.clamp(min=1).float().log() * known).sum(1) / known.sum(1)  # NaN where no word is known
    return {"words": there.sum(1).float(), "unknown_words": (there & ~known).sum(1) / there.sum(1), "rarity": rarity}
