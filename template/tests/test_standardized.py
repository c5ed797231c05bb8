# copier: filter replace("my_project", package_name)
"""A scaler is fitted on the training rows only, lies in the checkpoint, and is the same at evaluation and in use."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from my_project.models.standardized import (
    Standardized,
    StandardizedConfig,
)
from my_project.types import Batch

from .sample import Net, NetConfig, Rows


@dataclass(frozen=True)
class LineConfig(NetConfig):
    input_shape: tuple[int, ...] = (4,)


def rows(count: int = 3000) -> Rows:
    draw = torch.Generator().manual_seed(0)
    return Rows(torch.randn(count, 4, generator=draw) * torch.tensor([1, 10, 0, 0.1]) + torch.tensor([0, 5, 3, -7.0]))


def model(**options: Any) -> Standardized:
    torch.manual_seed(0)
    return StandardizedConfig(base=LineConfig(), **options).build()


def test_the_scale_is_that_of_the_training_rows() -> None:
    scaler, data = model(), rows()
    scaler.prepare(data)
    torch.testing.assert_close(scaler.mean, data.inputs.mean(0))
    deviation = data.inputs.std(0, correction=0)
    torch.testing.assert_close(scaler.deviation, torch.where(deviation > 1e-6, deviation, 1.0))
    batch = data[torch.arange(8), 0]
    given = Batch((batch.inputs - scaler.mean) / scaler.deviation, batch.targets, batch.index)
    assert torch.equal(scaler.eval()(batch).outputs, scaler.base(given).outputs)


def test_all_numbers_of_an_image_may_have_one_scale() -> None:
    scaler, data = model(input_shape=()), rows()
    scaler.prepare(data)
    torch.testing.assert_close(scaler.mean, data.inputs.mean())
    torch.testing.assert_close(scaler.deviation, data.inputs.std(correction=0), rtol=1e-4, atol=0)


def test_it_lies_in_the_checkpoint_and_serves_without_the_data() -> None:
    scaler, served, data = model(), model(), rows()
    scaler.prepare(data)
    served.load_state_dict(scaler.state_dict())
    batch = data[torch.arange(8), 0]
    assert torch.equal(served.eval()(batch).outputs, scaler.eval()(batch).outputs)
    assert {"mean", "deviation"} <= scaler.state_dict().keys()


def test_a_base_that_wants_to_see_the_rows_sees_them() -> None:
    base = Net(NetConfig())
    seen = list[Any]()
    vars(base)["prepare"] = seen.append
    scaler, data = Standardized(base, (4,)), rows()
    scaler.prepare(data)
    assert seen == [data]


def test_a_base_without_a_shape_has_one_scale() -> None:
    config = StandardizedConfig(base=SimpleNamespace(build=lambda: Net(NetConfig())))
    assert config.build().mean.shape == ()
    with pytest.raises(ValueError, match="want a mapping with a kind"):
        StandardizedConfig(base=3)
    # copier: endfilter
