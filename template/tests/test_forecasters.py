# copier: filter replace("my_project", package_name)
"""Forecasters see no future, learn from what was measured only, and take their scale from the training split."""

import math
from collections.abc import Callable
from itertools import pairwise, product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from my_project import config as configs
from my_project import run as commands
from my_project.models.forecast_linear import ForecastLinearConfig
from my_project.models.forecast_transformer import ForecastTransformerConfig
from my_project.models.quantiles import LEVELS, Quantiles, pinball
from my_project.models.tcn import TcnConfig
from my_project.types import Batch

L, H = 24, 5
TCN = TcnConfig(horizon=H, burn_in=6, dim=8, depth=3, dropout=0)
TRANSFORMER = ForecastTransformerConfig(
    history=L, horizon=H, patch_size=2, reach=4, burn_in=6, dim=8, depth=2, num_heads=2, dropout=0
)
LINEAR = ForecastLinearConfig(history=L, horizon=H)
CAUSAL = {"tcn": TCN, "transformer": TRANSFORMER}
causal = pytest.mark.parametrize("config", CAUSAL.values(), ids=CAUSAL)
every = pytest.mark.parametrize("config", [LINEAR, TCN, TRANSFORMER], ids=["linear", *CAUSAL])
PRESETS = ("forecast_linear", "tcn", "forecast_transformer")


def build(config: Any) -> Any:
    torch.manual_seed(0)
    return config.build()


def windows(count: int = 4, gaps: float = 0.0) -> Batch:
    values = torch.randn(count, L + H, generator=torch.Generator().manual_seed(1)).cumsum(1)
    marks = (torch.rand(count, L + H, generator=torch.Generator().manual_seed(2)) >= gaps).float()
    whole = torch.stack([values, marks], dim=-1)
    return Batch(whole[:, :L], whole[:, L:], torch.arange(count))


class Rows:
    """A data set of the windows of a batch."""

    def __init__(self, batch: Batch) -> None:
        self.inputs, self.targets = batch.inputs, batch.targets


def stride(config: Any) -> int:
    return int(getattr(config, "patch_size", 1))


@causal
@pytest.mark.parametrize("training", [False, True])
def test_the_future_changes_nothing_before_it(config: Any, *, training: bool) -> None:
    model, batch = build(config).train(training), windows()
    before = model.features(batch.inputs)
    assert before.shape[1] == L // stride(config)
    for place in range(1, L):
        past = place // stride(config)  # features of patches that end before it
        for change in (1.0, -1e3):
            inputs = batch.inputs.clone()
            inputs[:, place:] += change
            changed = model.features(inputs)
            torch.testing.assert_close(changed[:, :past], before[:, :past], rtol=0, atol=0)
            assert not torch.equal(changed[:, past], before[:, past])


@causal
def test_each_step_sees_itself_and_all_of_the_past(config: Any) -> None:
    model, inputs = build(config).eval(), windows(1).inputs.requires_grad_()
    for place in range(L // stride(config)):
        (gradient,) = torch.autograd.grad(model.features(inputs)[0, place].square().sum(), inputs)
        end = (place + 1) * stride(config)
        assert gradient[0, 1:end, 0].all()
        assert not gradient[0, end:].any()


def test_a_step_in_the_history_forecasts_as_if_the_history_ended_there() -> None:
    model, batch = build(TCN).eval(), windows(1)
    whole, short = (model.features(batch.inputs[:, :end]) for end in (L, 15))
    torch.testing.assert_close(whole[:, :15], short, rtol=1e-5, atol=1e-6)


def test_no_target_is_seen_before_it_is_forecast() -> None:
    for config in (LINEAR, TCN, TRANSFORMER):
        model, batch = build(config).eval(), windows()
        other = Batch(batch.inputs, batch.targets + 100, batch.index)
        assert torch.equal(model(batch).outputs, model(other).outputs)
        assert not torch.equal(model(batch).loss, model(other).loss)


def loss_by_hand(batch: Batch, steps: range) -> float:
    """Return the loss of a forecaster that answers with the last value, at each of these steps of the history."""
    whole, losses = torch.cat([batch.inputs, batch.targets], dim=1), list[float]()
    for row, step, ahead in product(range(len(whole)), steps, range(1, H + 1)):
        (last, _), (value, mark) = whole[row, step].tolist(), whole[row, step + ahead].tolist()
        if mark:
            losses.append(sum(max(q * (value - last), (q - 1) * (value - last)) for q in LEVELS) / len(LEVELS))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("gaps", [0.0, 0.3])
@every
def test_every_step_after_the_burn_in_learns_what_followed_it_and_was_measured(config: Any, gaps: float) -> None:
    model, batch = build(config), windows(gaps=gaps)
    for parameter in model.head.linear.parameters():
        nn.init.zeros_(parameter)
    first = getattr(config, "burn_in", L - 1) + stride(config) - 1
    steps = range(first, L, stride(config))
    assert model.train()(batch).loss.item() == pytest.approx(loss_by_hand(batch, steps), rel=1e-5)
    assert model.eval()(batch).loss.item() == pytest.approx(loss_by_hand(batch, range(L - 1, L)), rel=1e-5)
    torch.testing.assert_close(model(batch).outputs, batch.inputs[:, -1:, :1].expand(-1, H, len(LEVELS)))


@every
def test_what_was_not_measured_teaches_nothing(config: Any) -> None:
    model, batch = build(config), windows(gaps=0.4)
    unknown = batch.targets[..., 1:] == 0
    other = Batch(
        batch.inputs, torch.where(unknown, batch.targets * torch.tensor([50.0, 1.0]), batch.targets), batch.index
    )
    assert not torch.equal(batch.targets, other.targets)
    assert torch.equal(model(batch).loss, model(other).loss)
    nothing = model.eval()(Batch(batch.inputs, torch.zeros_like(batch.targets), batch.index))
    assert nothing.loss.item() == 0
    assert nothing.outputs.isfinite().all()


@every
def test_forecasts_move_with_the_level_and_grow_with_the_unit(config: Any) -> None:
    model, batch = build(config).eval(), windows()
    before = model(batch).outputs
    higher = Batch(batch.inputs + torch.tensor([64.0, 0.0]), batch.targets, batch.index)
    torch.testing.assert_close(model(higher).outputs, before + 64, rtol=1e-4, atol=1e-3)
    scale = torch.tensor([8.0, 1.0])
    larger = Batch(batch.inputs * scale, batch.targets * scale, batch.index)
    model.prepare(Rows(batch))
    first = model(batch).outputs
    model.prepare(Rows(larger))
    torch.testing.assert_close(model(larger).outputs, 8 * first, rtol=1e-4, atol=1e-3)


@every
def test_quantiles_do_not_cross(config: Any) -> None:
    assert (build(config)(windows()).outputs.diff(dim=-1) >= 0).all()


def test_the_scales_are_those_of_what_was_measured() -> None:
    head, batch = Quantiles(3, H), windows(gaps=0.3)
    head.prepare(Rows(batch))
    differences, changes = list[float](), list[float]()
    for (last, _), targets in zip(batch.inputs[:, -1].tolist(), batch.targets.tolist(), strict=True):
        differences += [value - last for value, mark in targets if mark]
        changes += [b - a for (a, known), (b, too) in pairwise(targets) if known and too]
    for scale, values in ((head.scale, differences), (head.change, changes)):
        assert scale.item() == pytest.approx(math.sqrt(sum(value**2 for value in values) / len(values)))
    head.prepare(Rows(Batch(torch.ones(1, L, 2), torch.ones(1, H, 2), torch.zeros(1, dtype=torch.long))))
    assert head.scale.item() == head.change.item() == 1


def test_a_run_takes_its_scale_from_the_training_split_alone_and_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, prepare = list[object](), Quantiles.prepare

    def recording(self: Quantiles, dataset: Any) -> None:
        seen.append(dataset.names)
        prepare(self, dataset)

    monkeypatch.setattr(Quantiles, "prepare", recording)
    folder = commands.fit(configs.load("tcn", {"train.steps": 1}))
    config, model, _ = commands.open_run(folder)
    train = config.data.build("train")
    assert seen == [train.names]
    known = train.targets[..., 1] > 0
    expected = (train.targets[..., 0] - train.inputs[:, -1:, 0])[known].double().square().mean().sqrt()
    assert model.get_buffer("head.scale").item() == pytest.approx(float(expected))


def test_the_pinball_loss_is_least_at_the_quantiles() -> None:
    truths = torch.arange(1001.0)
    right = torch.tensor(LEVELS) * 1000
    best = pinball(right.expand(1001, -1), truths, torch.ones(1001))
    for place, change in product(range(len(LEVELS)), (-30.0, 30.0)):
        other = right + change * (torch.arange(len(LEVELS)) == place)
        assert pinball(other.expand(1001, -1), truths, torch.ones(1001)) > best


def told(change: Callable[[dict[str, Any]], None], preset: str) -> str:
    options: dict[str, Any] = {"train.steps": 1}
    change(options)
    with pytest.raises(ValueError, match=r".") as refused:
        commands.fit(configs.load(preset, options))
    return str(refused.value)


@pytest.mark.parametrize("preset", PRESETS)
def test_sizes_that_do_not_fit_the_data_are_refused(preset: str) -> None:
    message = told(lambda options: options.update({"model.horizon": 26}), preset)
    assert message == "model.horizon 26, data.horizon 52: want the same; set both"
    if preset != "tcn":
        message = told(lambda options: options.update({"data.history": 110}), preset)
        assert message == "model.history 104, data.history 110: want the same; set both"
    else:
        message = told(lambda options: options.update({"model.burn_in": 104}), preset)
        assert message == "model.burn_in 104: want less than data.history 104"


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("num_heads", 5, "num_heads 5 must divide dim 48"),
        ("burn_in", 200, "burn_in 200 must be less than history 104"),
        ("patch_size", 5, "patch_size 5 must divide history 104, burn_in 52"),
        ("reach", 3, "reach 3 must be patch_size 4 or more"),
    ],
)
def test_sizes_that_contradict_each_other_are_refused(option: str, value: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        configs.load("forecast_transformer", {f"model.{option}": value})


@every
def test_answers_have_a_row_of_quantiles_for_each_step_ahead(config: Any) -> None:
    outputs: Tensor = build(config)(windows(3)).outputs
    assert outputs.shape == (3, H, len(LEVELS))
    # copier: endfilter
