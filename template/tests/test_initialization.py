# copier: filter replace("my_project", package_name)
"""Signals and gradients keep their variance through many layers, or do not where the scheme is not made for it."""

import pytest
import torch
from torch import Tensor, nn

from my_project.models.initialization import SCHEMES, initialize

DEPTH, DIM = 40, 512


def deep(scheme: str, activation: type[nn.Module]) -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(*(part for _ in range(DEPTH) for part in (nn.Linear(DIM, DIM), activation())))
    initialize(model, scheme)
    return model


@torch.no_grad()
def spread(model: nn.Sequential, rows: int = 256) -> list[float]:
    """Return the mean square of the signal after each linear layer."""
    values, found = torch.randn(rows, DIM), list[float]()
    for layer in model:
        values = layer(values)
        if isinstance(layer, nn.Linear):
            found.append(float(values.square().mean()))
    return found


@pytest.mark.parametrize("scheme", ["kaiming_normal", "kaiming_uniform"])
def test_kaiming_keeps_the_variance_of_relu_layers(scheme: str) -> None:
    found = spread(deep(scheme, nn.ReLU))
    assert 0.2 < found[-1] / found[0] < 5


@pytest.mark.parametrize("scheme", ["xavier_normal", "xavier_uniform"])
def test_xavier_keeps_the_variance_of_linear_layers_and_loses_it_in_relu_layers(scheme: str) -> None:
    linear, relu = (spread(deep(scheme, activation)) for activation in (nn.Identity, nn.ReLU))
    assert 0.2 < linear[-1] / linear[0] < 5
    assert relu[-1] < 1e-9 * relu[0]


@pytest.mark.parametrize("scheme", ["xavier_normal", "xavier_uniform"])
def test_xavier_keeps_the_variance_of_gradients(scheme: str) -> None:
    model = deep(scheme, nn.Identity)
    values = torch.randn(64, DIM, requires_grad=True)
    out = model(values)
    seed = torch.randn_like(out)
    (grad,) = torch.autograd.grad(out, values, seed)
    assert 0.2 < float(grad.square().mean() / seed.square().mean()) < 5


def test_orthogonal_layers_keep_every_length_exactly() -> None:
    model, values = deep("orthogonal", nn.Identity), torch.randn(16, DIM)
    torch.testing.assert_close(model(values).norm(dim=1), values.norm(dim=1), rtol=1e-4, atol=1e-4)


def test_narrow_weights_are_as_narrow_as_they_say() -> None:
    layer = nn.Linear(400, 400)
    initialize(layer, "trunc_normal")
    assert float(layer.weight.detach().std()) == pytest.approx(
        0.02 * 0.88, rel=0.02
    )  # of a normal cut at two deviations
    assert float(layer.weight.detach().abs().max()) <= 0.04


class Residual(nn.Module):
    """Blocks that add what they compute to a stream, as in a transformer."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.enter = nn.ModuleList(nn.Linear(DIM, DIM) for _ in range(2 * depth))
        self.leave = nn.ModuleList(nn.ModuleDict({"out": nn.Linear(DIM, DIM)}) for _ in range(2 * depth))

    def forward(self, values: Tensor) -> Tensor:
        for enter, leave in zip(self.enter, self.leave, strict=True):
            values = values + leave["out"](torch.relu(enter(values)))  # type: ignore[index]  # a ModuleDict
        return values


@pytest.mark.parametrize(("scaled", "most"), [(True, 10.0), (False, float("inf"))])
def test_scaled_residual_layers_keep_the_stream_from_growing_with_depth(*, scaled: bool, most: float) -> None:
    torch.manual_seed(0)
    model, values = Residual(12), torch.randn(64, DIM)
    initialize(model, "kaiming_normal", residual=("out",) if scaled else (), depth=12)
    growth = float(model(values).detach().square().mean() / values.square().mean())
    assert growth < most
    assert scaled or growth > 1e4


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_reaches_every_layer_and_repeats_with_its_seed(scheme: str) -> None:
    weights = []
    for _ in range(2):
        torch.manual_seed(3)
        model = nn.Sequential(nn.Embedding(5, 8), nn.Conv2d(2, 4, 3), nn.Linear(8, 8, bias=False), nn.LayerNorm(8))
        before = [parameter.clone() for parameter in model.parameters()]
        initialize(model, scheme)
        weights.append([parameter.clone() for parameter in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))
    assert [torch.equal(a, b) for a, b in zip(before, weights[0], strict=True)] == [False] * 4 + [True] * 2
    assert not weights[0][2].any()


def test_an_unknown_scheme_or_layer_is_refused() -> None:
    with pytest.raises(ValueError, match="scheme: got 'he', want one of xavier_uniform"):
        initialize(nn.Linear(2, 2), "he")
    with pytest.raises(ValueError, match="no layer's name ends with 'out'"):
        initialize(nn.Sequential(nn.Linear(2, 2)), "orthogonal", residual=("out",))
    # copier: endfilter
