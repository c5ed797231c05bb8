# copier: filter replace("my_project", package_name)
"""What the tiny recursive model is: its network, its recursion, what it refuses."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from my_project.models.trm import Trm, TrmConfig, recurse
from my_project.models.trm_layers import Attention
from my_project.types import Batch, Carry

from .tiny_trm import KINDS, SMALL, batch_of, build, restless, same

# The network


def test_positions_rotate_so_that_only_their_distance_counts() -> None:
    attention = Attention(dim=16, num_heads=2, length=9).double()
    q, k = (torch.randn(1, 1, 1, 8, dtype=torch.double).expand(1, 2, 9, 8) for _ in range(2))
    scores = (attention.rotate(q) @ attention.rotate(k).mT)[0, 0]  # [N, N]
    for distance in range(-4, 5):
        diagonal = scores.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=0, atol=1e-6)
    assert scores.diagonal(1)[0] != scores.diagonal(2)[0]


@pytest.mark.parametrize("options", KINDS)
def test_rows_do_not_see_each_other(options: dict[str, Any]) -> None:
    model = restless(build(**options)).double()
    batch = batch_of(3, model)
    inputs = batch.inputs.double() if model.config.features else batch.inputs
    other = inputs.clone()
    other[1] = other[1].flip(0)
    (state, *words), (other_state, *other_words) = (model.think(rows, model.start(rows)) for rows in (inputs, other))
    for one, two in zip([*state, *words], [*other_state, *other_words], strict=True):
        same(one[[0, 2]], two[[0, 2]])
        assert (one[1] != two[1]).any()


def test_a_network_of_ones_own_takes_the_place_of_the_blocks() -> None:
    model = Trm(TrmConfig(**SMALL), network=nn.Tanh())
    assert model(batch_of(2, model)).loss.isfinite()


# The recursion


def test_the_latent_is_updated_n_times_and_the_answer_once() -> None:
    x, y, z = torch.tensor(2.0), torch.tensor(3.0), torch.tensor(5.0)
    calls: list[float] = []

    class Halve(nn.Module):
        def forward(self, h: Tensor) -> Tensor:
            calls.append(h.item())
            return h / 2

    answer, latent = recurse(Halve(), x, (y, z), num_latent=2)
    assert calls == [5 + 3 + 2, 5 + 3 + 2, 3 + 5]
    assert (answer.item(), latent.item()) == (4, 5)


def test_only_the_last_pass_has_a_gradient() -> None:
    model, batch = build(num_passes=3), batch_of(4, build())
    model(batch).loss.backward()
    got = {name: parameter.grad for name, parameter in model.named_parameters()}
    alone = build(num_passes=1)
    state = model.start(batch.inputs)
    with torch.no_grad():
        for _ in range(2):
            state = recurse(model.network, model.embedded(batch.inputs), state, 2)
    carry = {**alone(batch).carry, "halted": torch.zeros(4, dtype=torch.bool), "state": state}
    alone(batch, carry).loss.backward()
    for name, parameter in alone.named_parameters():
        gradient = got[name]
        assert gradient is not None
        assert parameter.grad is not None
        same(gradient, parameter.grad)


@pytest.mark.parametrize("options", [*KINDS, {"num_prefix": 2, "num_tasks": 3, "halt_pool": "first"}])
def test_every_parameter_gets_a_gradient(options: dict[str, Any]) -> None:
    model = build(**options)
    batch = batch_of(8, model)
    if model.config.num_tasks:
        batch = Batch(torch.cat([batch.inputs[:, :1] % 3, batch.inputs], dim=1), batch.targets, batch.index)
    model(batch).loss.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("options", KINDS)
def test_one_batch_can_be_learnt_by_heart(options: dict[str, Any]) -> None:
    model = build(**options, dim=32, early_stop=True)  # a row that is right is never seen again: it need not stay so
    batch = batch_of(4, model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    carry: Carry = None
    for _ in range(200):
        output = model(batch, carry)
        carry = output.carry
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
    assert model.eval()(batch).metrics["exact"] == 1


# Refusals


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mixer": "attention", "dim": 18, "num_heads": 4}, "dim 18 must be an even multiple of num_heads 4"),
        ({"mixer": "attention", "dim": 12, "num_heads": 4}, "dim 12 must be an even multiple of num_heads 4"),
        ({"num_tasks": 3}, "num_tasks 3 wants num_prefix"),
        ({"halt_pool": "first"}, "halt_pool 'first' wants num_prefix"),
        ({"features": 5}, "features 5 wants num_classes"),
        ({"features": 5, "num_classes": 2, "num_tasks": 1, "num_prefix": 1}, "num_tasks 1 wants tokens"),
        ({"max_steps": 0}, "max_steps"),
        ({"exploration": 1.5}, "exploration"),
        ({"mixer": "convolution"}, "mixer"),
        ({"width": 3}, "width"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrmConfig(**{**SMALL, **options})


def test_rows_of_another_length_are_refused() -> None:
    model = build()
    batch = Batch(torch.zeros(2, 8, dtype=torch.long), torch.zeros(2, 8, dtype=torch.long), torch.arange(2))
    with pytest.raises(ValueError, match="rows of 8 positions, want 9"):
        model(batch)
    # copier: endfilter
