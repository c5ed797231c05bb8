# copier: filter replace("my_project", package_name)
"""Texts are whole, in one split each, a row is two of one family, and TF-IDF is what its formula says."""

import math
from pathlib import Path

import pytest
import torch

from my_project.data.families import FamiliesConfig, encode, letters, tokens_of, words
from my_project.data.loader import read_manifest
from my_project.data.tfidf import tfidf
from my_project.types import Split

CONFIG = FamiliesConfig()
SPLITS: tuple[Split, ...] = ("train", "val", "test")


def test_no_text_is_in_two_splits_and_every_family_is_in_all() -> None:
    parts = [CONFIG.build(split) for split in SPLITS]
    texts = [text for part in parts for text in part.texts]
    assert len(set(texts)) == len(texts) == sum(read_manifest(CONFIG.root)["rows"].values())
    for part in parts:
        assert set(part.targets.tolist()) == set(range(len(read_manifest(CONFIG.root)["families"])))


def test_the_licence_goes_with_the_data() -> None:
    text = (CONFIG.root / "LICENSE").read_text()
    assert "WordNet 3.0 Copyright 2006 by Princeton University.  All rights reserved." in text
    assert "Permission to use, copy, modify and distribute" in text


def test_a_row_is_a_text_and_another_of_its_family() -> None:
    data, index = CONFIG.build("train", augment=True), torch.arange(1000)
    rows = {tuple(row): number for number, row in enumerate(data.tokens[:, 0].tolist())}
    mates = []
    for seed in (0, 1):
        batch = data[index, seed]
        assert torch.equal(batch.inputs[:, 0], data.tokens[index, 0])
        mates.append(torch.tensor([rows[tuple(row)] for row in batch.inputs[:, 1].tolist()]))
        assert torch.equal(data.targets[mates[-1]], batch.targets)
        assert (mates[-1] != index).double().mean() > 0.99  # two texts of the same words are one to the model
    assert 0 < (mates[0] == mates[1]).double().mean() < 0.2
    plain = CONFIG.build("train")
    assert torch.equal(plain[index, 0].inputs, plain[index, 1].inputs)


def test_every_other_of_a_family_is_drawn() -> None:
    data = CONFIG.build("val", augment=True)
    row = torch.zeros(1, dtype=torch.long)
    drawn = {tuple(data[row, seed].inputs[0, 1].tolist()) for seed in range(200)}
    family = (data.targets == data.targets[0]).nonzero().flatten()
    assert drawn == {tuple(data.tokens[n, 0].tolist()) for n in family if n}


def test_a_text_looks_for_the_others_of_its_family_and_never_finds_itself() -> None:
    (search,) = CONFIG.build("val").searches()
    targets = CONFIG.build("val").targets.tolist()
    assert search.known is not None
    for query in (0, 17, 400):
        right = {n for n, target in enumerate(targets) if target == targets[query] and n != query}
        assert {*search.relevant[query].nonzero().flatten().tolist()} == right
        assert search.known[query].nonzero().flatten().tolist() == [query]


def test_a_word_is_itself_its_beginning_and_its_ending() -> None:
    assert words("A bird's-eye View, 2nd") == ["a", "bird", "s", "eye", "view", "2nd"]
    walked, walking, talked = map(tokens_of, ("walked", "walking", "talked"))
    assert len({*walked, *walking}) == 6
    assert tokens_of("horses")[1] == tokens_of("horse")[1]
    assert walked[2] == tokens_of("baked")[2]
    assert walked[2] != talked[0]
    assert encode(["horse", ""], 5).tolist() == [[[*tokens_of("horse"), 0, 0]] * 2, [[0] * 5] * 2]


def test_long_texts_are_cut() -> None:
    assert encode(["one two three"], 4).shape == (1, 2, 4)
    assert encode(["one two three"], 4)[0, 0].tolist() == [*tokens_of("one"), tokens_of("two")[0]]


def test_tfidf_equals_what_is_counted_by_hand() -> None:
    collection = [["a", "b"], ["a"], ["a", "c"]]
    rows = tfidf(collection, [["a", "b", "b"], ["b"], ["z"], []])
    common, rare, fresh = (1 + math.log(4 / (1 + times)) for times in (3, 1, 0))
    first, second = common, (1 + math.log(2)) * rare
    length = math.hypot(first, second)
    torch.testing.assert_close(rows[0], torch.tensor([first / length, second / length, 0.0]))
    assert (rows[0] @ rows[1]).item() == pytest.approx(second / length)
    assert rows[2].tolist() == [0, 0, 1.0]
    assert fresh > rare
    assert not rows[3].any()
    assert letters("Oak trees") == ["<oak", "oak>", "<tre", "tree", "rees", "ees>"]
    assert letters("a") == ["<a>"]


def test_the_rarity_of_words_is_counted_in_training_only() -> None:
    train, val = CONFIG.build("train"), CONFIG.build("val", num_rows=50)
    (found,) = CONFIG.rivals(train, val)
    rows = tfidf([words(text) for text in train.texts], [words(text) for text in val.texts])
    torch.testing.assert_close(found["tfidf_words"], rows @ rows.T)
    assert found["tfidf_letters"].shape == (50, 50)


def test_a_users_file_of_queries_is_read(workspace: Path) -> None:
    (workspace / "queries.txt").write_text("a small bird\n\n  a ship  \n")
    search = CONFIG.read(workspace / "queries.txt")
    assert search.queries.labels == ["a small bird", "a ship"]
    assert len(search.candidates.labels) == sum(len(CONFIG.build(split)) for split in SPLITS[:2])


@pytest.mark.parametrize(("name", "text"), [("a.txt", "\n..\n"), ("a.csv", "a bird\n"), ("none.txt", None)])
def test_a_file_without_words_is_refused(name: str, text: str | None, workspace: Path) -> None:
    if text is not None:
        (workspace / name).write_text(text)
    with pytest.raises(ValueError, match=name):
        CONFIG.read(workspace / name)
    # copier: endfilter
