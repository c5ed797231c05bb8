# copier: filter replace("my_project", package_name)
"""Users and items are whole, what is held out was never trained on, and nothing that a user took stands against him."""

from pathlib import Path

import pytest
import torch

from my_project.data.interactions import InteractionsConfig
from my_project.data.loader import read_manifest
from my_project.types import UNKNOWN, Split

CONFIG = InteractionsConfig()
SPLITS: tuple[Split, ...] = ("train", "val", "test")


def pairs(split: Split) -> set[tuple[int, int]]:
    return {(int(user), int(item)) for user, item in CONFIG.build(split).inputs}


def test_no_pair_is_in_two_splits() -> None:
    found = [pairs(split) for split in SPLITS]
    assert [len(part) for part in found] == [*read_manifest(CONFIG.root)["rows"].values()]
    assert len(set.union(*found)) == sum(map(len, found))


def test_both_directions_of_a_route_are_in_one_split() -> None:
    for split in SPLITS:
        others = set.union(*(pairs(other) for other in SPLITS if other != split))
        assert not {(item, user) for user, item in pairs(split)} & others


def test_every_held_out_user_and_item_has_two_rows_or_more_in_training() -> None:
    train = CONFIG.build("train").inputs
    for split in SPLITS[1:]:
        for side in (0, 1):
            counts = torch.bincount(train[:, side], minlength=305)
            assert (counts[CONFIG.build(split).inputs[:, side]] >= 2).all()


def test_drawn_items_follow_from_row_and_seed_and_are_none_that_the_user_took() -> None:
    data, index = CONFIG.build("train", augment=True), torch.arange(500)
    batch = data[index, 3]
    drawn = batch.inputs[:, 2:]
    assert drawn.shape == (500, CONFIG.negatives)
    taken = pairs("train")
    users = batch.inputs[:, 0].tolist()
    against = {(user, item) for user, row in zip(users, drawn.tolist(), strict=True) for item in row if item != UNKNOWN}
    assert not against & taken
    assert (drawn == UNKNOWN).double().mean() < 0.3
    assert len(against & pairs("val")) > 0  # what nobody may know stands against him as well
    assert torch.equal(data[index, 3].inputs, batch.inputs)
    assert not torch.equal(data[index, 4].inputs, batch.inputs)
    plain = CONFIG.build("train")
    assert torch.equal(plain[index, 3].inputs, plain[index, 4].inputs)


@pytest.mark.parametrize(("split", "earlier"), [("train", []), ("val", ["train"]), ("test", ["train", "val"])])
def test_what_was_trained_on_is_no_answer_and_the_rest_of_the_split_is_right(
    split: Split, earlier: list[Split]
) -> None:
    (search,) = CONFIG.build(split).searches()
    assert search.known is not None
    places = {(int(user), int(item)) for user, item in search.relevant.nonzero()}
    known = {(int(user), int(item)) for user, item in search.known.nonzero()}
    assert places == pairs(split)
    assert known == {(n, n) for n in range(305)}.union(*map(pairs, earlier))
    assert not places & known


def test_popularity_is_how_often_an_item_was_taken_in_training() -> None:
    train, val = CONFIG.build("train"), CONFIG.build("val")
    (found,) = CONFIG.rivals(train, val)
    atlanta = train.items.index("ATL")
    assert found["popularity"].argmax(1).tolist() == [atlanta] * 305
    assert found["popularity"][0, atlanta] == sum(item == atlanta for _, item in pairs("train"))


def test_a_users_file_names_users_and_what_they_have_is_no_answer(workspace: Path) -> None:
    (workspace / "airports.txt").write_text("SEA\n\n ATL \n")
    search = CONFIG.read(workspace / "airports.txt")
    assert search.queries.labels == ["SEA", "ATL"]
    assert search.known is not None
    names, taken = CONFIG.build("train").users, pairs("train") | pairs("val")
    for row, name in enumerate(("SEA", "ATL")):
        user = names.index(name)
        assert {int(item) for item in search.known[row].nonzero()} == {i for u, i in taken if u == user} | {user}


@pytest.mark.parametrize(("name", "text"), [("a.txt", "SEA\nOZ\n"), ("a.csv", "SEA\n"), ("none.txt", None)])
def test_a_file_that_names_nobody_known_is_refused_in_one_line(name: str, text: str | None, workspace: Path) -> None:
    if text is not None:
        (workspace / name).write_text(text)
    with pytest.raises(ValueError, match=name) as refused:
        CONFIG.read(workspace / name)
    assert "\n" not in str(refused.value)
    # copier: endfilter
