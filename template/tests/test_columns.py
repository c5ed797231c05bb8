# copier: filter replace("my_project", package_name)
"""Columns become inputs as the manifest says, and a user's table is read by the names in its first line."""

import math
from pathlib import Path

import pytest
import torch

from my_project.data.columns import Column, Table, encode, read_table

COLUMNS: list[Column] = [{"name": "length"}, {"name": "day", "values": ["Mon", "Tue"]}, {"name": "count", "log": True}]


def table(folder: Path, text: str) -> Path:
    (folder / "mine.csv").write_bytes(text.encode())
    return folder / "mine.csv"


def test_a_number_is_one_input_and_a_category_one_for_each_of_its_values() -> None:
    inputs = encode(torch.tensor([[2.5, 1.0, 0.0], [-1.0, 0.0, 6.0]]), COLUMNS)
    torch.testing.assert_close(inputs, torch.tensor([[2.5, 0, 1, 0], [-1, 1, 0, math.log(7)]]))


def test_no_rows_have_as_many_inputs() -> None:
    assert encode(torch.zeros(0, 3), COLUMNS).shape == (0, 4)


def test_rows_are_told_in_words_and_without_digits_made_up() -> None:
    rows = Table(torch.tensor([[0.1, 1.0, 3.0], [141.3, 0.0, 1e6]]), torch.zeros(2), COLUMNS)
    assert rows.rows([1, 0]) == [
        {"length": 141.3, "day": "Mon", "count": 1e6},
        {"length": 0.1, "day": "Tue", "count": 3.0},
    ]


@pytest.mark.parametrize(
    "text",
    [
        "length,day,count\n2.5,Tue,0\n-1,Mon,6\n",
        "day,count,length\nTue,0,2.5\nMon,6,-1\n",
        "\ufefflength,note,day,count\r\n 2.5 ,x,Tue,0\r\n-1,,Mon, 6\r\n",
    ],
)
def test_columns_are_found_by_name_in_any_order_among_others(text: str, workspace: Path) -> None:
    expected = encode(torch.tensor([[2.5, 1.0, 0.0], [-1.0, 0.0, 6.0]]), COLUMNS)
    torch.testing.assert_close(read_table(table(workspace, text), COLUMNS), expected, rtol=0, atol=0)


def test_a_table_without_rows_has_no_answers(workspace: Path) -> None:
    assert read_table(table(workspace, "length,day,count\n"), COLUMNS).shape == (0, 4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no column length, day, count; want a .csv file"),
        ("length,count\n1,2\n", "there is no column day"),
        ("length,day,count\n1,Mon,2\n1,Sun,2\n", "line 3: day is 'Sun', want one of Mon, Tue"),
        ("length,day,count\nlong,Mon,2\n", "line 2: length is 'long', want a number"),
        ("length,day,count\nnan,Mon,2\n", "length is 'nan', want a number"),
        ("length,day,count\ninf,Mon,2\n", "length is 'inf', want a number"),
        ("length,day,count\n-1e39,Mon,2\n", "length is '-1e39', want a number"),
        ("length,day,count\n1,Mon,\n", "count is '', want a number of 0 or more"),
        ("length,day,count\n1,Mon\n", "count is '', want a number of 0 or more"),
        ("length,day,count\n1,Mon,-2\n", "count is '-2', want a number of 0 or more"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_with_its_line_and_what_is_wanted(
    text: str, message: str, workspace: Path
) -> None:
    with pytest.raises(ValueError, match=r"mine\.csv") as refused:
        read_table(table(workspace, text), COLUMNS)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_other_files_are_refused(workspace: Path) -> None:
    (workspace / "mine.xlsx").write_bytes(b"PK")
    (workspace / "latin.csv").write_bytes("length,day,count\n1,Montag,2\n\xfc".encode("latin-1"))
    for name in ("none.csv", "mine.xlsx", "latin.csv"):
        with pytest.raises(
            ValueError, match=f"{name}: .*want a .csv file, in UTF-8, whose first line names the columns"
        ):
            read_table(workspace / name, COLUMNS)
    # copier: endfilter
