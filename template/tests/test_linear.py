# copier: filter replace("my_project", package_name)
"""Linear layers by oneDNN are linear layers, and where it cannot help torch's own ones."""

import platform
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from my_project.models import linear as layers
from my_project.models.linear import Linear, linear, pays

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN")
SUITS_MKL = layers.suits_mkl


@pytest.fixture(autouse=True)
def _however_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "LEAST", 0)
    monkeypatch.setattr(layers, "suits_mkl", lambda: False)


def given(*shape: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Return rows [*shape, 24], columns and a bias."""
    random = torch.Generator().manual_seed(0)
    shapes = ((*shape, 24), (40, 24), (40,))
    return [torch.randn(size, generator=random, dtype=dtype).requires_grad_() for size in shapes]


def derivatives(apply: Any, tensors: list[Tensor]) -> list[Tensor]:
    """Return what a linear map gives, its gradients, and their gradients."""
    found = apply(*tensors)
    slope = torch.linspace(-1, 1, found.numel(), dtype=found.dtype).view_as(found).requires_grad_()
    first = torch.autograd.grad(found, tensors, slope, create_graph=True)
    total = torch.stack([part.square().sum() for part in first]).sum()
    second = torch.autograd.grad(total, [*tensors[:2], slope])
    return [found, *first, *second]


@pytest.mark.parametrize("shape", [(5,), (2, 7), (1, 3, 4)])
def test_values_gradients_and_their_gradients_are_those_of_torch(shape: tuple[int, ...]) -> None:
    tensors = given(*shape)
    assert pays(*tensors[:2])
    exact = derivatives(F.linear, [part.detach().double().requires_grad_() for part in tensors])
    for ours, theirs in zip(derivatives(linear, tensors), exact, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-5, atol=2e-5)


def test_a_layer_keeps_the_weights_of_torch_and_may_lack_a_bias() -> None:
    plain, ours = nn.Linear(24, 40, bias=False), Linear(24, 40, bias=False)
    ours.load_state_dict(plain.state_dict())
    rows = given(3)[0].detach()
    found = ours(rows)
    assert type(found.grad_fn).__name__ == "ProductBackward"
    torch.testing.assert_close(found, plain(rows), rtol=1e-5, atol=1e-5)
    found.sum().backward()
    torch.testing.assert_close(ours.weight.grad, rows.sum(0).expand(40, -1), rtol=1e-5, atol=1e-5)


def test_what_it_cannot_do_or_would_not_speed_up_is_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, columns, _ = given(3)
    assert not pays(rows.double(), columns.double())
    assert not pays(rows.to("meta"), columns.to("meta"))
    with torch.autocast("cpu", torch.bfloat16):
        assert not pays(rows, columns)
    with monkeypatch.context() as patch:
        patch.setattr(torch.backends.mkldnn, "enabled", False)
        assert not pays(rows, columns)
    assert pays(rows, columns)
    monkeypatch.setattr(layers, "LEAST", 3 * 24 * 40)
    assert pays(rows, columns)
    assert not pays(rows[:2], columns)
    monkeypatch.setattr(layers, "suits_mkl", lambda: True)
    assert not pays(rows, columns)


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize(("maker", "suits"), [("GenuineIntel", True), ("AuthenticAMD", False)])
def test_the_maker_of_the_processor_decides(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, maker: str, suits: bool, listed: bool
) -> None:
    if listed:
        (tmp_path / "cpuinfo").write_text(f"vendor_id\t: {maker}\n", "utf-8")
    monkeypatch.setattr(layers, "Path", lambda _: tmp_path / "cpuinfo")
    monkeypatch.setattr(platform, "processor", lambda: f"Family 6 Model 1, {maker}")
    found: Any = SUITS_MKL
    assert found.__wrapped__() is suits
    # copier: endfilter
