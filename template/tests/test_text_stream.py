# copier: filter replace("my_project", package_name)
"""A text becomes windows: each held-out byte is predicted once, and no split sees another."""

from pathlib import Path

import numpy as np
import pytest
import torch

from my_project.data.loader import read_arrays, read_manifest, verify
from my_project.data.text_pages import PAGE, pack
from my_project.data.text_stream import TextStream, TextStreamConfig
from my_project.types import UNKNOWN, Batch, Split

SPLITS: tuple[Split, ...] = ("train", "val", "test")
ABOUT = {"name": "numbers", "source": "made here", "licence": "none"}


@pytest.fixture
def folder(workspace: Path) -> Path:
    """A text that never says the same twice: numbers, one after the other."""
    (workspace / "numbers.txt").write_text(" ".join(map(str, range(5000))))
    pack(workspace / "numbers.txt", workspace / "numbers", **ABOUT)
    return workspace / "numbers"


def whole(data: TextStream) -> Batch:
    return data[torch.arange(len(data)), 0]


def known_places(data: TextStream) -> list[int]:
    places = data.begins[:, None] + 1 + torch.arange(data.seq_len)
    return sorted(places[whole(data).targets != UNKNOWN].tolist())


def test_the_novel_is_split_by_position_and_nothing_is_in_two_splits() -> None:
    config = TextStreamConfig()
    texts = [bytes(config.build(split).text.tolist()).decode("ascii") for split in SPLITS]
    assert texts[0].startswith("PRIDE AND PREJUDICE\n\nBy Jane Austen\n\nChapter 1\n")
    shares = [len(text) / sum(map(len, texts)) for text in texts]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.001)
    assert {"Gutenberg" in text for text in texts} == {False}


def test_the_manifest_says_where_the_text_comes_from() -> None:
    manifest = read_manifest(TextStreamConfig().root)
    assert {"name", "source", "licence", "attribution", "rows", "files", "split"} <= manifest.keys()
    assert manifest["arrays"] == {"inputs": {"shape": [PAGE], "dtype": "uint8", "minimum": 0, "maximum": 255}}


def test_a_target_is_the_byte_after_its_input(folder: Path) -> None:
    for augment in (False, True):
        data = TextStreamConfig(folder=str(folder)).build("train", augment=augment)
        batch = data[torch.tensor([0, 3, 5]), 41]
        known = batch.targets[:, :-1] != UNKNOWN
        assert torch.equal(batch.inputs[:, 1:][known], batch.targets[:, :-1][known])
        text = bytes(data.text.tolist())
        for row in torch.cat([batch.inputs, batch.targets[:, -1:]], dim=1).tolist():
            assert bytes(row) in text


@pytest.mark.parametrize(("seq_len", "overlap"), [(128, 0.5), (128, 0), (100, 0.99), (7, 0.3)])
def test_every_byte_of_held_out_text_but_the_first_is_predicted_once_and_in_context(
    folder: Path, seq_len: int, overlap: float
) -> None:
    data = TextStreamConfig(folder=str(folder), seq_len=seq_len, overlap=overlap).build("val")
    assert known_places(data) == list(range(1, len(data.text)))
    first_known = (whole(data).targets != UNKNOWN).float().argmax(1)
    assert first_known[0] == 0
    assert (first_known[1:] >= int(seq_len * overlap)).all()


def test_training_windows_move_with_the_seed_and_reach_all_of_the_text(folder: Path) -> None:
    data, index = TextStreamConfig(folder=str(folder), seq_len=16).build("train", augment=True), torch.arange(20)
    assert torch.equal(data[index, 5].inputs, data[index, 5].inputs)
    assert not torch.equal(data[index, 5].inputs, data[index, 6].inputs)
    begins = {int(batch.inputs[0, 0]) for seed in range(16) for batch in [data[torch.tensor([0]), seed]]}
    assert begins == set(data.text[:16].tolist())
    last = data[torch.tensor([len(data) - 1]), 15]
    assert torch.equal(data.windows[-1][-1:].long(), last.targets[0, -1:]) or len(data.text) % 16


def test_a_text_of_your_own_becomes_a_folder_that_verifies(folder: Path) -> None:
    assert verify(folder) == []
    manifest = read_manifest(folder)
    assert manifest["name"] == "numbers"
    pages = np.frombuffer((folder.parent / "numbers.txt").read_bytes(), np.uint8)
    assert sum(manifest["rows"].values()) == len(pages) // PAGE
    texts = [TextStreamConfig(folder=str(folder)).build(split).text for split in SPLITS]
    assert torch.cat(texts).tolist() == pages[: len(pages) // PAGE * PAGE].tolist()


def test_pages_of_the_test_split_lie_in_a_file_of_their_own(folder: Path) -> None:
    for root in (folder, TextStreamConfig().root):
        found = {name: set(read_arrays(root, name)) for name in read_manifest(root)["files"]}
        assert found == {"text.npz": {"train_inputs", "val_inputs"}, "text_test.npz": {"test_inputs"}}


def test_a_text_that_is_too_short_is_refused(folder: Path, workspace: Path) -> None:
    (workspace / "short.txt").write_text("too short " * 100)
    with pytest.raises(ValueError, match=r"short\.txt: 1000 bytes leave no page of 512 bytes for val, test"):
        pack(workspace / "short.txt", workspace / "short")
    with pytest.raises(ValueError, match="data.seq_len: got 2000"):
        TextStreamConfig(folder=str(folder), seq_len=2000).build("val")


def test_a_prompt_is_read_byte_by_byte(workspace: Path) -> None:
    (workspace / "prompt.txt").write_bytes("Grüß".encode())
    assert bytes(TextStreamConfig().read(workspace / "prompt.txt")[0].tolist()).decode() == "Grüß"
    (workspace / "empty.txt").touch()
    for name in ("empty.txt", "none.txt"):
        with pytest.raises(ValueError, match=name):
            TextStreamConfig().read(workspace / name)
    # copier: endfilter
