# copier: filter replace("my_project", package_name)
"""The language model with a memory carries its state from segment to segment of a text, and from token to token."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from my_project import config as configs
from my_project.models.gpt import sample
from my_project.models.memory import NeuralMemoryConfig
from my_project.models.titans_mag import MagConfig
from my_project.models.titans_text import TitansText, TitansTextConfig
from my_project.training.trainer import Trainer
from my_project.types import UNKNOWN, Batch, map_carry

from .streams import awake, check_resume, leaves

STACK = MagConfig(dim=16, num_heads=2, window=4, memory=NeuralMemoryConfig(chunk_size=4))
SMALL = {
    "model.stack": "{dim: 16, num_heads: 2, window: 8, memory: {chunk_size: 8}}",
    "data.seq_len": 32,
    "data.batch_size": 4,
    "train.device": "cpu",
}


def small() -> TitansText:
    torch.manual_seed(0)
    return awake(TitansTextConfig(vocab_size=11, stack=STACK).build())


def text(*shape: int) -> Tensor:
    return torch.randint(11, shape, generator=torch.Generator().manual_seed(1))


def segments(tokens: Tensor, size: int, begins: tuple[int, ...] = (0,)) -> list[Batch]:
    """Cut texts [B, L + 1] into batches whose rows go on; in those named, all rows begin a document."""
    count, rows = (tokens.shape[1] - 1) // size, len(tokens)
    cuts = [tokens[:, number * size : number * size + size + 1] for number in range(count)]
    starts = [torch.full((rows,), number in begins) for number in range(count)]
    return [Batch(cut[:, :-1], cut[:, 1:], torch.arange(rows), start) for cut, start in zip(cuts, starts, strict=True)]


def read(model: TitansText, batches: list[Batch], *, detach: bool) -> tuple[Tensor, Tensor]:
    """Return the logits of all segments, and their mean loss, from a carry that is handed on."""
    carry, outputs, losses = None, list[Tensor](), list[Tensor]()
    for batch in batches:
        output = model(batch, carry)
        carry = map_carry(output.carry, Tensor.detach) if detach else output.carry
        outputs.append(output.outputs)
        losses.append(output.loss)
    return torch.cat(outputs, dim=1), torch.stack(losses).mean()


def gradient(model: TitansText, loss: Tensor) -> Tensor:
    return torch.cat([part.flatten() for part in torch.autograd.grad(loss, [*model.parameters()])])


@pytest.mark.parametrize("size", [3, 4, 6, 12])
def test_segments_with_a_carry_are_one_text_and_so_is_their_gradient(size: int) -> None:
    model, tokens = small(), text(2, 13)
    whole = model(Batch(tokens[:, :-1], tokens[:, 1:], torch.arange(2)))
    found, loss = read(model, segments(tokens, size), detach=False)
    torch.testing.assert_close(found, whole.outputs, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(gradient(model, loss), gradient(model, whole.loss), rtol=1e-7, atol=1e-9)


def test_a_carry_that_is_detached_tells_as_much_and_teaches_less() -> None:
    model, tokens = small(), text(2, 13)
    (cut, cut_loss), (kept, kept_loss) = (read(model, segments(tokens, 4), detach=detach) for detach in (True, False))
    torch.testing.assert_close(cut, kept, rtol=0, atol=0)
    alike = torch.cosine_similarity(gradient(model, cut_loss), gradient(model, kept_loss), dim=0)
    assert 0.3 < alike < 0.9999


def test_the_trainer_carries_the_gradient_over_as_many_segments_as_it_is_told() -> None:
    tokens, found = text(2, 17), list[Tensor]()
    for tbptt in (1, 2, 4):
        config = configs.load("titans_text", SMALL | {"train.accumulate": 4, "train.tbptt": tbptt})
        model, batches = small(), segments(tokens, 4)
        trainer = Trainer(config.train, model, config.optim, lambda _: pytest.fail("not asked for"), config)
        loss, carries = trainer.backward(tuple(batches))
        ours = torch.cat([parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None])
        carry, losses = None, list[Tensor]()
        for number, batch in enumerate(batches):
            output = model(batch, carry)
            losses.append(output.loss)
            carry = map_carry(output.carry, Tensor.detach) if number % tbptt == tbptt - 1 else output.carry
        torch.testing.assert_close(ours, gradient(model, torch.stack(losses).mean()), rtol=1e-9, atol=1e-12)
        assert not any(part.requires_grad for part in leaves(carries[0]))
        assert loss.item() == pytest.approx(torch.stack(losses).mean().item())
        found.append(ours)
    assert not torch.isclose(found[0], found[2]).all()


def test_rows_that_begin_a_document_forget_what_was_carried_and_the_others_do_not() -> None:
    model, tokens = small(), text(2, 13)
    first, second, third = segments(tokens, 4)
    third = replace(third, starts=torch.tensor([True, False]))
    carry = model(second, model(first).carry).carry
    found, anew = model(third, carry).outputs, model(third).outputs
    torch.testing.assert_close(found[0], anew[0], rtol=1e-9, atol=1e-9)
    assert not torch.isclose(found[1], anew[1]).all()


def test_windows_that_do_not_go_on_carry_nothing() -> None:
    tokens = text(2, 9)
    assert small()(Batch(tokens[:, :-1], tokens[:, 1:], torch.arange(2))).carry is None


def test_the_loss_is_the_mean_over_known_targets() -> None:
    model, tokens = small(), text(3, 8)
    targets = tokens.roll(-1, 1)
    targets[0, :5], targets[2] = UNKNOWN, UNKNOWN
    output = model(Batch(tokens, targets, torch.arange(3)))
    known = [(row, place) for row in range(3) for place in range(8) if targets[row, place] != UNKNOWN]
    losses = [-output.outputs[row, place].log_softmax(0)[targets[row, place]] for row, place in known]
    torch.testing.assert_close(output.loss, torch.stack(losses).mean())


@pytest.mark.parametrize("length", [0, 1, 14])
def test_writing_from_a_state_is_writing_from_the_whole_text(length: int) -> None:
    model, prompt = small(), text(2, 6)
    read_again, draw = prompt, torch.Generator().manual_seed(5)
    for _ in range(length):
        drawn = sample(model.read(read_again)[0][:, -1].float(), 0.7, 5, draw)
        read_again = torch.cat([read_again, drawn], dim=1)
    found = model.generate(prompt, length, temperature=0.7, top_k=5, seed=5)
    assert torch.equal(found, read_again[:, 6:])


def test_a_run_that_was_stopped_goes_on_with_its_carry_as_if_it_had_not_been() -> None:
    check_resume("titans_text", SMALL | {"train.accumulate": 2, "train.tbptt": 2})
    # copier: endfilter
