# copier: filter replace("my_project", package_name)
"""Folds hold every row out once, keep groups and time in order, and are data like any others."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from my_project import config as configs
from my_project.data.fold_rows import By, choose
from my_project.data.folds import FoldsConfig
from my_project.data.loader import read_arrays, read_manifest
from my_project.models.nested import kinds
from my_project.types import Batch, Split

from .sample import NUM_ROWS, SampleConfig

FOLDS = st.integers(2, 6)
CLASSES = st.lists(st.integers(0, 3), min_size=8, max_size=60).map(np.array)


Parts = list[dict[str, np.ndarray]]


def held_out(by: By, keys: np.ndarray, num_folds: int, classes: np.ndarray | None = None) -> Parts:
    classes = np.zeros(len(keys), np.int64) if classes is None else classes
    return [choose(by, keys, classes, (fold, num_folds), seed=3) for fold in range(1, num_folds + 1)]


def whole(parts: Parts, count: int) -> bool:
    """Every row is held out once, and trains in all other folds."""
    held = np.sort(np.concatenate([part["val"] for part in parts])).tolist()
    each = [sorted([*part["train"].tolist(), *part["val"].tolist()]) == [*range(count)] for part in parts]
    return held == [*range(count)] and all(each)


@given(CLASSES, FOLDS)
def test_each_fold_has_its_share_of_each_class_within_one_row(classes: np.ndarray, num_folds: int) -> None:
    parts = held_out("stratified", classes, num_folds)
    assert whole(parts, len(classes))
    for label in np.unique(classes):
        counts = [int((classes[part["val"]] == label).sum()) for part in parts]
        assert max(counts) - min(counts) <= 1
    sizes = [len(part["val"]) for part in parts]
    assert max(sizes) - min(sizes) <= 1


@given(st.lists(st.floats(-5, 5), min_size=8, max_size=60).map(np.array), FOLDS)
def test_each_fold_has_one_of_each_few_neighbours_in_size(targets: np.ndarray, num_folds: int) -> None:
    parts = held_out("stratified", targets, num_folds)
    assert whole(parts, len(targets))
    ordered = np.sort(targets)
    for part in parts:
        for place, target in enumerate(np.sort(targets[part["val"]])):
            near = ordered[place * num_folds : (place + 1) * num_folds]
            assert near[0] <= target <= near[-1]


@given(st.lists(st.integers(0, 9), min_size=30, max_size=80).map(np.array), FOLDS, st.data())
def test_no_group_is_in_two_folds(groups: np.ndarray, num_folds: int, data: st.DataObject) -> None:
    groups[:10] = np.arange(10)
    classes = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(groups), max_size=len(groups))))
    parts = held_out("grouped", groups, num_folds, classes)
    assert whole(parts, len(groups))
    assert all(len(part["val"]) for part in parts)
    assert not any({*groups[part["val"]].tolist()} & {*groups[part["train"]].tolist()} for part in parts)


@given(st.lists(st.integers(0, 40), min_size=60, max_size=90).map(np.array), FOLDS)
def test_a_fold_in_time_trains_only_on_what_came_before(times: np.ndarray, num_folds: int) -> None:
    times[:41] = np.arange(41)
    parts, before = held_out("temporal", times, num_folds), -1
    for part in parts:
        assert times[part["train"]].max() < times[part["val"]].min()
        assert before < times[part["val"]].min()
        before = times[part["val"]].max()
        assert (np.diff(times[part["val"]]) >= 0).all()
        assert len(part["train"]) + len(part["val"]) + len(part["later"]) == len(times)
    held = np.concatenate([parts[0]["train"], *(part["val"] for part in parts)])
    assert sorted(held.tolist()) == [*range(len(times))]


@pytest.mark.parametrize(
    ("by", "keys", "message"),
    [
        ("stratified", np.arange(5), "want fewer than the 5 rows"),
        ("grouped", np.array([1, 1, 1, 2, 2, 2]), "only 2 groups"),
        ("temporal", np.array([1, 1, 1, 2, 2, 2]), "only 2 times"),
    ],
)
def test_more_folds_than_there_can_be_are_refused(by: By, keys: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        held_out(by, keys, 5)


@dataclass(frozen=True)
class FolderConfig:
    """Rows of numbers in a folder, each with a number of its own, a class, perhaps a group or a time."""

    folder: str
    kind: str = "folder"
    batch_size: int = 3
    workers: int = 0
    task, labels = "classification", ("a", "b")

    @property
    def root(self) -> Path:
        return Path(self.folder)

    def build(self, split: Split, *, augment: bool = False, num_rows: int | None = None) -> "Numbers":
        arrays = read_arrays(self.root, "rows_test.npz" if split == "test" else "rows.npz")
        return Numbers(*(torch.from_numpy(arrays[f"{split}_{part}"][:num_rows]) for part in ("inputs", "targets")))

    def read(self, path: Path) -> Any:
        return [str(word) for word in read_arrays(self.root, "rows.npz")["vocabulary"]]


class Numbers:
    def __init__(self, inputs: Tensor, targets: Tensor) -> None:
        self.inputs, self.targets = inputs, targets

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, key: tuple[Tensor, int]) -> Batch:
        return Batch(self.inputs[key[0]], self.targets[key[0]], key[0])


def write_folder(**more: np.ndarray) -> FolderConfig:
    """Write 60 training, 20 validation and 20 test rows, numbered from 0, with classes in turn."""
    import hashlib  # noqa: PLC0415

    folder, counts = Path("rows"), {"train": 60, "val": 20, "test": 20}
    folder.mkdir()
    numbers = np.arange(100)
    pool = {"inputs": numbers, "targets": numbers % 2, **more}
    places = dict(zip(counts, np.split(numbers, [60, 80]), strict=True))
    files: dict[str, dict[str, Any]] = {"rows.npz": {}, "rows_test.npz": {}}
    for split, rows in places.items():
        files["rows_test.npz" if split == "test" else "rows.npz"] |= {f"{split}_{n}": a[rows] for n, a in pool.items()}
    files["rows.npz"]["vocabulary"] = np.array(["", "?", *(f"word {n}" for n in range(2, 100))])
    for name, arrays in files.items():
        np.savez(folder / name, **arrays)
    sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files}
    (folder / "manifest.json").write_text(json.dumps({"name": "rows", "rows": counts, "files": sums}))
    return FolderConfig("rows")


def fold(base: Any, number: int = 1, **options: Any) -> FoldsConfig:
    return FoldsConfig(base=base, fold=number, **options)


def test_folds_of_a_folder_hold_every_row_out_once_and_leave_test_alone() -> None:
    base, held = write_folder(), list[int]()
    for number in range(1, 6):
        data = fold(base, number)
        val, train = data.build("val"), data.build("train")
        held += val.inputs.tolist()
        assert sorted([*val.inputs.tolist(), *train.inputs.tolist()]) == [*range(80)]
        assert torch.equal(val.targets, val.inputs % 2)
        assert data.build("test").inputs.tolist() == [*range(80, 100)]
    assert sorted(held) == [*range(80)]


def test_a_folds_manifest_tells_its_rows_and_tells_folds_apart() -> None:
    base = write_folder()
    manifests = [read_manifest(fold(base, number).root) for number in (1, 1, 2)]
    assert manifests[0] == manifests[1]
    assert manifests[0]["rows"] == {"train": 64, "val": 16, "test": 20}
    assert manifests[0]["files"]["rows.npz"] != manifests[2]["files"]["rows.npz"]
    assert manifests[0]["files"]["rows_test.npz"] == read_manifest(base.root)["files"]["rows_test.npz"]
    assert len(read_arrays(fold(base).root, "rows.npz")["train_targets"]) == 64


def test_words_that_no_training_row_has_are_unknown_in_a_fold() -> None:
    rows = np.stack([np.arange(100) % 98 + 2, np.zeros(100, np.int64)], axis=1).astype(np.uint16)
    data = fold(write_folder(inputs=rows))
    words = data.read(Path())
    assert {*data.build("val").inputs[:, 0].tolist()} == {1}  # every row has a word of its own
    kept = data.build("train").inputs[:, 0].tolist()
    assert [place for place, word in enumerate(words) if word.startswith("word")] == sorted(kept)
    with pytest.raises(ValueError, match="test has words that this fold does not know"):
        data.build("test")


def test_groups_are_kept_together_and_come_before_classes() -> None:
    groups = np.arange(100) // 7
    base = write_folder(groups=groups)
    assert [*fold(base).ways] == ["grouped", "stratified", "random"]
    data = fold(base, by="grouped")
    sides = [{*groups[data.build(split).inputs].tolist()} for split in ("train", "val")]
    assert sides[0] & sides[1] == set()


def test_times_come_before_all_others_and_test_sees_what_is_between() -> None:
    base = write_folder(times=np.arange(100)[::-1].copy())
    assert [*fold(base).ways] == ["temporal", "stratified", "random"]
    data = fold(base, 2, by="temporal", num_folds=4)
    train, val = (data.build(split).inputs for split in ("train", "val"))
    assert train.min() > val.max()  # time runs backwards here
    assert (len(train), len(val)) == (32, 16)
    assert len(read_arrays(data.opened("test").root, "rows.npz")["val_inputs"]) == 48


@pytest.mark.parametrize("by", ["grouped", "temporal"])
def test_what_the_data_cannot_be_folded_by_is_refused(by: By) -> None:
    with pytest.raises(ValueError, match=f"data.by: got {by}, but rows can be folded stratified, random"):
        fold(write_folder(), by=by).build("train")


def test_data_that_do_not_read_the_folder_they_are_told_are_refused() -> None:
    @dataclass(frozen=True)
    class Stubborn(FolderConfig):
        def build(self, split: Split, *, augment: bool = False, num_rows: int | None = None) -> Numbers:
            return FolderConfig("rows").build(split)

    write_folder()
    with pytest.raises(ValueError, match="does not read rows"):
        fold(Stubborn("rows")).build("train")


def test_rows_that_are_drawn_and_not_read_have_folds_too() -> None:
    base, held = SampleConfig(), list[list[float]]()
    pool = torch.cat([base.build("train").inputs, base.build("val").inputs])
    for number in range(1, 6):
        data = fold(base, number)
        train, val = data.build("train", augment=True), data.build("val")
        held += val.inputs.tolist()
        assert (len(train), len(val)) == (320, 80)
        batch = val[torch.tensor([5, 79, 0]), 0]
        assert torch.equal(batch.inputs, val.inputs[[5, 79, 0]])
        assert torch.equal(batch.targets, val.targets[[5, 79, 0]])
        assert batch.index.tolist() == [5, 79, 0]
        assert torch.equal(train[torch.arange(320), 0].targets, train.targets)
        assert not {*map(tuple, val.inputs.tolist())} & {*map(tuple, train.inputs.tolist())}
        assert read_manifest(data.root)["rows"] == {**NUM_ROWS, "train": 320, "val": 80}
    assert sorted(held) == sorted(pool.tolist())


def test_a_fold_has_what_the_base_has_and_its_own_batches() -> None:
    data = fold(write_folder(), batch_size=7)
    assert (data.task, data.labels, data.opened("val").batch_size) == ("classification", ("a", "b"), 7)
    assert data.build("train", num_rows=3).inputs.tolist() == data.build("train").inputs[:3].tolist()
    with pytest.raises(AttributeError):
        _ = data.nothing


def test_a_fold_beyond_the_last_is_refused() -> None:
    with pytest.raises(ValueError, match="fold 6: want 1 to 5"):
        fold(SampleConfig(), 6)


def test_the_projects_own_data_are_folded_or_refused_in_a_line() -> None:
    data = configs.load().data
    if not isinstance(data.root, Path):  # generated puzzles
        with pytest.raises(ValueError, match="makes its rows from a seed"):
            fold(data).build("train")
        return
    way = next(iter(fold(data).ways))
    held, count = list[int](), 0
    for number in (1, 2, 3):
        one = fold(data, number, num_folds=3, by=way, batch_size=data.batch_size)
        train, val = one.build("train"), one.build("val")
        held, count = held + one.rows["val"].tolist(), len(next(iter(one.pool.values())))
        assert type(train) is type(data.build("train"))
        assert min(len(train), len(val)) > 0
        index = torch.arange(min(4, len(val)))
        assert len(val[index, 0].targets) == len(index)
        if hasattr(val, "after"):  # windows of a series, a week a step: none held out shares one with training
            weeks = (np.datetime64(val.names[0]) - np.datetime64(train.names[-1])) / np.timedelta64(7, "D")
            assert weeks >= data.history + data.horizon
    assert len({*held}) == len(held)
    assert len(held) == count or way == "temporal"
    assert "folds" in kinds(f"{configs.__package__}.data")
    # copier: endfilter
