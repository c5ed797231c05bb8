# copier: filter replace("my_project", package_name)
"""The tiny recursive model's last word: all steps or early, in half precision, exported, compiled."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from my_project.models.stablemax import scores
from my_project.types import UNKNOWN, Batch, StepOutput

from .tiny_trm import KINDS, batch_of, build, restless, same


def test_eval_is_all_steps_one_after_the_other() -> None:
    model = build().eval()
    batch = batch_of(5, model)
    state = model.start(batch.inputs)
    for _ in range(4):
        state, logits, _ = model.think(batch.inputs, state)
    output = model(batch)
    same(output.outputs, scores(logits))
    assert output.carry is None


def test_eval_does_not_look_at_a_carry() -> None:
    model = build()
    batch = batch_of(5, model)
    carry = model(batch_of(5, model, seed=9)).carry
    same(model.eval()(batch, carry).outputs, model(batch).outputs)


@pytest.mark.parametrize("mixer", ["tokens", "attention"])
def test_early_stopping_says_what_all_rows_would_have_said_when_they_halted(mixer: str) -> None:
    whole = restless(build(mixer=mixer)).double().eval()
    stopping = restless(build(mixer=mixer, early_stop=True)).double().eval()
    batch = batch_of(64, whole)
    state, words, halts = whole.start(batch.inputs), [], []
    for _ in range(4):
        state, logits, halt_logits = whole.think(batch.inputs, state)
        words.append(scores(logits))
        halts.append(halt_logits)
    first = [next((step for step in range(4) if halts[step][row] > 0), 3) for row in range(64)]
    assert set(first) == {0, 1, 2, 3}
    said = torch.stack([words[step][row] for row, step in enumerate(first)])
    output = stopping(batch)
    torch.testing.assert_close(output.outputs, said, rtol=0, atol=1e-9)
    assert output.metrics["steps"].item() == pytest.approx(sum(first) / 64 + 1)
    full = whole(batch)
    late = [row for row, step in enumerate(first) if step == 3]
    torch.testing.assert_close(output.outputs[late], full.outputs[late], rtol=0, atol=1e-9)
    for name in ("steps", "steps_variance", "halt_accuracy", "halt_base_rate"):
        torch.testing.assert_close(full.metrics[name], output.metrics[name])


@pytest.mark.parametrize("size", [0, 1, 3])
@pytest.mark.parametrize("options", [*KINDS, {"early_stop": True}, {"early_stop": True, "mixer": "attention"}])
def test_answers_have_a_row_for_each_question(options: dict[str, Any], size: int) -> None:
    model = build(**options)
    batch = batch_of(size, model)
    classes = model.config.num_classes or model.config.vocab_size
    want = (size, classes) if model.config.pooled else (size, 9, classes)
    for training in (True, False):
        output = model.train(training)(batch)
        assert output.outputs.shape == want
        assert output.loss.shape == ()
        assert output.loss.isfinite()
        assert all(metric.shape == () and not metric.requires_grad for metric in output.metrics.values())
    if not size:
        output.loss.backward()
        assert output.loss == 0
        assert all(p.grad is None or not p.grad.any() for p in model.parameters())


def test_rows_without_targets_are_answered_and_teach_nothing() -> None:
    model = build()
    batch = batch_of(3, model)
    unknown = Batch(batch.inputs, torch.full_like(batch.targets, UNKNOWN), batch.index)
    output = model(unknown)
    output.loss.backward()
    assert output.loss == 0
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())
    same(model.eval()(unknown).outputs, model(batch).outputs)


@pytest.mark.parametrize("options", KINDS)
def test_gradients_in_half_precision_are_near_those_in_full(options: dict[str, Any]) -> None:
    exact, rounded = build(**options), build(**options)
    batch = batch_of(4, exact)
    exact(batch).loss.backward()
    with torch.autocast("cpu", torch.bfloat16):
        output = rounded(batch)
    assert output.loss.dtype == torch.float32
    output.loss.backward()
    for (name, one), two in zip(exact.named_parameters(), rounded.parameters(), strict=True):
        assert one.grad is not None, name
        assert two.grad is not None, name
        assert (one.grad - two.grad).norm() < 0.15 * one.grad.norm(), name


@pytest.mark.parametrize("early_stop", [True, False])
def test_half_precision_answers(early_stop: bool) -> None:
    model = restless(build(mixer="attention", early_stop=early_stop)).eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        output = model(batch_of(16, model))
    assert output.loss.isfinite()
    assert output.outputs.isfinite().all()


def test_the_last_word_can_be_exported_for_any_number_of_rows() -> None:
    class Answers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = build(mixer="attention", max_steps=2, num_latent=1, depth=1).eval()

        def forward(self, inputs: Tensor) -> Tensor:
            batch = Batch(inputs, torch.full_like(inputs, UNKNOWN), torch.arange(inputs.shape[0]))
            output: StepOutput = self.model(batch)
            return output.outputs

    answers = Answers()
    four, seven = (batch_of(size, answers.model).inputs for size in (4, 7))
    with torch.no_grad():
        exported = torch.export.export(answers, (four,), dynamic_shapes={"inputs": {0: torch.export.Dim("rows")}})
        torch.testing.assert_close(exported.module()(seven), answers(seven))


@pytest.mark.parametrize("training", [True, False])
def test_the_compiler_sees_one_graph(training: bool) -> None:
    model = build(num_passes=1, num_latent=1, depth=1, max_steps=2).train(training)
    batch = batch_of(3, model)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    same(compiled(batch).loss, model(batch).loss)
    if training:
        carry = model(batch).carry
        same(compiled(batch, carry).loss, model(batch, carry).loss)
    # copier: endfilter
