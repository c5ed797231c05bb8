# copier: filter replace("my_project", package_name)
"""What every model must do, whichever file it stands in: a new model is tested as soon as it is there."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from my_project import config as configs
from my_project import run as commands
from my_project.config import Config
from my_project.training.device import recompute
from my_project.types import Batch, Carry, StepOutput, map_carry

from .sample import PRESET, smaller

ALL = [configs.load(path, smaller(path)) for path in [*sorted(configs.PRESETS.glob("*.yaml")), PRESET]]
UNLIKE = {repr((config.model, config.data)): config for config in reversed(ALL) if config.train.engine == "auto"}
RUNS = {config.name: config for config in UNLIKE.values()}  # each model once, also where presets are made equal ones
WHOLE = {kind for kind, cls in configs.kinds("model").items() if "base" not in cls.__annotations__}  # around no other
OTHERS = WHOLE - {config.model.kind for config in ALL}  # a model without a preset
RUNS["pieces"] = configs.load(PRESET, {"data.pieces": True})
RUNS |= {kind: configs.load(overrides={"model.kind": kind}) for kind in sorted(OTHERS)}


def build(config: Config) -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = commands.build(config, config.data.build("train"))
    return model


def batch_of(config: Config, size: int) -> Batch:
    batch: Batch = config.data.build("train")[torch.arange(size), 0]
    return batch


def answer(model: nn.Module, batch: Batch) -> StepOutput:
    output = model(batch, None)
    assert isinstance(output, StepOutput)
    return output


def unless_missing(config: Config) -> Any:
    library = getattr(config.model, "library", "torch")
    return pytest.param(config, marks=pytest.mark.skipif(not find_spec(library), reason=f"needs {library}"))


every_model = pytest.mark.parametrize("config", [unless_missing(run) for run in RUNS.values()], ids=RUNS)


@every_model
def test_outputs_have_a_row_for_each_input_and_the_same_shape_in_every_batch(config: Config) -> None:
    model, shapes = build(config), set[tuple[int, ...]]()
    for size in (0, 1, 3, 64):
        output = answer(model, batch_of(config, size))
        assert len(output.outputs) == size
        assert output.loss.shape == ()
        assert output.loss.isfinite()
        shapes.add(output.outputs.shape[1:])
    assert len(shapes) == 1


@every_model
def test_a_batch_without_rows_has_loss_zero_and_harmless_gradients(config: Config) -> None:
    model = build(config)
    output = answer(model, batch_of(config, 0))
    assert output.loss.item() == 0
    output.loss.backward()
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


@every_model
def test_every_parameter_gets_a_gradient(config: Config) -> None:
    model = build(config)
    answer(model, batch_of(config, 32)).loss.backward()
    dead = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    wild = [name for name, p in model.named_parameters() if p.grad is not None and not p.grad.isfinite().all()]
    assert (dead, wild) == ([], [])


def share_left(config: Config, num_rows: int, lr: float) -> float:
    """Return which share of its first loss a model keeps that sees one batch again and again."""
    model, batch, losses = build(config), batch_of(config, num_rows), list[float]()
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    model.eval()  # without dropout: only the capacity to learn is in question
    while not losses or (losses[-1] > 0.02 * losses[0] and len(losses) < 200):
        loss = answer(model, batch).loss
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses[-1] / losses[0]


@every_model
def test_one_batch_can_be_learnt_by_heart(config: Config) -> None:
    num_rows = min(16, max(2, 256 // batch_of(config, 1).targets.numel()))  # few where a row has many targets
    assert any(share_left(config, num_rows, lr) <= 0.02 for lr in (1e-2, 3e-3))


@every_model
def test_rows_of_a_batch_do_not_see_each_other(config: Config) -> None:
    model = build(config).eval()
    together, alone = (answer(model, batch_of(config, size)).outputs for size in (8, 3))
    torch.testing.assert_close(together[:3], alone, rtol=1e-4, atol=1e-5)


@every_model
def test_the_same_seed_builds_the_same_model(config: Config) -> None:
    first, second = build(config).state_dict(), build(config).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


@every_model
def test_saved_weights_give_the_same_answers(config: Config, workspace: Path) -> None:
    model, other, batch = build(config).eval(), config.model.build().eval(), batch_of(config, 4)
    torch.save(model.state_dict(), workspace / "weights.pt")
    other.load_state_dict(torch.load(workspace / "weights.pt", weights_only=True))
    torch.testing.assert_close(answer(other, batch).outputs, answer(model, batch).outputs, rtol=0, atol=0)


@every_model
def test_bf16_autocast_is_finite(config: Config) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        output = answer(build(config), batch_of(config, 8))
    assert output.outputs.isfinite().all()
    assert output.loss.isfinite()


@every_model
@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e4, -1e4])
def test_extreme_inputs_stay_finite(config: Config, scale: float) -> None:
    batch = batch_of(config, 4)
    inputs = map_carry(batch.inputs, lambda part: part * scale if part.is_floating_point() else part)
    output = answer(build(config), Batch(inputs, batch.targets, batch.index))
    assert output.outputs.isfinite().all()
    assert output.loss.isfinite()


class Outputs(nn.Module):
    """A model as a plain function of its inputs."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Any, targets: Tensor, index: Tensor) -> Tensor:
        outputs: Tensor = self.model(Batch(inputs, targets, index), None).outputs
        return outputs


@every_model
def test_the_model_compiles_to_a_graph_without_breaks(config: Config) -> None:
    model, batch = build(config).eval(), batch_of(config, 4)
    tensors = (batch.inputs, batch.targets, batch.index)
    exported = torch.export.export(Outputs(model).eval(), tensors)
    torch.testing.assert_close(exported.module()(*tensors), answer(model, batch).outputs, rtol=1e-4, atol=1e-5)


class Chain(nn.Module):
    """Layers in one sequence."""

    def __init__(self) -> None:
        super().__init__()
        layers = [layer for _ in range(6) for layer in (nn.Linear(4, 4), nn.Tanh(), nn.Dropout(0.3))]
        self.layers = nn.Sequential(*layers)

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        outputs = self.layers(batch.inputs)
        return StepOutput(outputs.square().mean(), outputs, {})


def bytes_kept_for_backward(model: nn.Module, batch: Batch) -> int:
    """Return how much a forward pass keeps for its backward pass, without the weights."""
    kept, weights = dict[int, int](), {p.untyped_storage().data_ptr() for p in model.parameters()}

    def pack(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return value

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        output = model(batch)
    output.loss.backward()
    return sum(kept.values())


DEEP = {
    name: replace(run, model=replace(run.model, depth=4)) for name, run in RUNS.items() if hasattr(run.model, "depth")
}
DEEP["chain"] = replace(RUNS["sample"], model=SimpleNamespace(build=Chain))


@pytest.mark.parametrize("config", DEEP.values(), ids=DEEP)
def test_recomputed_activations_give_equal_gradients_and_need_less_memory(config: Config) -> None:
    batch, found = batch_of(config, 16), list[tuple[int, list[Tensor | None]]]()
    for save_memory in (False, True):
        model = build(config).train()
        if save_memory:
            recompute(model)
        kept = bytes_kept_for_backward(model, batch)
        found.append((kept, [parameter.grad for parameter in model.parameters()]))
    torch.testing.assert_close(found[0][1], found[1][1], rtol=0, atol=0)
    assert found[1][0] < 0.7 * found[0][0]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@every_model
def test_cuda_and_cpu_agree(config: Config) -> None:
    model, batch = build(config).eval(), batch_of(config, 8)
    expected, device = answer(model, batch).outputs, torch.device("cuda")
    found = answer(model.to(device), batch.to(device)).outputs.cpu()
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    # copier: endfilter
