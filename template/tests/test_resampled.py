# copier: filter replace("my_project", package_name)
"""Rows are drawn by the weight of their class, left out or mixed with old ones, as place and seed say."""

from dataclasses import dataclass
from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor

from my_project.data.loader import train_batches
from my_project.data.replay import ReplayConfig, join
from my_project.data.resampled import (
    Resampled,
    ResampledConfig,
    uniform,
)
from my_project.types import Batch, Split


@dataclass(frozen=True)
class LabelledConfig:
    """Rows 0 to N - 1 whose inputs are their numbers plus `shift`: class 0 six times as often as 1 and 2 together."""

    shift: int = 0
    labels = ("a", "b", "c")
    root, task = "somewhere", "classification"

    def build(self, split: Split, *, augment: bool = False, num_rows: int | None = None) -> "Labelled":
        count = 700 if split == "train" else 70
        targets = torch.tensor([0, 0, 0, 1, 0, 0, 0] * (count // 7))
        targets[::70] = 2
        return Labelled(torch.arange(count)[:num_rows] + self.shift, targets[:num_rows], augment=augment)

    def read(self, path: Any) -> Any:
        return path


class Labelled:
    def __init__(self, inputs: Tensor, targets: Tensor, *, augment: bool) -> None:
        self.inputs, self.targets, self.augment = inputs, targets, augment

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, key: tuple[Tensor, int]) -> Batch:
        return Batch(self.inputs[key[0]], self.targets[key[0]], key[0])


BASE = LabelledConfig()


def drawn(config: Any, *, seed: int = 0, position: int = 0, count: int = 10) -> list[Batch]:
    batches = train_batches(config.build("train", augment=True), config, seed=seed, position=position)
    return list(islice(batches, count))


def test_what_a_data_config_has_is_the_bases() -> None:
    for config in (ResampledConfig(base=BASE), ReplayConfig(base=BASE, old=BASE)):
        assert (config.labels, config.task, config.root, config.read(3)) == (BASE.labels, BASE.task, BASE.root, 3)
        with pytest.raises(AttributeError):
            _ = config.nothing


def test_balanced_weights_draw_all_classes_alike() -> None:
    config = ResampledConfig(base=BASE, weights="balanced", batch_size=70)
    targets = torch.cat([batch.targets for batch in drawn(config, count=60)])
    shares = torch.bincount(targets).double() / len(targets)
    torch.testing.assert_close(shares, torch.full((3,), 1 / 3, dtype=torch.double), atol=0.02, rtol=0)
    rare = torch.cat([batch.inputs[batch.targets == 2] for batch in drawn(config, count=60)])
    assert (torch.bincount(rare // 70, minlength=10) > 80).all()  # and the rows of a class alike


def test_given_weights_draw_classes_by_them() -> None:
    config = ResampledConfig(base=BASE, weights=[0.001, 1, 1], batch_size=70)
    targets = torch.cat([batch.targets for batch in drawn(config, count=60)])
    shares = torch.bincount(targets).double() / len(targets)
    counts = torch.bincount(BASE.build("train").targets) * torch.tensor([0.001, 1, 1])
    torch.testing.assert_close(shares, (counts / counts.sum()).double(), atol=0.02, rtol=0)


def test_draws_follow_from_seed_and_position_so_that_a_resume_is_exact() -> None:
    config = ResampledConfig(base=BASE, weights="balanced", batch_size=70)
    whole = [batch.inputs.tolist() for batch in drawn(config, count=25)]
    assert [batch.inputs.tolist() for batch in drawn(config, position=13, count=12)] == whole[13:]
    assert whole[0] != [*whole[10]]
    assert whole != [batch.inputs.tolist() for batch in drawn(config, seed=1, count=25)]


def test_processes_that_share_a_batch_draw_the_same_rows() -> None:
    data = ResampledConfig(base=BASE, weights="balanced").build("train", augment=True)
    mixed = ReplayConfig(base=BASE, old=LabelledConfig(shift=10_000)).build("train", augment=True)
    for rows in (data, mixed):
        index = torch.randperm(700)[:64]
        whole = rows[index, 5]
        for rank in range(3):
            part = rows[index[rank::3], 5]
            assert torch.equal(part.inputs, whole.inputs[rank::3])
            assert torch.equal(part.targets, whole.targets[rank::3])
            assert torch.equal(part.index, whole.index[rank::3])


def test_rows_keep_their_own_targets_and_numbers() -> None:
    data = ResampledConfig(base=BASE, weights="balanced", keep={0: 0.5}).build("train", augment=True)
    batch = data[torch.arange(100), 3]
    assert torch.equal(data.inputs[batch.index], batch.inputs)
    assert torch.equal(data.targets[batch.index], batch.targets)
    assert torch.equal(BASE.build("train").targets[batch.inputs], batch.targets)


def test_only_training_draws() -> None:
    config = ResampledConfig(base=BASE, weights="balanced")
    for data in (config.build("train"), config.build("val"), config.build("val", augment=True)):
        index = torch.arange(len(data))
        assert data[index, 3].inputs.tolist() == (index.tolist() if len(data) == 700 else data.inputs.tolist())


def test_rows_that_are_left_out_are_always_the_same_and_only_in_train() -> None:
    config = ResampledConfig(base=BASE, keep={0: 0.1, 2: 0})
    counts = torch.bincount(config.build("train").targets)
    whole = torch.bincount(BASE.build("train").targets)
    assert counts.tolist() == [round(0.1 * int(whole[0])), int(whole[1])]
    assert torch.equal(config.build("train").inputs, config.build("train", augment=True).inputs)
    assert torch.equal(config.build("val").targets, BASE.build("val").targets)


def test_classes_that_are_left_out_are_so_in_every_split() -> None:
    config = ResampledConfig(base=BASE, classes=(1, 2))
    for split in ("train", "val", "test"):
        data = config.build(split)
        assert {*data.targets.tolist()} == {1, 2}
        assert {*data[torch.arange(len(data)), 0].targets.tolist()} == {1, 2}
    assert len(config.build("train", num_rows=3)) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": (7,)}, "no train row is left of classes"),
        ({"weights": [1, 2]}, "data.weights: got 2, want one for each class, 3"),
    ],
)
def test_what_leaves_nothing_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ResampledConfig(base=BASE, **options).build("train", augment=True)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_share_of_the_rows_is_remembered_ones(share: float) -> None:
    config = ReplayConfig(base=BASE, old=LabelledConfig(shift=10_000), share=share, memory=50, batch_size=70)
    inputs = torch.cat([batch.inputs for batch in drawn(config, count=60)])
    assert (inputs >= 10_000).double().mean().item() == pytest.approx(share, abs=0.03)
    assert len(inputs[inputs >= 10_000].unique()) == (50 if share else 0)
    whole = [batch.inputs.tolist() for batch in drawn(config, count=25)]
    assert [batch.inputs.tolist() for batch in drawn(config, position=13, count=12)] == whole[13:]


def test_remembered_rows_keep_their_targets_and_have_numbers_of_their_own() -> None:
    data = ReplayConfig(base=BASE, old=LabelledConfig(shift=10_000)).build("train", augment=True)
    batch, targets = data[torch.arange(200), 3], BASE.build("train").targets
    assert torch.equal(targets[batch.inputs % 10_000], batch.targets)
    assert torch.equal(batch.index >= 700, batch.inputs >= 10_000)


def test_old_rows_are_mixed_in_only_to_train() -> None:
    config = ReplayConfig(base=BASE, old=LabelledConfig(shift=10_000))
    for data in (config.build("train"), config.build("val")):
        assert data[torch.arange(50), 0].inputs.max() < 700


def test_inputs_of_several_kinds_are_joined_too() -> None:
    one, other = {"image": (torch.tensor([1, 3]),)}, {"image": (torch.tensor([2]),)}
    assert join(one, other, torch.tensor([0, 2, 1]))["image"][0].tolist() == [1, 2, 3]


def test_numbers_between_0_and_1_are_uniform_and_streams_are_independent() -> None:
    many = uniform(torch.arange(100_000), 7)
    assert ((many >= 0) & (many < 1)).all()
    torch.testing.assert_close(torch.histc(many, 10), torch.full((10,), 10_000.0).double(), atol=500, rtol=0)
    others = [
        uniform(torch.arange(100_000), 7, 2),
        uniform(torch.arange(100_000), 8),
        uniform(torch.arange(1, 100_001), 7),
    ]
    for other in others:
        assert abs(torch.corrcoef(torch.stack([many, other]))[0, 1]) < 0.02


def test_some_rows_of_a_data_set_are_a_data_set() -> None:
    some = Resampled(BASE.build("val"), torch.tensor([3, 1]))
    assert (len(some), some.inputs.tolist(), some[torch.tensor([1]), 0].inputs.tolist()) == (2, [3, 1], [1])
    # copier: endfilter
