# copier: filter replace("my_project", package_name)
"""What every model must do, whichever file it stands in: a new model is tested as soon as it is there."""

from functools import cache
from itertools import product
from pathlib import Path

import pytest
import torch
from torch import nn

from my_project import config as configs
from my_project.data.loader import DataConfig
from my_project.types import Batch, StepOutput

KINDS = sorted(configs.kinds("model"))
NUM_CLASSES = len(configs.load().data.labels)


@cache
def data() -> DataConfig:
    return configs.load().data


def build(kind: str) -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = configs.kinds("model")[kind]().build()
    return model


def batch_of(size: int) -> Batch:
    batch: Batch = data().build("train")[torch.arange(size), 0]
    return batch


def answer(model: nn.Module, batch: Batch) -> StepOutput:
    output = model(batch, None)
    assert isinstance(output, StepOutput)
    return output


@pytest.mark.parametrize(("kind", "size"), list(product(KINDS, [1, 3, 64])))
def test_logits_have_a_row_for_each_input_and_a_column_for_each_class(kind: str, size: int) -> None:
    output = answer(build(kind), batch_of(size))
    assert output.outputs.shape == (size, NUM_CLASSES)
    assert output.loss.shape == ()
    assert output.loss.isfinite()


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_without_rows_has_loss_zero_and_harmless_gradients(kind: str) -> None:
    model = build(kind)
    output = answer(model, batch_of(0))
    assert output.outputs.shape == (0, NUM_CLASSES)
    assert output.loss.item() == 0
    output.loss.backward()
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_gets_a_gradient(kind: str) -> None:
    model = build(kind)
    answer(model, batch_of(32)).loss.backward()
    dead = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    wild = [name for name, p in model.named_parameters() if p.grad is not None and not p.grad.isfinite().all()]
    assert (dead, wild) == ([], [])


@pytest.mark.parametrize("kind", KINDS)
def test_one_batch_can_be_learnt_by_heart(kind: str) -> None:
    model, batch = build(kind), batch_of(16)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    model.eval()  # without dropout: only the capacity to learn is in question
    for _ in range(120):
        loss = answer(model, batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_a_batch_do_not_see_each_other(kind: str) -> None:
    model = build(kind).eval()
    together, alone = answer(model, batch_of(8)).outputs, answer(model, batch_of(3)).outputs
    torch.testing.assert_close(together[:3], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_builds_the_same_model(kind: str) -> None:
    first, second = build(kind).state_dict(), build(kind).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("kind", KINDS)
def test_saved_weights_give_the_same_answers(kind: str, workspace: Path) -> None:
    model, batch = build(kind).eval(), batch_of(4)
    torch.save(model.state_dict(), workspace / "weights.pt")
    other = configs.kinds("model")[kind]().build().eval()
    other.load_state_dict(torch.load(workspace / "weights.pt", weights_only=True))
    torch.testing.assert_close(answer(other, batch).outputs, answer(model, batch).outputs, rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_bf16_autocast_is_finite(kind: str) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        output = answer(build(kind), batch_of(8))
    assert output.outputs.isfinite().all()
    assert output.loss.isfinite()


@pytest.mark.parametrize(("kind", "scale"), list(product(KINDS, [0.0, 1e-6, 1e4, -1e4])))
def test_extreme_inputs_stay_finite(kind: str, scale: float) -> None:
    batch = batch_of(4)
    output = answer(build(kind), Batch(batch.inputs * scale, batch.targets, batch.index))
    assert output.outputs.isfinite().all()
    assert output.loss.isfinite()


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_compiles_to_a_graph_without_breaks(kind: str) -> None:
    model = build(kind).eval()
    exported = torch.export.export(nn_of(model), (batch_of(4).inputs,))
    expected = answer(model, batch_of(4)).outputs
    torch.testing.assert_close(exported.module()(batch_of(4).inputs), expected, rtol=1e-4, atol=1e-5)


class Logits(nn.Module):
    """A model as a plain function of its inputs."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        index = torch.arange(len(inputs))
        outputs: torch.Tensor = self.model(Batch(inputs, index, index), None).outputs
        return outputs


def nn_of(model: nn.Module) -> Logits:
    return Logits(model).eval()


def test_depth_zero_is_one_linear_layer() -> None:
    model = configs.load("linear").model.build()
    assert [type(m) for m in model.modules() if not list(m.children())] == [nn.Flatten, nn.Linear]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("kind", KINDS)
def test_cuda_and_cpu_agree(kind: str) -> None:
    model, batch = build(kind).eval(), batch_of(8)
    expected, device = answer(model, batch).outputs, torch.device("cuda")
    found = answer(model.to(device), batch.to(device)).outputs.cpu()
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    # copier: endfilter
