# copier: filter replace("my_project", package_name)
"""The recursive forecaster: no token sees ahead, rows halt by how near they are, what is not known counts nowhere."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from my_project import config as configs
from my_project import run as commands
from my_project.models.memory import NeuralMemoryConfig
from my_project.models.titans_mag import MagConfig
from my_project.models.trm_forecast import MEDIAN, TrmForecast, TrmForecastConfig
from my_project.types import Batch, map_carry

L, H, PATCH, BURN_IN = 24, 5, 4, 12
SMALL: dict[str, Any] = {
    "history": L,
    "horizon": H,
    "patch_size": PATCH,
    "reach": 6,
    "burn_in": BURN_IN,
    "dim": 16,
    "stack": MagConfig(depth=2, num_heads=2, window=3, memory=NeuralMemoryConfig(chunk_size=2)),
    "exploration": 0.0,
}


def build(**options: Any) -> TrmForecast:
    torch.manual_seed(0)
    return TrmForecastConfig(**SMALL | options).build().double()


def restless(model: TrmForecast) -> TrmForecast:
    """Make halting depend on the rows: some logits of the first steps are positive, some are not."""
    with torch.no_grad():
        model.act.linear.weight.copy_(torch.randn(2, 16, generator=torch.Generator().manual_seed(0)) * 3)
        model.act.linear.bias.zero_()
    return model


def windows(count: int = 4, gaps: float = 0.0, seed: int = 1) -> Batch:
    random = torch.Generator().manual_seed(seed)
    values = torch.randn(count, L + H, generator=random, dtype=torch.double).cumsum(1) + 30 * seed
    marks = (torch.rand(count, L + H, generator=random) >= gaps).double()
    whole = torch.stack([values, marks], dim=-1)
    return Batch(whole[:, :L], whole[:, L:], torch.arange(count))


def same(a: Tensor, b: Tensor, tolerance: float = 0.0) -> None:
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("num_passes", [1, 2])
def test_no_token_sees_what_follows_it_however_often_it_thinks(num_passes: int) -> None:
    model, inputs = build(num_passes=num_passes), windows().inputs

    def thought(inputs: Tensor) -> Tensor:
        state = model.start(inputs)
        for _ in range(3):
            state, raw, _ = model.think(inputs, state)
        assert raw.shape == (4, (L - BURN_IN) // PATCH, H, 5)
        return state[0].detach()

    before = thought(inputs)
    for place in range(L):
        changed = inputs.clone()
        changed[:, place:, 0] += 1.0
        after, token = thought(changed), place // PATCH
        same(after[:, :token], before[:, :token], 1e-12)
        if place:  # differences to the first value do not change with all values
            assert ((after[:, token:] - before[:, token:]).abs().amax(-1) > 1e-9).all()


def test_each_token_after_the_burn_in_learns_what_followed_it() -> None:
    model, batch = build(halt_weight=0.0), windows(gaps=0.3)
    for parameter in model.head.linear.parameters():
        torch.nn.init.zeros_(parameter)
    whole, losses = torch.cat([batch.inputs, batch.targets], dim=1), list[float]()
    for row in whole.tolist():
        for last in range(BURN_IN + PATCH - 1, L, PATCH):
            missing = [value - row[last][0] for value, mark in row[last + 1 : last + 1 + H] if mark]
            levels = (0.05, 0.25, 0.5, 0.75, 0.95)
            losses += [sum(max(q * e, (q - 1) * e) for q in levels) / len(levels) for e in missing]
    assert model(batch).loss.item() == pytest.approx(sum(losses) / len(losses))


@pytest.mark.parametrize("early_stop", [False, True])
def test_rows_do_not_see_each_other(*, early_stop: bool) -> None:
    model, batch = restless(build(early_stop=early_stop)).eval(), windows(16)
    whole = model(batch).outputs
    for row in range(16):
        same(model(batch.map(lambda part, n=row: part[n : n + 1])).outputs[0], whole[row], 1e-9)  # type: ignore[misc]


def test_halted_rows_are_replaced_and_the_others_go_on_with_their_own() -> None:
    model, first, second = build(), windows(seed=1), windows(seed=2)
    carry = model(first).carry
    assert not carry["halted"].any()
    carry["halted"][[1, 3]] = True
    output = model(second, carry)
    assert output.carry["steps"].tolist() == [2, 1, 2, 1]
    fresh, longer = model(second), model(first, model(first).carry)
    same(output.outputs[[1, 3]], fresh.outputs[[1, 3]], 1e-9)  # in the units of their own rows
    same(output.outputs[[0, 2]], longer.outputs[[0, 2]], 1e-9)
    for part in ("inputs", "targets"):
        same(output.carry[part][[1, 3]], fresh.carry[part][[1, 3]])
        same(output.carry[part][[0, 2]], longer.carry[part][[0, 2]])
    parts = list[Tensor]()
    map_carry(output.carry, parts.append)
    assert not any(part.requires_grad for part in parts)


def test_early_stopping_says_what_each_row_said_at_its_halting_step() -> None:
    whole, stopping = restless(build()).eval(), restless(build(early_stop=True)).eval()
    batch, words, halts = windows(64), list[Tensor](), list[Tensor]()
    state = whole.start(batch.inputs)
    for _ in range(4):
        state, raw, halt_logits = whole.think(batch.inputs, state)
        words.append(whole.head.absolute(raw[:, -1].sort(dim=-1).values, batch.inputs))
        halts.append(halt_logits)
    first = [next((step for step in range(4) if halts[step][row] > 0), 3) for row in range(64)]
    assert len(set(first)) > 2
    output = stopping(batch)
    same(output.outputs, torch.stack([words[step][row] for row, step in enumerate(first)]), 1e-9)
    assert output.metrics["steps"].item() == pytest.approx(sum(first) / 64 + 1)
    same(whole(batch).outputs, words[-1], 1e-9)
    same(whole(batch).metrics["steps"], output.metrics["steps"])


def test_rows_that_have_halted_cost_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    model, sizes, think = restless(build(early_stop=True)).eval(), list[int](), TrmForecast.think

    def counting(self: TrmForecast, inputs: Tensor, state: Any) -> Any:
        sizes.append(len(inputs))
        return think(self, inputs, state)

    monkeypatch.setattr(TrmForecast, "think", counting)
    steps = model(windows(64)).metrics["steps"]
    assert sizes[0] == 64 > sizes[-1]
    assert sum(sizes) == pytest.approx(64 * steps.item())


@pytest.mark.parametrize("near", [1.0, 0.5])
def test_right_is_what_comes_nearer_than_the_last_value(near: float) -> None:
    model, batch = build(near=near).eval(), windows(8, gaps=0.4)
    output, shares = model(batch), list[float]()
    for row, (forecast, targets) in enumerate(zip(output.outputs[..., MEDIAN].tolist(), batch.targets, strict=True)):
        last, known = batch.inputs[row, -1, 0].item(), [number for number in range(H) if targets[number, 1]]
        errors = [(abs(forecast[n] - targets[n, 0].item()), abs(last - targets[n, 0].item())) for n in known]
        shares += [sum(ours < near * naive for ours, naive in errors) / len(known)] * bool(known)
    assert output.metrics["nearer"].item() == pytest.approx(sum(shares) / len(shares))
    assert 0 < output.metrics["nearer"] < 1


@pytest.mark.parametrize("training", [False, True])
def test_what_was_not_measured_counts_nowhere(*, training: bool) -> None:
    model, batch = restless(build()).train(training), windows(8, gaps=0.4)
    unknown = batch.targets[..., 1] == 0
    changed = torch.stack([batch.targets[..., 0] + 100 * unknown, batch.targets[..., 1]], dim=-1)
    before, after = model(batch), model(replace(batch, targets=changed))
    same(before.loss, after.loss)
    for name in ("nearer", "halt_accuracy"):
        same(before.metrics[name], after.metrics[name])
    nothing = model.eval()(replace(batch, targets=torch.zeros_like(batch.targets)))
    assert nothing.loss.item() == 0
    assert nothing.outputs.isfinite().all()


def test_the_halting_logit_learns_how_near_forecasts_are() -> None:
    model, batch = build(halt_weight=1.0), windows(8)
    model.act.linear.bias.data.fill_(1.0)
    nearer, plain = model(batch), build(halt_weight=0.0)(batch)
    share = nearer.metrics["nearer"].item()
    logit = torch.tensor(1.0)
    entropy = -(share * logit.sigmoid().log() + (1 - share) * (-logit).sigmoid().log())
    assert (nearer.loss - plain.loss).item() == pytest.approx(entropy.item())


def test_the_loss_falls_below_half_of_that_of_the_last_value() -> None:
    steps = torch.arange(L + H, dtype=torch.double)
    phases = torch.rand(32, 1, generator=torch.Generator().manual_seed(0), dtype=torch.double) * 8
    values = ((steps + phases) * torch.pi / 4).sin()
    whole = torch.stack([values, torch.ones_like(values)], dim=-1)
    batch, carry = Batch(whole[:, :L], whole[:, L:], torch.arange(32)), None
    model = build()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(60):
        output = model(batch, carry)
        carry = output.carry
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
    forecast = model.eval()(batch).outputs[..., MEDIAN]
    errors = [(guess - batch.targets[..., 0]).abs().mean() for guess in (forecast, batch.inputs[:, -1:, 0])]
    assert errors[0] < 0.5 * errors[1]


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("burn_in", 200, "burn_in 200 must be less than history 104"),
        ("patch_size", 5, "patch_size 5 must divide history 104, burn_in 52"),
        ("reach", 3, "reach 3 must be patch_size 4 or more"),
        ("dim", 20, "multiple of 4 . num_heads"),
    ],
)
def test_sizes_that_contradict_each_other_are_refused(option: str, value: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        configs.load("trm_titans_series", {f"model.{option}": value}).model.build()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model.horizon": 26}, "model.horizon 26, data.horizon 52: want the same; set both"),
        ({"data.history": 112}, "model.history 104, data.history 112: want the same; set both"),
    ],
)
def test_windows_of_other_sizes_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        commands.fit(configs.load("trm_titans_series", options | {"train.steps": 1}))
    assert str(refused.value) == message
    # copier: endfilter
