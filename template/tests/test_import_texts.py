# copier: filter replace("my_project", package_name)
"""A CSV file of texts becomes a data folder that verifies and trains."""

from pathlib import Path

import pytest

from my_project import run as commands
from my_project.commands.import_texts import main
from my_project.data.families import FamiliesConfig
from my_project.data.loader import verify
from my_project.types import Split

SPLITS: tuple[Split, ...] = ("train", "val", "test")


def write(path: Path, num_families: int = 20, members: int = 14) -> list[str]:
    """Write texts of words that only a family has, and return them."""
    rows = [(f"f{f}", f"größe{f} word{f} number {n}") for f in range(num_families) for n in range(members)]
    lines = [f'{family},"{text}",title {n}' for n, (family, text) in enumerate(rows)]
    path.write_text("\n".join(["family,text,title", *lines]) + "\n", encoding="utf-8")
    return [text for _, text in rows]


@pytest.mark.parametrize(("by", "shared"), [("families", 0), ("texts", 20)])
def test_texts_become_a_folder_that_verifies_and_trains(by: str, shared: int, workspace: Path) -> None:
    texts = write(workspace / "mine.csv")
    done = main(workspace / "mine.csv", folder=workspace / "mine", by=by, licence="CC0")
    assert verify(workspace / "mine") == []
    config = FamiliesConfig(folder=str(workspace / "mine"))
    parts = {split: config.build(split) for split in SPLITS}
    assert sorted(text for part in parts.values() for text in part.texts) == sorted(texts)
    assert {split: len(part) for split, part in parts.items()} == done["rows"]
    families = [{*part.targets.tolist()} for part in parts.values()]
    assert len(families[0] & families[1]) == len(families[1] & families[2]) == shared
    assert parts["val"].labels[0].startswith("title ")
    run = commands.train("two_tower", {"data.folder": str(workspace / "mine"), "train.steps": 2, "data.batch_size": 16})
    assert commands.evaluate(Path(run["run"]))["value"] > 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("family,words\na,b\n", "line 2 has no text"),
        ("family,text\na,b\nc,\n", "line 3 has no text"),
        ("family,text\na,b\nc,b\n", "line 3 repeats a text"),
        ("family,text\na,b\nc,d\n", "--by families: no family has two texts in train"),
    ],
)
def test_what_is_no_table_of_texts_is_refused_in_one_line(content: str, message: str, workspace: Path) -> None:
    (workspace / "mine.csv").write_text(content)
    with pytest.raises(ValueError, match=message) as refused:
        main(workspace / "mine.csv", folder=workspace / "mine", by="families", licence="")
    assert "\n" not in str(refused.value)


def test_families_of_which_no_split_holds_two_texts_are_refused(workspace: Path) -> None:
    write(workspace / "mine.csv", members=4)
    with pytest.raises(ValueError, match="--by texts: no family has two texts in test"):
        main(workspace / "mine.csv", folder=workspace / "mine", by="texts", licence="")


def test_a_missing_file_and_a_folder_that_is_there_are_refused(workspace: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.csv: want an existing"):
        main(workspace / "none.csv", folder=workspace / "mine", by="families", licence="")
    write(workspace / "mine.csv")
    with pytest.raises(ValueError, match="is there already"):
        main(workspace / "mine.csv", folder=workspace, by="families", licence="")
    # copier: endfilter
