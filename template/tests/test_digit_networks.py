# copier: filter replace("my_project", package_name)
"""What the networks for images claim beyond what every model must do."""

from typing import Any

import pytest
import torch
from torch import nn

from my_project import config as configs

NAMES = sorted(path.stem for path in configs.PRESETS.glob("*.yaml"))
DIGITS = [name for name in NAMES if configs.load(name).data.kind == "digits"]
PRESETS = [name for name in DIGITS if not hasattr(configs.load(name).model, "library")]  # that has a test of its own


@pytest.mark.parametrize("preset", PRESETS)
def test_logits_have_a_column_for_each_class(preset: str) -> None:
    config = configs.load(preset)
    for size in (0, 1, 3):
        batch = config.data.build("train")[torch.arange(size), 0]
        assert config.model.build()(batch).outputs.shape == (size, len(config.data.labels))


def test_depth_zero_is_one_linear_layer() -> None:
    model = configs.load("linear").model.build()
    assert [type(m) for m in model.modules() if not list(m.children())] == [nn.Flatten, nn.Linear]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"model.kind": "transformer", "model.patch_size": 3}, "model: patch_size 3 must divide image_size 8"),
        ({"model.kind": "transformer", "model.num_heads": 5}, "model: num_heads 5 must divide dim 64"),
        ({"model.kind": "cnn", "model.dim": 12}, "model.dim: got 12, want a multiple of 8"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_in_one_line(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        configs.load(overrides=overrides)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
    # copier: endfilter
