# copier: filter replace("my_project", package_name)
"""The digits are whole, their splits share nothing, and training images move as row and seed say."""

import shutil
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from my_project import run as commands
from my_project.data.digits import DigitsConfig, shifted
from my_project.data.loader import read_manifest
from my_project.types import Split

SOURCE = DigitsConfig().root
SPLITS: tuple[Split, ...] = ("train", "val", "test")


def test_the_manifest_states_shapes_and_ranges() -> None:
    assert read_manifest(SOURCE)["arrays"] == {
        "inputs": {"shape": [8, 8], "dtype": "uint8", "minimum": 0, "maximum": 16},
        "targets": {"shape": [], "dtype": "uint8", "minimum": 0, "maximum": 9},
    }


def test_splits_are_stratified_seventy_fifteen_fifteen() -> None:
    counts = {split: torch.bincount(DigitsConfig().build(split).targets) for split in SPLITS}
    total = sum(counts.values(), torch.zeros(10))
    for split, fraction in zip(SPLITS, (0.70, 0.15, 0.15), strict=True):
        torch.testing.assert_close(counts[split].double(), total.double() * fraction, rtol=0, atol=1)


def test_a_flipped_byte_is_found_in_another_folder(workspace: Path) -> None:
    for path in (SOURCE / "manifest.json", *SOURCE.glob("*.npz")):
        shutil.copy(path, workspace)
    config = DigitsConfig(folder=str(workspace))
    assert len(config.build("train")) == 1258
    content = bytearray((workspace / "digits.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (workspace / "digits.npz").write_bytes(content)
    with pytest.raises(OSError, match="SHA-256"):
        config.build("train")


def test_training_and_validation_never_open_the_test_file(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    read_bytes = Path.read_bytes

    def recording(path: Path) -> bytes:
        opened.append(path.name)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", recording)
    commands.train("mlp", {"train.steps": 2})
    assert "digits.npz" in opened
    assert "digits_test.npz" not in opened


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
