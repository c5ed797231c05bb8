# copier: filter replace("my_project", package_name)
"""The residual network adds to what it was given, halves the image by stages, and has the sizes of its paper."""

from pathlib import Path

import pytest
import torch
from torch import nn

from my_project import config as configs
from my_project.models.resnet import Block, Resnet, ResnetConfig
from my_project.types import Batch

SPECIFICATION = Path(__file__).with_name("specified_resnet.yaml")
both_kinds = pytest.mark.parametrize("pre_activation", [True, False])


def batch_of(size: int, height: int = 8, width: int = 8) -> Batch:
    return Batch(torch.rand(size, height, width), torch.arange(size) % 10, torch.arange(size))


@both_kinds
def test_a_block_without_weights_passes_on_what_it_was_given(pre_activation: bool) -> None:
    block = Block(16, 16, pre_activation=pre_activation)
    for layer in block.layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.zeros_(layer.weight)
    features = torch.rand(2, 16, 4, 4)  # none is negative, so that a ReLU behind it changes nothing
    torch.testing.assert_close(block(features), features, rtol=0, atol=0)


def test_only_a_block_with_pre_activation_leaves_its_way_past_without_a_relu() -> None:
    features = -torch.ones(1, 16, 4, 4)
    for pre_activation, low in ((True, -1.0), (False, 0.0)):
        block = Block(16, 16, pre_activation=pre_activation)
        for layer in block.layers:
            if isinstance(layer, nn.Conv2d):
                nn.init.zeros_(layer.weight)
        assert block(features).unique().tolist() == [low]


@both_kinds
def test_stages_double_the_channels_and_halve_the_image(pre_activation: bool) -> None:
    model, shapes = Resnet(ResnetConfig(depth=2, pre_activation=pre_activation)), list[tuple[int, ...]]()
    for block in model.stages:
        if isinstance(block, Block):
            block.register_forward_hook(lambda _, __, features: shapes.append(tuple(features.shape[1:])))
    model(batch_of(1))
    assert shapes == [(16, 8, 8)] * 2 + [(32, 4, 4)] * 2 + [(64, 2, 2)] * 2


@both_kinds
@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 9), (28, 28)])
def test_images_of_any_size_are_answered(pre_activation: bool, height: int, width: int) -> None:
    output = Resnet(ResnetConfig(depth=1, pre_activation=pre_activation))(batch_of(2, height, width))
    assert output.outputs.shape == (2, 10)
    assert output.loss.isfinite()


def test_pre_activation_leaves_a_way_for_the_gradient_through_every_block() -> None:
    """Scaled down to nothing, the layers of all blocks still let the first convolution learn."""
    model = Resnet(ResnetConfig(depth=4))
    for block in model.stages:
        if isinstance(block, Block):
            for parameter in block.layers.parameters():
                nn.init.zeros_(parameter)
    model(batch_of(8)).loss.backward()
    gradient = next(model.parameters()).grad
    assert gradient is not None
    assert gradient.any()


def test_the_specified_resnet_has_the_layers_and_parameters_of_its_paper() -> None:
    model = configs.load(SPECIFICATION).model.build()
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    assert len(layers) + 1 == 6 * 3 + 2 == 20  # 6n + 2, with the linear one
    widths = [16] * 7 + [32] * 6 + [64] * 6
    convolutions = sum(9 * old * new for old, new in zip([1, *widths], widths, strict=False))
    projections, norms, head = 16 * 32 + 32 * 64, 2 * sum(widths), 64 * 10 + 10
    count = sum(p.numel() for p in model.parameters())
    assert count == convolutions + projections + norms + head == 271_994
    assert round(count / 1e6, 2) == 0.27  # table 6
    assert model(batch_of(3)).outputs.shape == (3, 10)
    # copier: endfilter
