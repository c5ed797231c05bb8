"""What the page must know to draw an image: its size, the range of its pixels, which of them are paper."""

from typing import Any

from torch import Tensor

SHARE = 0.2  # of pixels at one end of the range, from which on an image is ink on paper and no photograph
GREY, COLOURS = 2, (3, 3)  # sizes of a shape; sizes of one with colours, and how many these are


def drawable(schema: dict[str, Any]) -> bool:
    """Say whether a manifest's inputs are images: [h, w], or [h, w, 3]."""
    shape = schema["shape"]
    return len(shape) == GREY or (len(shape), shape[-1]) == COLOURS


def describe(schema: dict[str, Any], images: Tensor | None = None) -> dict[str, Any]:
    """Return how images are drawn and shown; some of them [N, h, w] in the manifest's range tell what is paper."""
    height, width, *colours = schema["shape"]
    least, most = float(schema["minimum"]), float(schema["maximum"])
    paper, photo = least, bool(colours)
    if images is not None and not colours:
        shares = {end: float((images == end).double().mean()) for end in (least, most)}
        paper = max(shares, key=shares.__getitem__)
        photo = shares[paper] < SHARE
    blank = most if photo else paper
    size = {"height": height, "width": width, "colours": bool(colours), "least": least, "most": most, "photo": photo}
    return {**size, "paper": [blank] * 3 if colours else blank, "ink": most if blank < (least + most) / 2 else least}


def in_own_range(inputs: Tensor, schema: dict[str, Any]) -> Tensor:
    """Return inputs [B, ...] in the range that a row has: pixels were divided by the brightest."""
    return inputs * float(schema["maximum"]) if schema["dtype"] == "uint8" else inputs


def numbers(inputs: Tensor, schema: dict[str, Any]) -> list[Any]:
    """Return inputs [N, ...] as lists of numbers: whole ones where the manifest has such."""
    return list((inputs.round().long() if "int" in schema["dtype"] else inputs).tolist())
