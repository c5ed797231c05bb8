# copier: filter replace("my_project", package_name)
"""Data are what their manifest says, a row is the same in any batch, and the order follows from the seed."""

import hashlib
import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from my_project import config as configs
from my_project import run as commands
from my_project.data.loader import (
    TIMEOUT,
    DataConfig,
    ShuffledBatches,
    read_arrays,
    read_manifest,
    train_batches,
    verify,
)
from my_project.types import Split

from .sample import PRESET, SampleConfig, smaller

SOURCES = [configs.load(path, smaller(path)).data for path in [*sorted(configs.PRESETS.glob("*.yaml")), PRESET]]
SOURCES += [SampleConfig(pieces=True)]
NAMES = [f"{number}-{source.kind}" for number, source in enumerate(SOURCES)]
ROWS = {"train": 30, "val": 10, "test": 10}
SCHEMA = {
    "inputs": {"shape": [8], "dtype": "uint8", "minimum": 0, "maximum": 16},
    "targets": {"shape": [], "dtype": "uint8", "minimum": 0, "maximum": 9},
}


def write(folder: Path, name: str, **arrays: Any) -> None:
    """Write a data file, and let the manifest's checksum follow, as somebody who means well would."""
    np.savez_compressed(folder / name, **arrays)
    manifest = read_manifest(folder)
    manifest["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
def folder(workspace: Path) -> Path:
    """A data folder that a test may spoil; the rows of the test split lie in a file of their own."""
    (workspace / "data").mkdir()
    (workspace / "data/manifest.json").write_text(json.dumps({"files": {}, "rows": ROWS, "arrays": SCHEMA}))
    draw, arrays = np.random.default_rng(0), dict[str, np.ndarray]()
    for split, count in ROWS.items():
        arrays[f"{split}_inputs"] = draw.integers(0, 16, (count, 8), np.uint8, endpoint=True)
        arrays[f"{split}_targets"] = draw.integers(0, 9, count, np.uint8, endpoint=True)
    for name, sealed in (("rows.npz", False), ("rows_test.npz", True)):
        write(workspace / "data", name, **{key: a for key, a in arrays.items() if key.startswith("test_") == sealed})
    return workspace / "data"


def rewrite(folder: Path, name: str, **changed: np.ndarray) -> None:
    write(folder, name, **{**read_arrays(folder, name), **changed})


@pytest.mark.parametrize("root", sorted({source.root for source in SOURCES if source.kind != "sample"}, key=str))
def test_the_projects_own_data_are_what_the_manifest_says(root: Path) -> None:
    assert verify(root) == []


def test_a_folder_that_holds_what_its_manifest_says_passes(folder: Path) -> None:
    assert verify(folder) == []


def test_a_flipped_byte_is_found(folder: Path) -> None:
    content = bytearray((folder / "rows.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "rows.npz").write_bytes(content)
    assert "SHA-256" in verify(folder)[0]
    with pytest.raises(OSError, match="SHA-256"):
        read_arrays(folder, "rows.npz")


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "rows_test.npz").unlink()
    assert "rows_test.npz" in verify(folder)[0]


def test_a_test_row_in_the_training_split_is_found(folder: Path) -> None:
    inputs = read_arrays(folder, "rows.npz")["train_inputs"]
    inputs[7] = read_arrays(folder, "rows_test.npz")["test_inputs"][3]
    rewrite(folder, "rows.npz", train_inputs=inputs)
    assert verify(folder) == ["test row 3 is a copy of train row 7"]


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("val_inputs", np.zeros((3, 8), np.uint8), "val: inputs are (3, 8), want (10, 8)"),
        ("val_targets", np.full(10, 10, np.uint8), "val: targets leave 0 to 9"),
        ("val_targets", np.zeros(3, np.uint8), "val: targets are (3,)"),
        ("val_inputs", np.full((10, 8), 17, np.uint8), "val: inputs leave 0 to 16"),
        ("val_inputs", np.zeros((10, 8), np.float32), "val: inputs are float32"),
    ],
)
def test_a_broken_schema_is_named(folder: Path, key: str, value: np.ndarray, problem: str) -> None:
    rewrite(folder, "rows.npz", **{key: value})
    assert any(line.startswith(problem) for line in verify(folder))


def test_a_manifest_without_a_file_list_is_named(folder: Path) -> None:
    (folder / "manifest.json").write_text("{}")
    assert "files" in verify(folder)[0]


@pytest.mark.parametrize("licence", [None, "", " ", 7])
def test_a_licence_that_is_none_is_named(folder: Path, licence: object) -> None:
    (folder / "manifest.json").write_text(json.dumps({**read_manifest(folder), "licence": licence}))
    assert verify(folder) == [f"{folder}: the licence is {licence!r}, want the name of one, as in 'CC BY 4.0'"]


def test_a_truncated_file_is_named(folder: Path) -> None:
    (folder / "rows.npz").write_bytes((folder / "rows.npz").read_bytes()[:-20])
    (line,) = verify(folder)
    assert line.startswith(f"{folder / 'rows.npz'}: SHA-256 is ")


def test_training_and_validation_never_ask_for_the_test_split(monkeypatch: pytest.MonkeyPatch) -> None:
    build, asked = SampleConfig.build, list[Split]()

    def recording(self: SampleConfig, split: Split, **options: object) -> object:
        asked.append(split)
        return build(self, split, **options)  # type: ignore[arg-type]  # what it was given

    monkeypatch.setattr(SampleConfig, "build", recording)
    commands.train(overrides={"train.steps": 2}, config=PRESET)
    assert {*asked} == {"train", "val"}


@pytest.mark.parametrize("source", SOURCES, ids=NAMES)
def test_a_row_is_the_same_whatever_batch_it_comes_in(source: DataConfig) -> None:
    data = source.build("train", augment=True)
    index = torch.randperm(len(data))[:200]
    whole = data[index, 7]
    for parts in (index.split(64), [index[rank::3] for rank in range(3)]):
        for batch in (data[part, 7] for part in parts):
            place = torch.tensor([whole.index.tolist().index(row) for row in batch.index])
            expected = whole.map(lambda rows, place=place: rows[place])
            torch.testing.assert_close(batch.inputs, expected.inputs, rtol=0, atol=0)
            torch.testing.assert_close(batch.targets, expected.targets, rtol=0, atol=0)


@pytest.mark.parametrize("source", SOURCES, ids=NAMES)
def test_the_first_rows_of_a_split_are_its_first_rows(source: DataConfig) -> None:
    few, index = source.build("val", num_rows=3), torch.arange(3)
    assert len(few) == 3
    torch.testing.assert_close(few[index, 0].inputs, source.build("val")[index, 0].inputs, rtol=0, atol=0)


def order(seed: int, position: int, count: int, batch_size: int = 25) -> list[list[int]]:
    config = SampleConfig(batch_size=batch_size)
    batches = train_batches(config.build("train"), config, seed=seed, position=position)
    return [batch.index.tolist() for batch in islice(batches, count)]


def test_the_order_is_a_function_of_seed_and_position() -> None:
    assert order(0, 0, 30) == order(0, 0, 30)
    assert order(0, 0, 30) != order(1, 0, 30)
    assert order(0, 0, 30)[17:] == order(0, 17, 13)


@pytest.mark.parametrize("world", [2, 3, 128])
def test_processes_share_each_batch_and_its_seed(world: int) -> None:
    whole = ShuffledBatches(1258, 100, seed=0, position=11)
    ranks = [ShuffledBatches(1258, 100, seed=0, position=11) for _ in range(world)]
    for rank, batches in enumerate(ranks):
        batches.rank, batches.world = rank, world
    for (index, seed), *parts in islice(zip(whole, *ranks, strict=True), 4):
        assert sorted(row for part, _ in parts for row in part.tolist()) == sorted(index.tolist())
        assert {part_seed for _, part_seed in parts} == {seed}
        for rank, (part, _) in enumerate(parts):
            assert torch.equal(part, index[rank::world])


@pytest.mark.parametrize(("workers", "seconds"), [(0, 0), (1, TIMEOUT)])
def test_a_worker_is_waited_for_two_minutes_and_not_longer(workers: int, seconds: int) -> None:
    config = SampleConfig(workers=workers)
    assert train_batches(config.build("train"), config, seed=0).timeout == seconds
    assert TIMEOUT == 120


def test_an_epoch_takes_no_row_twice_and_the_next_one_is_shuffled_anew() -> None:
    batches = order(0, 0, 24)
    first, second = ([row for batch in part for row in batch] for part in (batches[:12], batches[12:]))
    assert len(set(first)) == len(first) == 300
    assert first != second


def test_a_batch_larger_than_the_data_is_the_data() -> None:
    assert sorted(order(0, 0, 1, batch_size=5000)[0]) == list(range(320))


def test_an_empty_split_is_refused() -> None:
    config = SampleConfig()
    with pytest.raises(ValueError, match="no rows"):
        train_batches(config.build("train", num_rows=0), config, seed=0)


def test_workers_deliver_the_same_batches() -> None:
    config = SampleConfig(batch_size=25)
    parallel = train_batches(config.build("train"), SampleConfig(batch_size=25, workers=1), seed=0)
    assert [batch.index.tolist() for batch in islice(parallel, 3)] == order(0, 0, 3)
    # copier: endfilter
