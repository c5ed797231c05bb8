# copier: filter replace("my_project", package_name)
"""A CSV file of users and items becomes a data folder that verifies and trains."""

from pathlib import Path

import numpy as np
import pytest

from my_project import run as commands
from my_project.commands.import_interactions import main
from my_project.data.interactions import InteractionsConfig
from my_project.data.loader import verify
from my_project.types import Split

SPLITS: tuple[Split, ...] = ("train", "val", "test")


def write(path: Path) -> set[tuple[str, str]]:
    """Write what 30 users took of 20 items, some of it twice, and return it."""
    taken = np.random.default_rng(0).random((30, 20)) < 0.4
    pairs = [(f"user {user}", f"item {item}") for user, item in np.argwhere(taken)]
    path.write_text("\n".join(["when,user,item", *(f"1,{u},{i}" for u, i in [*pairs, *pairs[:5]])]) + "\n")
    return set(pairs)


def test_pairs_become_a_folder_that_verifies_and_trains(workspace: Path) -> None:
    wanted = write(workspace / "mine.csv")
    done = main(workspace / "mine.csv", folder=workspace / "mine", licence="CC0")
    assert verify(workspace / "mine") == []
    config = InteractionsConfig(folder=str(workspace / "mine"))
    parts = {split: config.build(split) for split in SPLITS}
    found = [(part.users[int(u)], part.items[int(i)]) for part in parts.values() for u, i in part.inputs]
    assert len(found) == len(wanted)
    assert {*found} == wanted
    assert {int(u) for u in parts["train"].inputs[:, 0]} == set(range(30))
    assert {int(i) for i in parts["train"].inputs[:, 1]} == set(range(20))
    for split in SPLITS[1:]:
        assert len(parts[split]) / len(wanted) == pytest.approx(0.15, abs=0.03)
    sizes = {name: done[name] for name in ("model.num_users", "model.num_items")}
    options = {"data.folder": str(workspace / "mine"), "train.steps": 2, **sizes}
    run = commands.train("matrix_factorisation", options)
    assert commands.evaluate(Path(run["run"]))["value"] > 0
    with pytest.raises(ValueError, match="model.num_users: got 305, the data have 30"):
        commands.train("matrix_factorisation", {"data.folder": str(workspace / "mine"), "train.steps": 2})


def test_the_last_row_of_a_user_or_an_item_stays_in_training(workspace: Path) -> None:
    lonely = [f"u{n},i{n}" for n in range(40)]
    (workspace / "mine.csv").write_text("\n".join(["user,item", *lonely]) + "\n")
    with pytest.raises(ValueError, match="leaves no rows for val"):
        main(workspace / "mine.csv", folder=workspace / "mine", licence="")


def test_a_line_without_an_item_is_named(workspace: Path) -> None:
    (workspace / "mine.csv").write_text("user,item\na,b\nc\n")
    with pytest.raises(ValueError, match="line 3 has no item"):
        main(workspace / "mine.csv", folder=workspace / "mine", licence="")
    # copier: endfilter
