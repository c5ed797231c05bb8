# copier: filter replace("my_project", package_name)
"""Images and phrases belong together by their digit, and training never sees the phrases that are held back."""

from pathlib import Path

import numpy as np
import pytest
import torch

from my_project.data.digit_names import (
    FRESH,
    LEARNT,
    VOCABULARY,
    WORDS,
    DigitNamesConfig,
    encode,
    phrases,
)
from my_project.data.loader import read_arrays

CONFIG = DigitNamesConfig()


def test_images_and_targets_are_those_of_the_digits() -> None:
    arrays, index = read_arrays(CONFIG.root, "digits.npz"), torch.arange(20)
    batch = CONFIG.build("val")[index, 0]
    assert torch.equal(batch.inputs["image"] * 16, torch.from_numpy(arrays["val_inputs"][:20]).float())
    assert batch.targets.tolist() == arrays["val_targets"][:20].tolist()


def test_training_images_move_by_up_to_a_pixel_each_way() -> None:
    data, index = CONFIG.build("train", augment=True), torch.arange(1258)
    moved = data[index, 5].inputs["image"]
    windows = torch.nn.functional.pad(data.images, [1] * 4)
    ways = [(windows[:, d : d + 8, r : r + 8] == moved).all(dim=(1, 2)) for d in range(3) for r in range(3)]
    assert torch.stack(ways).any(0).all()
    assert all(way.double().mean().item() == pytest.approx(1 / 9, abs=0.05) for way in ways)
    still = DigitNamesConfig(shift=0).build("train", augment=True)
    assert torch.equal(still[index, 5].inputs["image"], data.images)


def test_every_phrase_of_a_row_names_its_digit_and_is_one_that_is_learnt() -> None:
    data, index = CONFIG.build("train", augment=True), torch.arange(600)
    ways = {tuple(row): number // len(LEARNT) for number, row in enumerate(encode(phrases(LEARNT)).tolist())}
    fresh = {tuple(row) for row in encode(phrases(FRESH)).tolist()}
    seen = set()
    for seed in (0, 1):
        batch = data[index, seed]
        texts = [tuple(row) for row in batch.inputs["text"].tolist()]
        assert [ways[text] for text in texts] == batch.targets.tolist()
        seen |= {*texts}
    assert len(seen) == len(WORDS) * len(LEARNT)
    assert not seen & fresh


def test_phrases_follow_from_row_and_seed_and_not_from_where_the_image_moves() -> None:
    data, index = CONFIG.build("train", augment=True), torch.arange(1258)
    plain = CONFIG.build("train")
    first, second = data[index, 1], data[index, 2]
    assert torch.equal(data[index, 1].inputs["text"], first.inputs["text"])
    assert not torch.equal(first.inputs["text"], second.inputs["text"])
    still = (first.inputs["image"] == plain[index, 0].inputs["image"]).all(dim=(1, 2))
    short = (first.inputs["text"] > 0).sum(1) == 1
    assert short[still].double().mean().item() == pytest.approx(1 / 3, abs=0.15)
    assert short.double().mean().item() == pytest.approx(1 / 3, abs=0.05)


def test_the_vocabulary_holds_the_words_that_training_has() -> None:
    words = {word for text in phrases(LEARNT) for word in text.split()}
    assert set(VOCABULARY) == words
    assert sorted(VOCABULARY.values()) == [*range(1, len(words) + 1)]
    assert encode(["The DIGIT, seven!"]).tolist() == encode(["the digit seven"]).tolist()
    assert encode(["a purple seven"]).tolist() == encode(["a seven"]).tolist()
    assert not encode(["xyz"]).any()


def test_both_searches_ask_for_the_same_digit() -> None:
    data = CONFIG.build("val")
    images, names = data.searches()
    assert (images.cut, names.cut) == (1, 10)
    assert images.relevant.shape == (270, 80)
    assert torch.equal(images.relevant, names.relevant.T)
    for row in range(20):
        right = {names.queries.labels[column] for column in images.relevant[row].nonzero().flatten()}
        assert right == {
            p for p in phrases(LEARNT + FRESH) if phrases(LEARNT + FRESH).index(p) // 8 == data.targets[row]
        }


def test_pixels_rank_classes_by_their_mean_and_by_their_nearest_image() -> None:
    train, val = CONFIG.build("train"), CONFIG.build("val")
    of_images, of_names = CONFIG.rivals(train, val)
    pixels, others = val.images[5].flatten().numpy(), train.images.flatten(1).numpy()
    distances = np.sqrt(((others - pixels) ** 2).sum(1))
    for digit in range(10):
        mine = train.targets.numpy() == digit
        mean = np.sqrt(((others[mine].mean(0) - pixels) ** 2).sum())
        assert of_images["nearest_pixels"][5, 8 * digit + 3].item() == pytest.approx(-distances[mine].min(), abs=1e-3)
        assert of_images["pixel_prototypes"][5, 8 * digit + 3].item() == pytest.approx(-mean, abs=1e-3)
    assert torch.equal(of_names["nearest_pixels"], of_images["nearest_pixels"].T)


def test_a_file_of_images_looks_for_names_and_one_of_names_for_images(workspace: Path) -> None:
    np.savetxt(workspace / "two.csv", (CONFIG.build("val").images[:2] * 16).flatten(1).numpy(), delimiter=",")
    search = CONFIG.read(workspace / "two.csv")
    assert (search.queries.labels, search.candidates.labels) == (["image 0", "image 1"], WORDS)
    (workspace / "names.txt").write_text("seven\n\nthe number 3\n")
    search = CONFIG.read(workspace / "names.txt")
    assert search.queries.labels == ["seven", "the number 3"]
    assert len(search.candidates.labels) == 1258 + 270
    assert search.candidates.labels[-1] == "val image 269"


@pytest.mark.parametrize(
    ("name", "text"), [("a.txt", "seven\nxyz\n"), ("a.txt", "\n"), ("a.csv", "1,2\n"), ("b.txt", None)]
)
def test_a_file_that_holds_neither_is_refused(name: str, text: str | None, workspace: Path) -> None:
    if text is not None:
        (workspace / name).write_text(text)
    with pytest.raises(ValueError, match=name):
        CONFIG.read(workspace / name)
    # copier: endfilter
