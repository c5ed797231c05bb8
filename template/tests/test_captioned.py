# copier: filter replace("my_project", package_name)
"""Captioned digits are whole, their captions tell what the manifest says, and a user's file is prepared as ours."""

from pathlib import Path

import numpy as np
import pytest
import torch

from my_project.data.captioned import Captioned, CaptionedConfig
from my_project.data.loader import read_manifest
from my_project.data.tokens import decode
from my_project.types import Split

SOURCE = CaptionedConfig()
SPLITS: tuple[Split, ...] = ("train", "val", "test")
EXAMPLE = Path(__file__).parents[1] / "examples" / "captioned_digits.csv"


def captions(rows: Captioned) -> list[list[str]]:
    return [decode(row, rows.vocabulary) for row in rows.inputs["words"].tolist()]


def told(words: list[str], names: set[str], opposites: set[str]) -> bool | None:
    """Return whether a caption says that one of the names holds, or nothing where it says neither."""
    for place, word in enumerate(words):
        if word in names | opposites:
            return (word in names) != (words[place - 1] == "not" and place > 0)
    return None


def test_captions_tell_parity_and_size_and_one_fact_in_ten_wrongly() -> None:
    for split in SPLITS:
        rows = SOURCE.build(split)
        facts = {"even": rows.targets % 2 == 0, "large": rows.targets >= 5}
        words = {"even": ({"even"}, {"odd"}), "large": ({"large", "high", "big"}, {"small", "low"})}
        for name, truth in facts.items():
            said = [told(caption, *words[name]) for caption in captions(rows)]
            right = [one == bool(other) for one, other in zip(said, truth, strict=True) if one is not None]
            assert np.mean(right) == pytest.approx(0.9, abs=0.06)
            assert said.count(None) / len(said) == pytest.approx(0.05, abs=0.04)
    assert "synthetic" in read_manifest(SOURCE.root)["captions"]


def test_the_same_words_in_another_order_say_something_else() -> None:
    """So that a bag of words cannot tell them apart."""
    found = {tuple(caption) for split in SPLITS for caption in captions(SOURCE.build(split))}
    assert ("not", "even", "and", "large") in found
    assert ("even", "and", "not", "large") in found


def test_of_each_image_a_window_is_hidden() -> None:
    for split in SPLITS:
        images = SOURCE.build(split).inputs["image"]
        windows = images.unfold(1, 5, 1).unfold(2, 5, 1).amax(dim=(3, 4))  # [N, 8, 8] -> [N, 4, 4]
        assert (windows.flatten(1).amin(dim=1) == 0).all()
        assert images.amax().item() == 1


def test_no_caption_is_empty_and_every_word_is_known() -> None:
    for split in SPLITS:
        words = SOURCE.build(split).inputs["words"]
        assert (words[:, 0] > 1).all()
        assert not (words == 1).any()


def test_a_side_can_be_left_out() -> None:
    rows = SOURCE.build("val")
    for side, other in (("image", "words"), ("words", "image")):
        assert not rows.without(side).inputs[side].any()
        assert torch.equal(rows.without(side).inputs[other], rows.inputs[other])
    assert all(part.any() for part in rows.inputs.values())


def test_a_users_file_is_prepared_as_in_training() -> None:
    inputs, rows = SOURCE.read(EXAMPLE), SOURCE.build("val")
    for side, part in inputs.items():
        torch.testing.assert_close(part, rows.inputs[side][[1, 5, 8]], rtol=0, atol=0)
        assert part.dtype == rows.inputs[side].dtype


@pytest.mark.parametrize(
    "text", ["even,1,2,3", *(",".join(["even", *[pixel] * 64]) for pixel in ("x", "17", "nan")), ""]
)
def test_a_file_that_is_no_caption_and_image_is_refused_in_one_line(text: str, workspace: Path) -> None:
    (workspace / "bad.csv").write_text(text)
    with pytest.raises(ValueError, match=r"bad\.csv: .*want a \.csv file in UTF-8") as refused:
        SOURCE.read(workspace / "bad.csv")
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_refused(workspace: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.csv: want"):
        SOURCE.read(workspace / "none.csv")
    # copier: endfilter
