# copier: filter replace("my_project", package_name)
"""The data are what the manifest says, the splits share nothing, and the order follows from the seed."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from itertools import islice, product
from pathlib import Path

import numpy as np
import pytest
import torch

from my_project.data.digits import DigitsConfig, shifted
from my_project.data.loader import (
    TIMEOUT,
    ShuffledBatches,
    read_manifest,
    train_batches,
    verify,
)
from my_project.types import Split

SOURCE = DigitsConfig().root
SPLITS: tuple[Split, ...] = ("train", "val", "test")


@pytest.fixture
def copied(workspace: Path) -> Path:
    """A data folder that a test may spoil."""
    folder = workspace / "data"
    folder.mkdir()
    for path in (SOURCE / "manifest.json", *SOURCE.glob("*.npz")):
        shutil.copy(path, folder)
    return folder


def rewrite(folder: Path, name: str, **changed: np.ndarray) -> None:
    """Change arrays and let the manifest's checksum follow, as somebody who meant well would."""
    with np.load(folder / name) as file:
        arrays = {key: file[key] for key in file.files}
    np.savez_compressed(folder / name, allow_pickle=False, **{**arrays, **changed})
    manifest = read_manifest(folder)
    manifest["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_the_embedded_data_are_what_the_manifest_says() -> None:
    assert verify(SOURCE) == []


def test_splits_are_stratified_seventy_fifteen_fifteen() -> None:
    counts = {split: torch.bincount(DigitsConfig().build(split).targets) for split in SPLITS}
    total = sum(counts.values(), torch.zeros(10))
    for split, fraction in zip(SPLITS, (0.70, 0.15, 0.15), strict=True):
        torch.testing.assert_close(counts[split].double(), total.double() * fraction, rtol=0, atol=1)


def test_a_flipped_byte_is_found(copied: Path) -> None:
    content = bytearray((copied / "digits.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (copied / "digits.npz").write_bytes(content)
    assert "SHA-256" in verify(copied)[0]
    with pytest.raises(OSError, match="SHA-256"):
        DigitsConfig(folder=str(copied)).build("train")


def test_a_missing_file_is_named(copied: Path) -> None:
    (copied / "digits_test.npz").unlink()
    assert "digits_test.npz" in verify(copied)[0]


def test_a_test_image_in_the_training_split_is_found(copied: Path) -> None:
    with np.load(copied / "digits.npz") as file, np.load(copied / "digits_test.npz") as test:
        inputs = file["train_inputs"].copy()
        inputs[7] = test["test_inputs"][3]
    rewrite(copied, "digits.npz", train_inputs=inputs)
    assert verify(copied) == ["test row 3 is a copy of train row 7"]


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("val_inputs", np.zeros((3, 8, 8), np.uint8), "val: inputs are (3, 8, 8)"),
        ("val_targets", np.full(270, 10, np.uint8), "val: targets leave 0 to 9"),
        ("val_targets", np.zeros(3, np.uint8), "val: targets are (3,)"),
        ("val_inputs", np.full((270, 8, 8), 17, np.uint8), "val: inputs leave 0 to 16"),
        ("val_inputs", np.zeros((270, 8, 8), np.float32), "val: inputs are float32"),
    ],
)
def test_a_broken_schema_is_named(copied: Path, key: str, value: np.ndarray, problem: str) -> None:
    rewrite(copied, "digits.npz", **{key: value})
    assert any(line.startswith(problem) for line in verify(copied))


def test_a_manifest_without_a_file_list_is_named(copied: Path) -> None:
    (copied / "manifest.json").write_text("{}")
    assert "files" in verify(copied)[0]


def test_training_images_move_and_others_stay() -> None:
    index = torch.arange(50)
    plain, moved = DigitsConfig().build("train"), DigitsConfig(shift=2).build("train", augment=True)
    assert torch.equal(plain[index, 1].inputs, plain[index, 2].inputs)
    assert not torch.equal(moved[index, 1].inputs, plain[index, 1].inputs)
    assert torch.equal(moved[index, 1].inputs, moved[index, 1].inputs)
    assert not torch.equal(moved[index, 1].inputs, moved[index, 2].inputs)


def shifts(most: int, index: torch.Tensor, seed: int) -> torch.Tensor:
    """Return by how many pixels [B, 2] each image is moved down and right, seen by what lies at its pixel (4, 4)."""
    images = torch.arange(64.0).reshape(1, 8, 8).repeat(len(index), 1, 1)
    centres = shifted(images, index, most, seed)[:, 4, 4].long()
    return torch.stack([centres // 8, centres % 8], dim=1) - 4


def test_a_shift_of_nothing_changes_nothing_and_a_shift_moves_the_ink() -> None:
    images, index = torch.arange(64.0).reshape(1, 8, 8).repeat(40, 1, 1), torch.arange(40)
    torch.testing.assert_close(shifted(images, index, 0, seed=1), images, rtol=0, atol=0)
    assert {tuple(shift) for shift in shifts(1, index, seed=1).tolist()} == set(product((-1, 0, 1), repeat=2))


def test_a_row_is_moved_by_its_number_and_the_seed_whatever_batch_it_comes_in() -> None:
    data, index = DigitsConfig(shift=2).build("train", augment=True), torch.randperm(1258)
    whole = data[index, 7]
    for parts in (index.split(64), [index[rank::3] for rank in range(3)]):
        apart = [data[part, 7] for part in parts]
        place = torch.cat([batch.index for batch in apart]).argsort()[index]  # of each row of the whole among the parts
        torch.testing.assert_close(torch.cat([b.inputs for b in apart])[place], whole.inputs, rtol=0, atol=0)
        assert torch.equal(torch.cat([b.targets for b in apart])[place], whole.targets)


@pytest.mark.parametrize("seeds", [[0], [2**63 - 1], range(900)])
def test_shifts_are_near_uniform_over_rows_and_over_seeds(seeds: Sequence[int]) -> None:
    index = torch.arange(90_000 // len(seeds)) if len(seeds) == 1 else torch.arange(100)
    found = torch.cat([shifts(1, index, seed) for seed in seeds]) + 1
    counts = torch.bincount(found @ torch.tensor([3, 1]), minlength=9)
    assert len(found) == 90_000
    assert ((counts - 10_000).abs() < 500).all()  # five standard deviations


def test_each_row_has_another_shift_with_each_seed_and_neighbours_are_independent() -> None:
    of_seeds = torch.stack([shifts(1, torch.arange(300), seed) for seed in range(300)])  # [seed, row, 2]
    for one, other in ((of_seeds[1:], of_seeds[:-1]), (of_seeds[:, 1:], of_seeds[:, :-1])):
        assert (one == other).all(dim=2).double().mean().item() == pytest.approx(1 / 9, abs=0.006)
    assert (of_seeds[..., 0] == of_seeds[..., 1]).double().mean().item() == pytest.approx(1 / 3, abs=0.01)


def order(seed: int, position: int, count: int, batch_size: int = 100) -> list[list[int]]:
    config = DigitsConfig(batch_size=batch_size)
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
def test_a_worker_is_waited_for_ten_minutes_and_not_longer(workers: int, seconds: int) -> None:
    config = DigitsConfig(workers=workers)
    assert train_batches(config.build("train"), config, seed=0).timeout == seconds
    assert TIMEOUT == 120


def test_an_epoch_takes_no_row_twice_and_the_next_one_is_shuffled_anew() -> None:
    batches = order(0, 0, 24)
    first, second = ([row for batch in part for row in batch] for part in (batches[:12], batches[12:]))
    assert len(set(first)) == len(first) == 1200
    assert first != second


def test_a_batch_larger_than_the_data_is_the_data() -> None:
    assert sorted(order(0, 0, 1, batch_size=5000)[0]) == list(range(1258))


def test_an_empty_split_is_refused() -> None:
    config = DigitsConfig()
    with pytest.raises(ValueError, match="no rows"):
        train_batches(config.build("train", num_rows=0), config, seed=0)


def test_workers_deliver_the_same_batches() -> None:
    config = DigitsConfig(batch_size=100)
    parallel = train_batches(config.build("train"), DigitsConfig(batch_size=100, workers=1), seed=0)
    assert [batch.index.tolist() for batch in islice(parallel, 3)] == order(0, 0, 3)


def test_a_users_file_is_prepared_as_in_training(workspace: Path) -> None:
    with np.load(SOURCE / "digits.npz") as file:
        images = file["val_inputs"][:2]
    np.save(workspace / "two.npy", images)
    np.savetxt(workspace / "one.csv", images[0], delimiter=",")
    expected = DigitsConfig().build("val").inputs[:2]
    torch.testing.assert_close(DigitsConfig().read(workspace / "two.npy"), expected, rtol=0, atol=0)
    torch.testing.assert_close(DigitsConfig().read(workspace / "one.csv"), expected[:1], rtol=0, atol=0)


@pytest.mark.parametrize("text", ["1,2,3", "a,b", ",".join(["17"] * 64), ",".join(["nan"] * 64)])
def test_a_file_that_is_no_image_is_refused(text: str, workspace: Path) -> None:
    (workspace / "bad.csv").write_text(text)
    with pytest.raises(ValueError, match=r"bad\.csv"):
        DigitsConfig().read(workspace / "bad.csv")


def test_a_missing_file_is_refused(workspace: Path) -> None:
    with pytest.raises(ValueError, match="want an existing"):
        DigitsConfig().read(workspace / "none.csv")
    # copier: endfilter
