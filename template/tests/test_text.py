# copier: filter replace("my_project", package_name)
"""The texts are whole, their vocabulary knows the training split alone, and a user's texts become tokens as ours."""

from collections import Counter
from pathlib import Path

import pytest
import torch

from my_project.data.loader import read_manifest
from my_project.data.text import TextConfig
from my_project.data.tokens import MOST, decode, encode, fit_vocabulary, words
from my_project.types import Split

SOURCE = TextConfig()
SPLITS: tuple[Split, ...] = ("train", "val", "test")


def test_words_are_letters_or_digits_in_lower_case() -> None:
    assert words("The X-ray of 1895, (Röntgen's): ÄRA2") == [
        "the",
        "x",
        "ray",
        "of",
        "1895",
        "röntgen",
        "s",
        "ära",
        "2",
    ]


def test_the_most_frequent_word_comes_first_and_ties_go_by_the_alphabet() -> None:
    assert fit_vocabulary(["b a", "c b", "b a"]) == ["", "?", "b", "a", "c"]


def test_a_vocabulary_fits_into_two_bytes() -> None:
    assert len(fit_vocabulary(f"{number}" for number in range(70_000))) == MOST + 2 == 2**16


def test_tokens_are_words_in_order_padded_behind_and_cut_at_the_longest() -> None:
    vocabulary = ["", "?", "a", "b"]
    rows = encode(["b a", "", "a nought b a b"], vocabulary, 4)
    assert rows.tolist() == [[3, 2, 0, 0], [0, 0, 0, 0], [2, 1, 3, 2]]
    assert decode(rows[2].tolist(), vocabulary) == ["a", "?", "b", "a"]
    assert decode(rows[1].tolist(), vocabulary) == []


def test_the_vocabulary_is_that_of_the_training_split_alone() -> None:
    vocabulary, counts = SOURCE.vocabulary, Counter(SOURCE.build("train").inputs.flatten().tolist())
    frequencies = [counts[token] for token in range(2, len(vocabulary))]
    assert 0 not in frequencies  # a word of another split would not be there
    assert frequencies == sorted(frequencies, reverse=True)
    assert counts[1] == 0
    for split in ("val", "test"):
        unknown = (SOURCE.build(split).inputs == 1).sum().item()
        assert unknown > 100
    assert "fitted to that split alone" in read_manifest(SOURCE.root)["preprocessing"]


def test_every_class_is_split_seventy_fifteen_fifteen() -> None:
    counts = {split: torch.bincount(SOURCE.build(split).targets, minlength=12).double() for split in SPLITS}
    total = sum(counts.values(), torch.zeros(12))
    for split, fraction in zip(SPLITS, (0.70, 0.15, 0.15), strict=True):  # texts that read alike are left out later
        torch.testing.assert_close(counts[split] / total, torch.full((12,), fraction).double(), rtol=0, atol=0.02)


def test_the_licence_goes_along_with_the_data() -> None:
    manifest, licence = read_manifest(SOURCE.root), (SOURCE.root / "LICENSE").read_text("utf-8")
    assert manifest["attribution"] in " ".join(licence.split())
    assert all(
        part in licence for part in ("Permission to use", "AS IS", "may not be used in", "agrees to preserve same")
    )
    assert "LICENSE" in manifest["licence"]


def test_a_text_is_the_same_in_a_users_file_of_either_kind(workspace: Path) -> None:
    texts = ["A small BIRD, of prey", "", "zzyzx & co"]
    (workspace / "own.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    (workspace / "own.csv").write_text('id,text\n1,"A small BIRD, of prey"\n2,\n3,zzyzx & co\n', encoding="utf-8")
    from_txt, from_csv = (SOURCE.read(workspace / name) for name in ("own.txt", "own.csv"))
    assert torch.equal(from_txt, from_csv)
    assert from_txt.shape == (3, read_manifest(SOURCE.root)["arrays"]["inputs"]["shape"][0])
    assert decode(from_txt[0].tolist(), SOURCE.vocabulary) == ["a", "small", "bird", "of", "prey"]
    assert not from_txt[1].any()
    assert decode(from_txt[2].tolist(), SOURCE.vocabulary)[0] == "?"


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("own.csv", b"id,words\n1,a bird\n", "found the columns id, words"),
        ("own.txt", "Röntgen".encode("latin-1"), "codec"),
        ("own.pdf", b"", "want a .txt file in UTF-8"),
    ],
)
def test_a_file_without_texts_is_refused_in_one_line(workspace: Path, name: str, content: bytes, found: str) -> None:
    (workspace / name).write_bytes(content)
    with pytest.raises(ValueError, match=name) as refused:
        SOURCE.read(workspace / name)
    assert found in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_refused(workspace: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.txt: want"):
        SOURCE.read(workspace / "none.txt")


def test_training_never_opens_the_test_file(monkeypatch: pytest.MonkeyPatch) -> None:
    opened, read_bytes = list[str](), Path.read_bytes

    def recording(path: Path) -> bytes:
        opened.append(path.name)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", recording)
    assert len(SOURCE.build("train")) > len(SOURCE.build("val"))
    assert "wordnet_glosses.npz" in opened
    assert "wordnet_glosses_test.npz" not in opened
    # copier: endfilter
