# copier: filter replace("my_project", package_name)
"""The tiny recursive model's carry: halted rows are replaced, the others go on with their own, exactly."""

import copy

import torch
from torch import Tensor

from my_project.models.trm import Trm
from my_project.types import Carry, StepOutput, map_carry

from .tiny_trm import batch_of, build, restless, same


def test_halted_rows_are_replaced_and_the_others_keep_inputs_targets_and_state() -> None:
    model = build()
    first, second = batch_of(4, model, seed=1), batch_of(4, model, seed=2)
    carry = model(first).carry
    assert not carry["halted"].any()
    carry["halted"][[1, 3]] = True
    after = model(second, carry).carry
    for part in ("inputs", "targets"):
        same(after[part][[1, 3]], getattr(second, part)[[1, 3]])
        same(after[part][[0, 2]], getattr(first, part)[[0, 2]])
    assert after["steps"].tolist() == [2, 1, 2, 1]
    fresh, longer = model(second).carry["state"], model(first, model(first).carry).carry["state"]
    for now, new, old in zip(after["state"], fresh, longer, strict=True):
        same(now[[1, 3]], new[[1, 3]])
        same(now[[0, 2]], old[[0, 2]])


def test_rows_under_way_do_not_notice_which_rows_come_in_beside_them() -> None:
    model = build()
    carry = model(batch_of(4, model, seed=1)).carry
    carry["halted"][1] = True
    one, other = (model(batch_of(4, model, seed=seed), carry) for seed in (2, 3))
    same(one.outputs[[0, 2, 3]], other.outputs[[0, 2, 3]])
    assert (one.outputs[1] != other.outputs[1]).any()


def test_the_loss_is_that_of_the_rows_under_way() -> None:
    model = build()
    first, second = batch_of(4, model, seed=1), batch_of(4, model, seed=2)
    same(model(second, model(first).carry).loss, model(first, model(first).carry).loss)


def test_nothing_of_a_call_stays_in_the_model() -> None:
    model = build()
    before = copy.deepcopy(model.state_dict())
    one = model(batch_of(4, model, seed=1))
    model(batch_of(4, model, seed=2), one.carry)
    again = model(batch_of(4, model, seed=1))
    same(one.loss, again.loss)
    assert before.keys() == model.state_dict().keys()
    for name, value in model.state_dict().items():
        same(value, before[name])


def test_the_carry_holds_rows_only_and_no_gradient() -> None:
    model = build()
    parts: list[Tensor] = []

    def collect(part: Tensor) -> Tensor:
        parts.append(part)
        return part

    map_carry(model(batch_of(3, model)).carry, collect)
    assert [len(part) for part in parts] == [3] * 6
    assert not any(part.requires_grad for part in parts)


def test_a_carry_can_be_split_into_parts_and_each_goes_on_alone() -> None:
    model = build()
    batch = batch_of(4, model)
    carry = model(batch).carry
    whole = model(batch, carry)
    halves = [
        model(part, map_carry(carry, lambda rows, n=number: rows.tensor_split(2)[n]))  # type: ignore[misc]
        for number, part in enumerate(batch.split(2))
    ]
    torch.testing.assert_close(torch.cat([half.outputs for half in halves]), whole.outputs)


def run(model: Trm, steps: int, carry: Carry, first: int) -> tuple[StepOutput, list[float]]:
    optimizer, losses = torch.optim.SGD(model.parameters(), lr=0.01), []
    for step in range(first, first + steps):
        output = model(batch_of(4, model, seed=step), carry)
        carry = output.carry
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
        losses.append(output.loss.item())
    return output, losses


def test_a_seed_decides_everything() -> None:
    runs = [run(restless(build(exploration=0.5)), 6, None, 0) for _ in range(2)]
    assert runs[0][1] == runs[1][1]
    same(runs[0][0].outputs, runs[1][0].outputs)


def test_training_goes_on_exactly_from_weights_carry_and_random_state() -> None:
    model = restless(build(exploration=0.5))
    half, _ = run(model, 3, None, 0)
    saved = copy.deepcopy((model.state_dict(), half.carry, torch.get_rng_state()))
    straight = run(model, 3, half.carry, 3)[1]
    other = build(exploration=0.5)
    other.load_state_dict(saved[0])
    torch.set_rng_state(saved[2])
    assert run(other, 3, saved[1], 3)[1] == straight
    # copier: endfilter
