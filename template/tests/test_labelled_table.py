# copier: filter replace("my_project", package_name)
"""The table of jobs is what its manifest says, no two splits share work, and the test rows stay closed."""

from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

from my_project import run as commands
from my_project.data.labelled_table import LabelledTableConfig
from my_project.data.loader import read_arrays, read_manifest
from my_project.types import Split

SOURCE = LabelledTableConfig().root
EXAMPLE = Path(__file__).parents[1] / "examples" / "jobs.csv"
SPLITS: tuple[Split, ...] = ("train", "val", "test")


def test_the_manifest_says_whose_the_data_are_and_the_licence_lies_beside_them() -> None:
    manifest = read_manifest(SOURCE)
    assert (manifest["licence"], manifest["attribution"]) == ("MIT", "Copyright 2019 Max Kuhn, RStudio")
    assert manifest["attribution"] in (SOURCE / "LICENSE").read_text()
    assert sum(manifest["rows"].values()) == 4331


def test_no_two_splits_have_jobs_on_the_same_work() -> None:
    found = {key: array for name in read_manifest(SOURCE)["files"] for key, array in read_arrays(SOURCE, name).items()}
    work = {split: {tuple(row[:3]) for row in found[f"{split}_inputs"].tolist()} for split in SPLITS}
    groups = {split: set(found[f"{split}_groups"].tolist()) for split in SPLITS}
    for one, other in combinations(SPLITS, 2):
        assert not work[one] & work[other]
        assert not groups[one] & groups[other]


def test_classes_are_uneven_and_each_split_has_them_in_the_same_shares() -> None:
    shares = {split: np.bincount(LabelledTableConfig().build(split).targets) for split in SPLITS}
    total = sum(shares.values(), np.zeros(4))
    np.testing.assert_allclose(total / total.sum(), (0.51, 0.31, 0.12, 0.06), atol=0.01)
    for count in shares.values():
        np.testing.assert_allclose(count / count.sum(), total / total.sum(), atol=0.01)


def test_every_word_of_a_category_is_in_the_training_split() -> None:
    rows = LabelledTableConfig().build("train")
    seen = {name: Counter(row[name] for row in rows.rows(list(range(len(rows))))) for name in ("protocol", "day")}
    words = {c["name"]: set(c["values"]) for c in read_manifest(SOURCE)["columns"] if "values" in c}
    assert {name: set(count) for name, count in seen.items()} == words


def test_training_and_validation_never_open_the_test_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    read_bytes = Path.read_bytes

    def recording(path: Path) -> bytes:
        opened.append(path.name)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", recording)
    commands.train("table", {"train.steps": 2})
    assert "jobs.npz" in opened
    assert "jobs_test.npz" not in opened


def test_a_users_table_is_prepared_as_in_training(workspace: Path) -> None:
    rows = LabelledTableConfig().build("val")
    lines = [[*rows.rows([0])[0]], *([*row.values()] for row in rows.rows([2, 5]))]
    (workspace / "two.csv").write_text("\n".join(",".join(map(str, line)) for line in lines))
    torch.testing.assert_close(LabelledTableConfig().read(workspace / "two.csv"), rows.inputs[[2, 5]], rtol=0, atol=0)


def test_a_word_that_nobody_knows_is_refused(workspace: Path) -> None:
    (workspace / "mine.csv").write_text(EXAMPLE.read_text().replace("Thu", "Thursday"))
    with pytest.raises(ValueError, match=r"mine\.csv, line \d: day is 'Thursday', want one of Mon, Tue"):
        LabelledTableConfig().read(workspace / "mine.csv")


def test_the_example_has_rows_to_predict() -> None:
    assert LabelledTableConfig().read(EXAMPLE).shape == (3, 26)
    # copier: endfilter
