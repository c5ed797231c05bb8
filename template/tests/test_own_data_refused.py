# copier: filter replace("my_project", package_name)
"""Data that cannot be brought are refused in one line that says what is wrong, and nothing is written."""

from pathlib import Path

import numpy as np
import pytest

from .test_own_data import ABOUT, TABLE, refusal


@pytest.mark.parametrize(
    ("table", "words", "message"),
    [
        ("a,b\n1,2\n", [], "say which column is to be foretold: --target, one of a, b"),
        ("a,b\n1,2\n", ["--target", "c"], "there is no column 'c'; it has a, b"),
        ("a,b\n1,2\n,3\n", ["--target", "b"], "'a' is empty in row 2"),
        ("a,b\n1,2\nnan,3\n", ["--target", "b"], "'a' is 'nan' in row 2, want a number"),
        ("a,a\n1,2\n", ["--target", "a"], "two columns are called 'a'"),
        ("a,b\n1,2\n1\n", ["--target", "b"], "line 3: has 1 cells, the first line 2"),
        ("a,b\n", ["--target", "b"], "want a line of names, and rows under it"),
        ("a,b\n1,2\n", ["--target", "b", "--without", "a"], "no column is left"),
        ("a,b,c\n1,x,0\n2,y,1\n", ["--target", "b", "--time", "a", "--group", "b"], "not both"),
        ("a,b,t\n1,2,soon\n", ["--target", "b", "--time", "t"], "'t' wants whole numbers or dates"),
        ("a,b\n" + "".join(f"w{n},{n}\n" for n in range(99)), ["--target", "b"], "leave it out: --without a"),
        ("a,b\n1,2\n2,3\n", ["--target", "b"], "no row is left for "),
        ("a,b\n1,2\n2,3\n", ["--target", "b", "--ratios", "1"], "--ratios: got 1"),
        ("a,b\n1,2\n2,3\n", ["--target", "b", "--size", "big"], "invalid parse_size value: 'big'"),
    ],
)
def test_a_table_that_cannot_be_brought_is_refused_in_one_line(
    table: str, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("table.csv").write_text(table)
    assert message in refusal(capsys, "data", "import", "table.csv", "folder", *words, *ABOUT)
    assert not Path("folder").exists()


def test_other_sources_that_cannot_be_brought_are_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    np.save("x.npy", np.full((20, 2), np.nan))
    np.save("y.npy", np.arange(20))
    np.save("short.npy", np.arange(3))
    np.savez("half.npz", inputs=np.eye(3))
    Path("bad.npy").write_bytes(b"\x93NUMPY")
    Path("empty").mkdir()
    for words, message in {
        ("nowhere.csv",): "want an existing file (.csv, ",
        ("x.npy",): "say which .npy file holds the targets",
        ("x.npy", "--target", "none.npy"): "none.npy: no such file",
        ("x.npy", "--target", "short.npy"): "numbers of rows differ: inputs 20, targets 3",
        ("bad.npy", "--target", "y.npy"): "bad.npy: want a whole .npy file",
        ("half.npz",): "want arrays named inputs and targets",
        ("empty",): "want folders named by class",
    }.items():
        assert message in refusal(capsys, "data", "import", words[0], "folder", *words[1:], *ABOUT)
    np.save("x.npy", np.r_[np.eye(20)[:19], np.full((1, 20), np.nan)])
    assert "are no numbers" in refusal(capsys, "data", "import", "x.npy", "folder", "--target", "y.npy", *ABOUT)
    assert not Path("folder").exists()


def test_source_and_licence_have_to_be_named_and_data_are_never_overwritten(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("table.csv").write_text(TABLE)
    words = ["data", "import", "table.csv", "folder", "--target", "size", "--without", "day"]
    assert "the following arguments are required: --source, --licence" in refusal(capsys, *words)
    Path("folder").mkdir()
    Path("folder/mine").touch()
    assert "folder is there and not empty" in refusal(capsys, *words, *ABOUT)
    # copier: endfilter
