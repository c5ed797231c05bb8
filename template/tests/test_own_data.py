# copier: filter replace("my_project", package_name)
"""Data of one's own become a folder in one step, and what is wrong with them is said in one line."""

import json
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from my_project.__main__ import main
from my_project.data.folders import read_folder
from my_project.data.loader import read_manifest, verify

ABOUT = ["--source", "a test", "--licence", "CC BY 4.0"]
TABLE = "height,colour,day,site,size\n" + "".join(
    f"{row / 7:.3f},{('red', 'blue')[row % 2]},2026-01-{row % 28 + 1:02d},s{row % 10},{row}\n" for row in range(100)
)


def bring(*words: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["data", "import", *words, *ABOUT]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert verify(Path(words[1])) == []
    return found


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main([*words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_table_becomes_numbers_words_by_their_place_and_a_target(capsys: pytest.CaptureFixture[str]) -> None:
    Path("table.csv").write_text(TABLE)
    found = bring("table.csv", "folder", "--target", "size", "--without", "day", "site", capsys=capsys)
    assert found["rows"] == {"train": 70, "val": 15, "test": 15}
    manifest, splits = read_folder(Path("folder"))
    assert manifest["columns"] == [{"name": "height"}, {"name": "colour", "values": ["blue", "red"]}]
    assert (manifest["target"], manifest["licence"]) == ({"name": "size"}, "CC BY 4.0")
    assert sorted(manifest["files"]) == ["table.npz", "table_test.npz"]
    for arrays in splits.values():
        sizes = np.asarray(arrays["targets"])
        expected = np.stack([np.round(sizes / 7, 3), 1 - sizes % 2], axis=1)
        np.testing.assert_allclose(np.asarray(arrays["inputs"]), expected, rtol=1e-6)


def test_a_table_with_words_as_target_is_stratified_by_them(capsys: pytest.CaptureFixture[str]) -> None:
    Path("table.csv").write_text(TABLE)
    found = bring("table.csv", "folder", "--target", "colour", "--without", "day", "site", capsys=capsys)
    assert found["classes"]["train"] == {"blue": 35, "red": 35}
    assert found["classes"]["val"] != found["classes"]["test"]  # 7 and 8: fifty rows in shares of 15 per cent
    assert read_manifest(Path("folder"))["target"] == {"name": "colour", "values": ["blue", "red"]}
    again = bring("table.csv", "again", "--target", "size", "--classes", "--without", "day", "site", capsys=capsys)
    assert len(again["classes"]["train"]) == 100


def test_a_column_keeps_groups_together(capsys: pytest.CaptureFixture[str]) -> None:
    Path("table.csv").write_text(TABLE)
    words = ["--target", "size", "--group", "site", "--without", "day", "--made", "2026-01-31", "--fresh-days", "30"]
    found = bring("table.csv", "folder", *words, capsys=capsys)
    manifest = read_manifest(Path("folder"))
    assert (manifest["made"], manifest["fresh_days"]) == ("2026-01-31", 30)
    assert sum(found["groups"].values()) == 10
    assert found["split"] == "whole groups, at random"


def test_a_column_of_dates_orders_the_splits(capsys: pytest.CaptureFixture[str]) -> None:
    Path("table.csv").write_text(TABLE)
    found = bring("table.csv", "folder", "--target", "size", "--time", "day", "--without", "site", capsys=capsys)
    assert found["split"] == "by time, train first"
    manifest, splits = read_folder(Path("folder"))
    times = {split: np.asarray(arrays["times"]) for split, arrays in splits.items()}
    assert times["train"].max() < times["val"].min() <= times["val"].max() < times["test"].min()
    assert str(np.datetime64(int(times["train"].min()), manifest["time"]["unit"])) == "2026-01-01"


def test_rows_that_repeat_others_are_left_out_and_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = TABLE.splitlines()
    Path("table.csv").write_text("\n".join([*lines, lines[5], lines[6].rpartition(",")[0] + ",999"]) + "\n")
    assert main(["data", "import", "table.csv", "f", "--target", "size", "--without", "day", "site", *ABOUT]) == 0
    said = "2 rows that repeat the inputs of another are left out, 1 of them with another target"
    assert f"{said}; the first is row 101, which repeats row 5" in capsys.readouterr().err
    assert read_manifest(Path("f"))["changes"] == f"{said}; split"
    assert sum(read_manifest(Path("f"))["rows"].values()) == 100


@pytest.mark.parametrize("mapped", [False, True])
def test_a_pair_of_npy_files_becomes_a_folder(mapped: bool, capsys: pytest.CaptureFixture[str]) -> None:
    draw = np.random.default_rng(0)
    inputs, targets = draw.normal(size=(50, 3, 2)).astype(np.float32), draw.integers(3, 6, 50)
    np.save("x.npy", inputs)
    np.save("y.npy", targets)
    np.save("g.npy", np.arange(50) // 2)
    words = ["x.npy", "folder", "--target", "y.npy", "--group", "g.npy", "--classes", *["--mapped"][: 1 * mapped]]
    found = bring(*words, capsys=capsys)
    manifest, splits = read_folder(Path("folder"))
    assert found["groups"] == {split: count // 2 for split, count in found["rows"].items()}
    assert manifest["target"]["values"] == ["3", "4", "5"]
    assert ("layout" in manifest) == mapped
    for arrays in splits.values():
        place = [int(np.flatnonzero((inputs == row).all((1, 2)))[0]) for row in arrays["inputs"][:]]
        assert (targets[place] - 3).tolist() == arrays["targets"][:].tolist()


def test_an_npz_file_becomes_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("both.npz", inputs=np.eye(20), targets=np.arange(20.0), times=np.arange(20)[::-1])
    bring("both.npz", "folder", capsys=capsys)
    _, splits = read_folder(Path("folder"))
    assert splits["test"]["targets"][:].tolist() == [2, 1, 0]


def test_images_in_folders_named_by_class_become_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    draw = np.random.default_rng(0)
    for label in ("cat", "dog"):
        Path("images", label).mkdir(parents=True)
        for number in range(20):
            np.save(Path("images", label, f"{number}.npy"), draw.integers(0, 256, (5, 4), np.uint8))
    found = bring("images", "folder", capsys=capsys)
    assert found["classes"]["test"] == {"cat": 3, "dog": 3}
    manifest, splits = read_folder(Path("folder"))
    assert manifest["arrays"]["inputs"] == {"shape": [5, 4], "dtype": "uint8", "minimum": 0, "maximum": 255}
    last = np.load("images/dog/7.npy")
    found_at = [(s, n) for s, a in splits.items() for n, row in enumerate(a["inputs"][:]) if np.array_equal(row, last)]
    ((split, number),) = found_at
    assert splits[split]["targets"][:][number] == 1


def test_picture_files_are_read_in_colour_or_grey_and_brought_to_one_size(capsys: pytest.CaptureFixture[str]) -> None:
    draw = np.random.default_rng(0)
    for number in range(20):
        path = Path("images", "ab"[number % 2], f"{number}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (8, 6 + number % 3, 3), np.uint8)).save(path)
    assert "--size HEIGHTxWIDTH" in refusal(capsys, "data", "import", "images", "folder", *ABOUT)
    bring("images", "folder", "--size", "8x6", capsys=capsys)
    assert read_manifest(Path("folder"))["arrays"]["inputs"]["shape"] == [8, 6, 3]
    bring("images", "grey", "--size", "4x4", "--grey", capsys=capsys)
    assert read_manifest(Path("grey"))["arrays"]["inputs"]["shape"] == [4, 4]
    Path("images/a/20.png").write_text("no picture")
    assert "20.png: want an image" in refusal(capsys, "data", "import", "images", "other", *ABOUT)


def test_a_parquet_table_is_read_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    arrow, parquet = (import_module(f"pyarrow{part}") for part in ("", ".parquet"))
    days = [date(2026, 1, 1 + n) for n in range(30)]
    columns = {"x": [n / 3 for n in range(30)], "kind": ["a", "b"] * 15, "day": days, "y": [*range(30)]}
    parquet.write_table(arrow.table(columns), "t.parquet")
    bring("t.parquet", "folder", "--target", "y", "--time", "day", capsys=capsys)
    manifest, splits = read_folder(Path("folder"))
    assert manifest["columns"] == [{"name": "x"}, {"name": "kind", "values": ["a", "b"]}]
    for arrays in splits.values():
        numbers = arrays["targets"][:]
        np.testing.assert_allclose(arrays["inputs"][:], np.stack([numbers / 3, numbers % 2], axis=1), rtol=1e-6)
        assert (np.diff(arrays["times"][:]) == 1).all()
    parquet.write_table(arrow.table({"x": [1.0, None], "y": [1, 2]}), "gap.parquet")
    assert "'x' is empty in row 2" in refusal(capsys, "data", "import", "gap.parquet", "other", "--target", "y", *ABOUT)
    # copier: endfilter
