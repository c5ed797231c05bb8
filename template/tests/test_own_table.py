# copier: filter replace("my_project", package_name)
"""A CSV file of one's own becomes a data folder like that in the package, by the script in examples."""

import json
import runpy
from pathlib import Path

import pytest

from my_project.data.columns import open_table
from my_project.data.loader import read_manifest, verify
from my_project.types import Split

MAKE = Path(__file__).parents[1] / "examples" / "own_table.py"
SPLITS: tuple[Split, ...] = ("train", "val", "test")
HOUSES = [f"{n}.5,{n},{'AB'[n % 2]},{n // 4}" for n in range(200)]
PRICES = "\n".join(["price,area,town,house", *HOUSES, "7.5,0,A,0"])  # the last has the inputs of the first


def own(folder: Path, text: str, *words: str) -> Path:
    (folder / "mine.csv").write_text(text)
    runpy.run_path(str(MAKE))["main"]([str(folder / "mine.csv"), str(folder / "mine"), *words])
    return folder / "mine"


def test_a_csv_file_of_ones_own_becomes_a_data_folder(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = own(workspace, PRICES, "price", "--group", "house", "--licence", "proprietary")
    said, manifest = json.loads(capsys.readouterr().out), read_manifest(folder)
    assert verify(folder) == []
    assert manifest["licence"] == "proprietary"
    assert manifest["changes"].startswith("1 rows that repeat")
    assert manifest["columns"] == [{"name": "area"}, {"name": "town", "values": ["A", "B"]}]
    assert said["rows"] == {"train": 140, "val": 32, "test": 28}
    assert said["options"] == f"--data.folder {folder} --model.num-inputs 3"


def test_rows_keep_their_targets_and_groups_stay_together(workspace: Path) -> None:
    folder = own(workspace, PRICES, "price", "--group", "house")
    found = {split: open_table(folder, split) for split in SPLITS}
    houses = {split: {int(price // 4) for price in rows.targets.tolist()} for split, rows in found.items()}
    assert sum(len(those) for those in houses.values()) == len(set.union(*houses.values())) == 50
    for rows in found.values():
        for row, price in zip(rows.rows([*range(len(rows))]), rows.targets.tolist(), strict=True):
            assert row == {"area": float(int(price)), "town": "AB"[int(price) % 2]}


def test_classes_are_numbered_words_even_where_they_look_like_numbers(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = own(workspace, PRICES.replace(".5", ""), "house", "--classes")
    assert read_manifest(folder)["target"]["values"][:3] == ["0", "1", "10"]
    assert open_table(folder, "train").targets.max() == 49
    assert json.loads(capsys.readouterr().out)["options"].endswith("--model.num-inputs 4 --model.num-classes 50")


def test_blanks_around_a_word_do_not_belong_to_it(workspace: Path) -> None:
    folder = own(workspace, PRICES.replace(",A,", ", A ,"), "price")
    assert read_manifest(folder)["columns"][1]["values"] == ["A", "B"]


def test_an_empty_cell_is_named(workspace: Path) -> None:
    with pytest.raises(SystemExit, match="area is empty in row 2"):
        own(workspace, "price,area\n1,2\n3,\n", "price")


@pytest.mark.parametrize(
    ("text", "word", "said"),
    [("price,area\n1,2\n", "cost", "no column cost; its columns are price, area"), ("", "cost", "no column cost")],
)
def test_a_column_that_is_not_there_is_named(
    text: str, word: str, said: str, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        own(workspace, text, word)
    assert said in capsys.readouterr().err
    # copier: endfilter
