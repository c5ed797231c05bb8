# copier: filter replace("my_project", package_name)
"""The page knows from the data how an image is drawn: what is paper, what is ink, what is a photograph."""

from typing import Any

import pytest
import torch
from torch import Tensor

from my_project.serving import pixels

BYTES = {"shape": [4, 6], "dtype": "uint8", "minimum": 0, "maximum": 255}


def stroke(paper: int, ink: int) -> Tensor:
    """Return images [3, 4, 6] with a line across."""
    images = torch.full((3, 4, 6), float(paper))
    images[:, 2] = ink
    return images


@pytest.mark.parametrize(("paper", "ink"), [(0, 255), (255, 0)], ids=["light on dark", "dark on light"])
def test_paper_is_what_most_of_a_drawing_is(paper: int, ink: int) -> None:
    found = pixels.describe(BYTES, stroke(paper, ink))
    assert (found["paper"], found["ink"], found["photo"]) == (paper, ink, False)
    assert (found["height"], found["width"], found["colours"]) == (4, 6, False)


def test_an_image_with_all_tones_is_a_photograph() -> None:
    images = torch.arange(72.0).view(3, 4, 6) + 50
    found = pixels.describe(BYTES, images)
    assert found["photo"]
    assert found["paper"] == 255


def test_an_image_with_colours_is_a_photograph_with_a_colour_for_paper() -> None:
    found = pixels.describe({**BYTES, "shape": [4, 6, 3]}, torch.zeros(2, 4, 6, 3))
    assert found["photo"]
    assert found["paper"] == [255.0] * 3


def test_without_any_image_the_least_is_paper() -> None:
    found = pixels.describe(BYTES)
    assert (found["paper"], found["ink"], found["photo"]) == (0, 255, False)


@pytest.mark.parametrize(
    ("shape", "drawn"), [([8, 8], True), ([8, 8, 3], True), ([64], False), ([8, 8, 4], False), ([2, 8, 8, 3], False)]
)
def test_only_images_are_drawn(shape: list[int], *, drawn: bool) -> None:
    assert pixels.drawable({**BYTES, "shape": shape}) == drawn


@pytest.mark.parametrize(("dtype", "wanted"), [("uint8", [0, 255]), ("float32", [0.0, 1.0])])
def test_rows_have_the_range_and_the_kind_of_numbers_of_the_data(dtype: str, wanted: list[Any]) -> None:
    schema = {**BYTES, "dtype": dtype, "shape": [2]}
    found = pixels.numbers(pixels.in_own_range(torch.tensor([[0.0, 1.0]]), schema), schema)
    assert found == [wanted]
    assert {type(number) for number in found[0]} == {type(wanted[0])}
    # copier: endfilter
