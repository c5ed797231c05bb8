# copier: filter replace("my_project", package_name)
"""A data folder is split anew into another one, with the same rows."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from my_project.__main__ import main
from my_project.data.folders import read_folder, sha256
from my_project.data.loader import read_arrays, read_manifest, verify

from .test_own_data import TABLE, bring, refusal


@pytest.fixture
def folder(capsys: pytest.CaptureFixture[str]) -> Path:
    Path("table.csv").write_text(TABLE)
    bring("table.csv", "folder", "--target", "colour", "--group", "site", "--without", "day", capsys=capsys)
    return Path("folder")


def split(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["data", "split", "folder", "new", *words]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert verify(Path("new")) == []
    return found


@pytest.mark.parametrize(
    ("words", "method", "train"),
    [
        ([], "at random", None),
        (["--stratify"], "stratified by class", {"blue": 40, "red": 40}),
        (["--group", "groups"], "whole groups, at random", None),
        (["--time", "size"], "by time, train first", None),
        (["--time", "height"], "by time, train first", None),
    ],
)
def test_a_folder_is_split_anew(
    words: list[str], method: str, train: Any, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = split(capsys, *words)
    assert (found["split"], found["rows"]) == (method, {"train": 80, "val": 10, "test": 10})
    assert train in (None, found["classes"]["train"])
    (old, before), (new, after) = read_folder(folder), read_folder(Path("new"))
    assert {**old, "split": 0, "rows": 0, "files": 0} == {**new, "split": 0, "rows": 0, "files": 0}
    assert new["split"]["fractions"] == {"train": 0.8, "val": 0.1, "test": 0.1}
    rows = [sorted(np.concatenate([a["inputs"][:] for a in parts.values()]).tolist()) for parts in (before, after)]
    assert rows[0] == rows[1]
    if "--time" in words:
        assert after["train"]["inputs"][:][:, 0].max() < after["val"]["inputs"][:][:, 0].min()
    if "--group" in words:
        assert sum(found["groups"].values()) == 10


def test_a_folder_of_npy_files_stays_one(capsys: pytest.CaptureFixture[str]) -> None:
    np.save("x.npy", np.random.default_rng(0).normal(size=(40, 2)))
    np.save("y.npy", np.arange(40))
    bring("x.npy", "folder", "--target", "y.npy", "--mapped", capsys=capsys)
    assert split(capsys, "--seed", "3")["rows"] == {"train": 32, "val": 4, "test": 4}
    assert "layout" in read_manifest(Path("new"))


def test_what_was_fitted_to_the_training_rows_is_not_split_anew(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = read_manifest(folder)
    (folder / "manifest.json").write_text(json.dumps({**manifest, "fitted_on": "train"}))
    assert "its preprocessing was fitted to the training rows" in refusal(capsys, "data", "split", "folder", "n")
    more: dict[str, Any] = {**read_arrays(folder, "table.npz"), "vocabulary": np.array(["a", "b"])}
    np.savez(folder / "table.npz", **more)
    files = {**manifest["files"], "table.npz": sha256(folder / "table.npz")}
    (folder / "manifest.json").write_text(json.dumps({**manifest, "files": files}))
    assert "vocabulary was fitted to the training rows" in refusal(capsys, "data", "split", "folder", "n")
    assert not Path("n").exists()


def test_what_cannot_be_split_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refusal(capsys, "data", "split", "folder", "new", "--group", "country")
    assert line.endswith("there is nothing called 'country' to split by; it has targets, groups, height, size")
    assert "no manifest.json" in refusal(capsys, "data", "split", ".", "new")
    assert "is there and not empty" in refusal(capsys, "data", "split", "folder", "folder")
    content = (folder / "table.npz").read_bytes()
    (folder / "table.npz").write_bytes(content[:-9])
    with pytest.raises(SystemExit) as ended:
        main(["data", "split", "folder", "new"])
    assert ended.value.code == 1
    assert "SHA-256" in capsys.readouterr().err
    # copier: endfilter
