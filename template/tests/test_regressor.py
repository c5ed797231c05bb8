# copier: filter replace("my_project", package_name)
"""Heads answer with the numbers and intervals that they claim, in the targets' unit, fitted to training rows only."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from my_project import config as configs
from my_project import run as commands
from my_project.data.columns import Table
from my_project.models import regressor
from my_project.models.regressor import LEVELS, TIP, Regressor, RegressorConfig
from my_project.types import Batch

HEADS = ("mean", "quantiles", "gaussian")


def rows(scale: float = 1.0) -> Table:
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(40, 2, generator=draw)
    return Table(inputs, (inputs.sum(1) + 3) * scale, [{"name": "a"}, {"name": "b"}])


def build(table: Table, **settings: Any) -> Regressor:
    torch.manual_seed(0)
    model = RegressorConfig(num_inputs=2, dim=8, depth=1, **settings).build().eval()
    model.prepare(table)
    return model


def whole(table: Table) -> Batch:
    return table[torch.arange(len(table)), 0]


def test_means_and_deviations_come_from_the_training_split_alone() -> None:
    config = configs.load("regression", {"train.steps": 1})
    _, model, _ = commands.open_run(commands.fit(config))
    train, other = config.data.build("train"), config.data.build("val")
    assert isinstance(model, Regressor)
    torch.testing.assert_close(model.inputs.mean, train.inputs.mean(0))
    torch.testing.assert_close(model.inputs.scale, train.inputs.std(0, correction=0))
    torch.testing.assert_close(model.targets.mean, train.targets.mean())
    torch.testing.assert_close(model.targets.scale, train.targets.std(correction=0))
    assert not torch.isclose(model.targets.mean, other.targets.mean())


@pytest.mark.parametrize("head", HEADS)
def test_answers_are_in_the_targets_unit(head: str) -> None:
    metres, millimetres = (build(table, head=head)(whole(table)) for table in (rows(), rows(1000)))
    torch.testing.assert_close(millimetres.outputs, metres.outputs * 1000, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(millimetres.loss, metres.loss, rtol=1e-3, atol=1e-4)


def test_pinball_loss_is_what_one_counts_by_hand() -> None:
    quantiles = torch.tensor([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0], [0.0, 1.0, 2.0]])
    found = regressor.pinball(quantiles, torch.tensor([4.0, -1.0, 1.0]))
    expected = [(0.05 * 4 + 0.5 * 3 + 0.95 * 2) / 3, (0.95 * 1 + 0.5 * 2 + 0.05 * 3) / 3, (0.05 * 1 + 0 + 0.05 * 1) / 3]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_quantiles_have_the_least_pinball_loss() -> None:
    targets = torch.randn(20_000, generator=torch.Generator().manual_seed(0)).exp()
    true = targets.quantile(torch.tensor(LEVELS))
    least = regressor.pinball(true.expand(len(targets), 3), targets).mean()
    for level in range(3):
        for factor in (0.9, 1.1):
            moved = true.clone()
            moved[level] *= factor
            assert regressor.pinball(moved.expand(len(targets), 3), targets).mean() > least


def test_the_loss_of_quantiles_has_a_rounded_tip_and_is_the_pinball_loss_elsewhere() -> None:
    targets = torch.linspace(-3, 3, 601)
    plain, smooth = (loss(torch.zeros(601, 3), targets) for loss in (regressor.pinball, regressor.smooth_pinball))
    weight = torch.where(targets < 0, 1 - torch.tensor(LEVELS)[:, None], torch.tensor(LEVELS)[:, None]).mean(0)
    away = targets.abs() > TIP
    torch.testing.assert_close(smooth[away], (plain - weight * TIP / 2)[away])
    torch.testing.assert_close(smooth[~away], (weight * targets.square() / (2 * TIP))[~away])


def test_the_gaussian_loss_is_minus_the_log_of_the_density() -> None:
    raw, targets = torch.randn(4, 7, 2), torch.randn(7)
    means, variances = regressor.moments(raw)
    torch.testing.assert_close(regressor.unlikelihood(raw, targets), -Normal(means, variances.sqrt()).log_prob(targets))


def test_a_gaussian_interval_holds_ninety_per_cent() -> None:
    normal = Normal(torch.zeros(()), torch.ones(()))
    inside = normal.cdf(torch.tensor(regressor.WIDTH)) - normal.cdf(torch.tensor(-regressor.WIDTH))
    assert inside.item() == pytest.approx(LEVELS[2] - LEVELS[0], abs=1e-4)


def test_members_that_differ_widen_the_interval() -> None:
    raw = torch.tensor([[[1.0, 0.3]], [[5.0, 0.3]]])  # two members, one row: means 1 and 5, equal variances
    variance = regressor.moments(raw)[1][0, 0].item()
    low, answer, high = regressor.ANSWERS["gaussian"](raw)[0].tolist()
    assert answer == pytest.approx(3)
    assert (high - answer, answer - low) == (pytest.approx(regressor.WIDTH * (variance + 4) ** 0.5),) * 2


def test_quantiles_never_cross() -> None:
    found = regressor.ANSWERS["quantiles"](torch.tensor([[[3.0, 1.0, 2.0]]]))
    torch.testing.assert_close(found, torch.tensor([[1.0, 2.0, 3.0]]))


@pytest.mark.parametrize("head", HEADS)
def test_several_members_answer_together_and_are_not_the_same(head: str) -> None:
    table = rows()
    model = build(table, head=head, num_members=3)
    raw = torch.stack([member(model.inputs(table.inputs)) for member in model.members])
    expected = regressor.ANSWERS[head](raw) * model.targets.scale + model.targets.mean
    torch.testing.assert_close(model(whole(table)).outputs, expected)
    assert not torch.allclose(raw[0], raw[1])


@pytest.mark.parametrize("head", HEADS)
def test_rows_whose_target_nobody_knows_have_no_loss(head: str) -> None:
    table = rows()
    model, index, blank = build(table, head=head), torch.arange(8), torch.tensor([1, 5])
    batch, targets = table[index, 0], table.targets[index].clone()
    targets[blank] = torch.nan
    found = model(Batch(batch.inputs, targets, index))
    expected = model(table[torch.tensor([0, 2, 3, 4, 6, 7]), 0])
    torch.testing.assert_close(found.loss, expected.loss)
    found.loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert model(Batch(batch.inputs, torch.full((8,), torch.nan), index)).loss.item() == 0


def ends(model: Regressor, table: Table) -> Tensor:
    outputs: Tensor = model(whole(table)).outputs
    return outputs


@pytest.mark.parametrize("head", HEADS[1:])
def test_the_answer_lies_in_its_interval(head: str) -> None:
    table = rows()
    low, answer, high = ends(build(table, head=head, num_members=2), table).unbind(1)
    assert ((low <= answer) & (answer <= high)).all()
    # copier: endfilter
