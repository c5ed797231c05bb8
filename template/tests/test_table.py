# copier: filter replace("my_project", package_name)
"""The table of concrete is what its manifest says, no mixture is in two splits, and the test rows stay closed."""

import json
import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

from my_project import run as commands
from my_project.data.loader import read_arrays, read_manifest, verify
from my_project.data.table import TableConfig
from my_project.types import Split

SOURCE = TableConfig().root
EXAMPLE = Path(__file__).parents[1] / "examples" / "concrete.csv"
SPLITS: tuple[Split, ...] = ("train", "val", "test")


def arrays() -> dict[str, np.ndarray]:
    return {key: array for name in read_manifest(SOURCE)["files"] for key, array in read_arrays(SOURCE, name).items()}


def test_the_manifest_says_whose_the_data_are_and_what_was_done_to_them() -> None:
    manifest = read_manifest(SOURCE)
    assert manifest["licence"] == "CC BY 4.0"
    assert "I-Cheng Yeh" in manifest["attribution"]
    assert "mixture" in manifest["split"]["method"]
    assert sum(manifest["rows"].values()) == 992
    assert [column["name"] for column in manifest["columns"]][::7] == ["cement", "age"]


def test_no_mixture_is_in_two_splits() -> None:
    found = arrays()
    mixtures = {split: {tuple(row[:-1]) for row in found[f"{split}_inputs"].tolist()} for split in SPLITS}
    groups = {split: set(found[f"{split}_groups"].tolist()) for split in SPLITS}
    for one, other in combinations(SPLITS, 2):
        assert not mixtures[one] & mixtures[other]
        assert not groups[one] & groups[other]
    assert sum(len(own) for own in mixtures.values()) == sum(len(own) for own in groups.values()) == 427


def test_splits_are_seventy_fifteen_fifteen() -> None:
    counts = np.array([len(TableConfig().build(split)) for split in SPLITS])
    np.testing.assert_allclose(counts / counts.sum(), (0.70, 0.15, 0.15), atol=0.01)


def test_a_value_outside_the_range_of_its_column_is_found(workspace: Path) -> None:
    shutil.copytree(SOURCE, workspace / "concrete")
    manifest = read_manifest(SOURCE)
    manifest["arrays"]["inputs"]["maximum"][-1] = 100  # days
    (workspace / "concrete/manifest.json").write_text(json.dumps(manifest))
    assert verify(SOURCE) == []
    assert any(line.startswith("train: inputs leave") for line in verify(workspace / "concrete"))


def test_a_folder_of_ones_own_is_read_by_its_manifest(workspace: Path) -> None:
    shutil.copytree(SOURCE, workspace / "mine")
    manifest = read_manifest(SOURCE)
    manifest["columns"][0]["log"] = True
    (workspace / "mine/manifest.json").write_text(json.dumps(manifest))
    mine, own = TableConfig(folder=str(workspace / "mine")).build("val"), TableConfig().build("val")
    torch.testing.assert_close(mine.inputs[:, 0], own.inputs[:, 0].log1p())
    torch.testing.assert_close(mine.inputs[:, 1:], own.inputs[:, 1:], rtol=0, atol=0)


def test_training_and_validation_never_open_the_test_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    read_bytes = Path.read_bytes

    def recording(path: Path) -> bytes:
        opened.append(path.name)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", recording)
    commands.train("regression", {"train.steps": 2})
    assert "concrete.npz" in opened
    assert "concrete_test.npz" not in opened


def test_a_users_table_is_prepared_as_in_training(workspace: Path) -> None:
    rows = TableConfig().build("val")
    lines = [[*rows.rows([0])[0]], *([*row.values()] for row in rows.rows([2, 5]))]
    (workspace / "two.csv").write_text("\n".join(",".join(map(str, line)) for line in lines))
    torch.testing.assert_close(TableConfig().read(workspace / "two.csv"), rows.inputs[[2, 5]], rtol=0, atol=0)


def test_the_example_has_rows_to_predict() -> None:
    assert TableConfig().read(EXAMPLE).shape == (3, 8)
    # copier: endfilter
