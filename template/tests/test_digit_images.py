# copier: filter replace("my_project", package_name)
"""The digits to draw are those of the files, unmoved, and a text file names the classes that a user wants."""

from pathlib import Path

import numpy as np
import pytest
import torch

from my_project.data.digit_images import DigitImagesConfig
from my_project.data.loader import verify
from my_project.types import Split

SPLITS: tuple[Split, ...] = ("train", "val", "test")


def test_images_and_classes_are_those_of_the_files_which_hold_their_manifest() -> None:
    root = DigitImagesConfig().root
    assert verify(root) == []
    for split in SPLITS:
        with np.load(root / ("digits_test.npz" if split == "test" else "digits.npz")) as file:
            inputs, targets = file[f"{split}_inputs"], file[f"{split}_targets"]
        data = DigitImagesConfig().build(split)
        assert np.array_equal(data.inputs.numpy() * 16, inputs)
        assert np.array_equal(data.targets.numpy(), targets)


def test_an_image_stays_where_it_is_in_training_too() -> None:
    index = torch.arange(50)
    moved, plain = (DigitImagesConfig().build("train", augment=augment)[index, 3] for augment in (True, False))
    assert torch.equal(moved.inputs, plain.inputs)


@pytest.mark.parametrize("text", ["7,7,3", "7 7\n3", "7\n7\n3\n"])
def test_classes_are_read_from_a_text_file(text: str, workspace: Path) -> None:
    (workspace / "classes.csv").write_text(text)
    assert DigitImagesConfig().read(workspace / "classes.csv").tolist() == [7, 7, 3]


@pytest.mark.parametrize("text", ["10", "-1", "seven", "", "7;7"])
def test_a_file_without_classes_is_refused_in_one_line(text: str, workspace: Path) -> None:
    (workspace / "bad.csv").write_text(text)
    for name in ("bad.csv", "none.csv"):
        with pytest.raises(ValueError, match=rf"{name}: want an existing text file of classes from 0 to 9") as refused:
            DigitImagesConfig().read(workspace / name)
        assert "\n" not in str(refused.value)
    # copier: endfilter
