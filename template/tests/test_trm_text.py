# copier: filter replace("my_project", package_name)
"""The full language model reads, thinks and answers alike wherever a text is cut, in training as in evaluation."""

from dataclasses import replace
from itertools import islice, pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from my_project import config as configs
from my_project.data.loader import train_batches
from my_project.models.gpt import sample
from my_project.models.memory import NeuralMemoryConfig
from my_project.models.titans_mag import MagConfig
from my_project.models.trm_text import TrmText, TrmTextConfig
from my_project.types import Batch, Carry, map_carry

from .streams import awake, check_resume, leaves

STACK = MagConfig(dim=16, depth=1, num_heads=2, window=4, memory=NeuralMemoryConfig(chunk_size=4))


def small(**options: Any) -> TrmText:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"vocab_size": 11, "reader": STACK, "stack": STACK, "num_passes": 2, "max_steps": 3}
    return awake(TrmTextConfig(**(sizes | options)).build())


def text(*shape: int) -> Tensor:
    return torch.randint(11, shape, generator=torch.Generator().manual_seed(1))


def segments(tokens: Tensor, size: int) -> list[Batch]:
    """Cut texts [B, L + 1] into batches whose rows go on; the first begins a document."""
    count, rows = (tokens.shape[1] - 1) // size, torch.arange(len(tokens))
    cuts = [tokens[:, number * size : number * size + size + 1] for number in range(count)]
    starts = [torch.full((len(tokens),), number == 0) for number in range(count)]
    pairs = enumerate(zip(cuts, starts, strict=True))
    return [Batch(cut[:, :-1], cut[:, 1:], rows + 100 * number, start) for number, (cut, start) in pairs]


def read(model: TrmText, batches: list[Batch], carry: Carry = None) -> tuple[Tensor, Tensor]:
    """Return the logits of all batches, side by side, and the mean of their losses."""
    outputs, losses = list[Tensor](), list[Tensor]()
    for batch in batches:
        output = model(batch, carry)
        carry = output.carry
        outputs.append(output.outputs)
        losses.append(output.loss)
    return torch.cat(outputs, dim=1), torch.stack(losses).mean()


@pytest.mark.parametrize("size", [1, 3, 4, 12])
def test_wherever_a_text_is_cut_it_is_read_alike(size: int) -> None:
    model, tokens = small().eval(), text(2, 13)
    whole = model(Batch(tokens[:, :-1], tokens[:, 1:], torch.arange(2))).outputs
    torch.testing.assert_close(read(model, segments(tokens, size))[0], whole, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("size", [3, 4, 6])
def test_a_supervision_step_at_a_time_training_thinks_what_evaluation_thinks(size: int) -> None:
    """Each segment comes three times; its last answer is that of evaluation, which takes all three steps at once."""
    model, cut = small(), segments(text(2, 13), size)
    carry, last = None, list[Tensor]()
    for batch in cut:
        for _ in range(3):
            output = model.train()(batch, carry)
            carry = output.carry
        assert carry is not None
        assert carry["taken"].tolist() == [3, 3]
        last.append(output.outputs)
    torch.testing.assert_close(torch.cat(last, dim=1), read(model.eval(), cut)[0], rtol=1e-9, atol=1e-9)


def test_a_segment_that_comes_once_more_than_there_are_steps_is_thought_about_anew() -> None:
    model, (batch,) = small().train(), segments(text(2, 5), 4)
    carry, taken = None, list[int]()
    for _ in range(4):
        carry = model(batch, carry).carry
        assert carry is not None
        taken.append(int(carry["taken"][0]))
    assert taken == [1, 2, 3, 1]


def test_no_position_sees_a_later_one() -> None:
    model, tokens = small().eval(), text(2, 13)
    batch = Batch(tokens[:, :-1], tokens[:, 1:], torch.arange(2))
    plain = model(batch).outputs
    for place in range(12):
        changed = batch.inputs.clone()
        changed[:, place] = (changed[:, place] + 1) % 11
        found = model(replace(batch, inputs=changed)).outputs
        torch.testing.assert_close(found[:, :place], plain[:, :place], rtol=0, atol=1e-13)
        assert not torch.isclose(found[:, place:], plain[:, place:]).all(dim=(0, 2)).any()


def test_rows_do_not_see_each_other_and_calls_leave_nothing_behind() -> None:
    model, cut = small().eval(), segments(text(3, 9), 4)
    together, alone = read(model, cut)[0], [read(model, [batch.map(lambda part: part[1:2]) for batch in cut])[0]]
    torch.testing.assert_close(together[1:2], alone[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(read(model, cut)[0], together, rtol=0, atol=0)


@pytest.mark.parametrize("training", [True, False])
def test_rows_that_begin_a_document_forget_and_the_others_do_not(*, training: bool) -> None:
    model, (first, second) = small(max_steps=1).train(training), segments(text(2, 9), 4)
    begun = replace(second, starts=torch.tensor([True, False]))
    found, anew = model(begun, model(first).carry).outputs, model(second).outputs
    torch.testing.assert_close(found[0], anew[0], rtol=1e-12, atol=1e-12)
    assert not torch.isclose(found[1], anew[1]).all()


def test_the_gradient_flows_through_as_many_segments_as_nobody_detaches() -> None:
    model, tokens = small(max_steps=1, num_passes=1, halt_weight=0.0).train(), text(2, 13)
    _, pieces = read(model, segments(tokens, 4))
    _, whole = read(model, segments(tokens, 12))
    ours, theirs = (torch.autograd.grad(loss, model.embedding.weight, retain_graph=True)[0] for loss in (pieces, whole))
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
    first, second = segments(tokens, 6)
    cut = map_carry(model(first).carry, Tensor.detach)
    less = torch.autograd.grad((model(first).loss + model(second, cut).loss) / 2, model.embedding.weight)[0]
    assert not torch.allclose(less, theirs)


def test_the_carry_holds_the_whole_state_and_of_thoughts_no_gradient() -> None:
    model, (first, _) = small().train(), segments(text(2, 9), 4)
    carry = model(first).carry
    steps, (answer, latent) = carry["steps"], carry["thought"]
    assert (len(steps), answer.shape, latent.shape) == (3, (2, 4, 16), (2, 4, 16))
    assert not any(part.requires_grad for part in leaves(carry["thought"]))
    calls = steps[-1]["calls"]
    assert len(calls) == 2 * 3  # two passes of two latents and one answer
    for state in (*steps[-1]["reader"], *calls[0], *calls[-1]):
        assert {*state} == {"attention", "memory"}
        assert {*state["attention"]} == {"keys", "values", "there"}
        assert {*state["memory"]} == {"fast", "pending", "tail"}
    assert any(part.requires_grad for part in leaves(calls[-1]))


@pytest.mark.parametrize("length", [0, 1, 9])
def test_writing_from_a_state_is_writing_from_the_whole_text(length: int) -> None:
    model, prompt = small().eval(), text(2, 6)
    again, draw = prompt, torch.Generator().manual_seed(5)
    for _ in range(length):
        thought, _ = model.read(again)
        again = torch.cat([again, sample(model.logits(thought)[:, -1].float(), 0.7, 5, draw)], dim=1)
    assert torch.equal(model.generate(prompt, length, temperature=0.7, top_k=5, seed=5), again[:, 6:])


def test_the_halting_head_learns_which_share_of_a_segment_is_right() -> None:
    model, (batch,) = small().train(), segments(text(4, 9), 8)
    assert {"halt_accuracy", "halt_base_rate", "halt_std"} <= {*model(batch).metrics}
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    for _ in range(60):
        output = model(batch, None)
        output.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    right = (output.outputs.argmax(-1) == batch.targets).float().mean()
    asked = model.act(model.supervise(batch, None)[0][0]).sigmoid().mean().detach()
    assert right > 0.9
    assert abs(float(asked) - float(right)) < 0.25


def test_data_that_give_a_segment_another_number_of_times_are_refused() -> None:
    config = configs.load("tiny", {"model.max_steps": 3})
    with pytest.raises(ValueError, match=r"model.max_steps 3, data.repeat 2: want the same; set both"):
        config.model.build().prepare(config.data.build("train"))


@pytest.mark.parametrize("position", [0, 1, 3])
def test_a_segment_comes_as_often_as_it_is_thought_about_also_after_a_resume(position: int) -> None:
    data = configs.load("tiny").data
    dataset = data.build("train", augment=True)
    found = [*islice(train_batches(dataset, data, seed=3, position=position), 6)]
    straight = [*islice(train_batches(dataset, data, seed=3), position + 6)][position:]
    assert all(torch.equal(one.inputs, other.inputs) for one, other in zip(found, straight, strict=True))
    turns = [torch.equal(one.index, other.index) for one, other in pairwise(found)]
    assert turns == [(position + number) % 2 == 0 for number in range(5)]


def test_a_run_that_was_stopped_in_the_middle_of_a_thought_goes_on_exactly() -> None:
    check_resume("tiny", {"data.seq_len": 16})
    # copier: endfilter
