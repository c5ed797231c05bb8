# copier: filter replace("my_project", package_name)
"""A backbone of timm: its weights, its preprocessing, frozen or at a learning rate of its own."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from my_project import config as configs
from my_project import run as commands
from my_project.config import Config
from my_project.models.timm_classifier import TimmClassifierConfig
from my_project.training import storage
from my_project.types import Batch

timm: Any = pytest.importorskip("timm", reason="needs timm: uv sync installs it")
SHORT = {"train.steps": 4, "train.eval_every": 4, "train.log_every": 4, "optim.warmup_steps": 0}


def images(count: int, size: int = 8) -> Batch:
    draw = torch.Generator().manual_seed(0)
    index = torch.arange(count)
    return Batch(torch.rand(count, size, size, generator=draw), index % 10, index)


def config(**options: Any) -> Config:
    return configs.load("timm", {**SHORT, **{name.replace("__", "."): value for name, value in options.items()}})


@pytest.fixture
def weights(workspace: Path) -> Path:
    """A file as `timm` reads it: the backbone of the preset and a head of 1,000 classes."""
    torch.manual_seed(7)
    model = config().model
    whole = timm.create_model(model.backbone, num_classes=1000, **model.settings)
    torch.save(whole.state_dict(), workspace / "weights.pth")
    return workspace / "weights.pth"


def test_training_begins_with_the_weights_of_a_file(weights: Path) -> None:
    begun = config(model__weights=str(weights))
    model = commands.build(begun, begun.data.build("train"))
    expected, found = torch.load(weights, weights_only=True), model.backbone.state_dict()
    assert len(found) > 20
    assert all(torch.equal(found[name], expected[name]) for name in found)


def test_a_trained_run_needs_its_pretrained_weights_no_more(weights: Path) -> None:
    run = commands.fit(config(model__weights=str(weights)))
    weights.unlink()
    assert commands.evaluate(run)["primary"] == "accuracy"


def test_a_frozen_backbone_stays_as_it_is_and_the_head_learns(weights: Path) -> None:
    run = commands.fit(config(model__weights=str(weights), optim__freeze=["backbone"]))
    state, before = storage.load_checkpoint(run / "best.pt")["model"], torch.load(weights, weights_only=True)
    backbone = {name.removeprefix("backbone."): value for name, value in state.items() if name.startswith("backbone.")}
    assert all(torch.equal(value, before[name]) for name, value in backbone.items())
    torch.manual_seed(0)
    assert not torch.equal(state["head.weight"], config().model.build().head.weight)


def test_running_means_of_a_frozen_backbone_do_not_move() -> None:
    model = config(model__backbone="resnet10t", model__settings={}).model.build()
    model.backbone.requires_grad_(requires_grad=False)
    before = {name: value.clone() for name, value in model.backbone.named_buffers()}
    model.train()
    model(images(8))
    assert any("running_mean" in name for name in before)
    assert all(torch.equal(value, before[name]) for name, value in model.backbone.named_buffers())
    model.backbone.requires_grad_(requires_grad=True)
    model.train()
    model(images(8))
    assert any(not torch.equal(value, before[name]) for name, value in model.backbone.named_buffers())


def test_backbone_and_head_have_learning_rates_of_their_own() -> None:
    given = config(optim__lr=0.01, optim__lr_scales={"backbone": 0.1, "head": 2})
    optimization = given.optim.build(given.model.build(), 100)
    rates = {name.partition(".")[0]: group["lr"] for group in optimization.param_groups for name in group["names"]}
    assert rates == {"backbone": pytest.approx(0.001), "head": pytest.approx(0.02)}


def test_the_backbone_sees_images_as_it_was_trained_to() -> None:
    model, seen = config().model.build().eval(), list[Tensor]()
    model.backbone.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    white = Batch(torch.ones(2, 8, 8), torch.zeros(2, dtype=torch.long), torch.arange(2))
    model(white)
    size, given = model.config.image_size, model.backbone.pretrained_cfg
    assert seen[0].shape == (2, 3, size, size)
    expected = (1 - torch.tensor(given["mean"])) / torch.tensor(given["std"])
    torch.testing.assert_close(seen[0].mean(dim=(0, 2, 3)), expected)


@pytest.mark.parametrize(
    ("backbone", "settings", "image_size"),
    [
        ("resnet10t", {}, 32),
        ("test_vit", {"img_size": 32, "patch_size": 8}, 32),
        ("test_efficientnet", {}, 32),
    ],
)
def test_other_backbones_train_as_well(backbone: str, settings: dict[str, Any], image_size: int) -> None:
    given = {"model__backbone": backbone, "model__settings": settings, "model__image_size": image_size}
    model: nn.Module = config(**given).model.build()
    for count in (0, 3):
        output = model(images(count))
        assert output.outputs.shape == (count, 10)
    output.loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"model__backbone": "resnext"}, "model.backbone: got 'resnext'"),
        (
            {"model__settings": {"depths": "deep"}},
            "model.backbone: got 'convnext_atto', model.settings: got {'depths': 'deep'}",
        ),
        ({"model__weights": "nowhere.pth"}, "model.weights: got 'nowhere.pth'"),
    ],
)
def test_what_timm_does_not_like_is_said_in_one_line(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match="which timm cannot make") as raised:
        commands.fit(config(**options))
    assert str(raised.value).startswith(named)
    assert "\n" not in str(raised.value)


def test_timm_is_not_imported_before_it_is_needed() -> None:
    module = sys.modules[TimmClassifierConfig.__module__]
    assert "timm" in sys.modules
    assert timm not in vars(module).values()
    # copier: endfilter
