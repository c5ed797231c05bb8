# copier: filter replace("my_project", package_name)
"""What makes a memory faster changes nothing: no tape without a gradient, segments that fit a cache."""

from typing import Any

import pytest
import torch
from torch import Tensor

from my_project.models import memory as memories
from my_project.models.memory import NeuralMemoryConfig
from my_project.models.memory_update import Mixing, mix
from my_project.models.titans_mag import MagConfig

KINDS = [{"depth": depth, "residual": residual} for depth in (1, 2) for residual in (False, True)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
@pytest.mark.parametrize("length", [1, 7, 8, 9, 300])
def test_without_a_gradient_it_says_and_keeps_the_same(kind: dict[str, Any], length: int) -> None:
    torch.manual_seed(0)
    memory = NeuralMemoryConfig(dim=16, num_heads=2, chunk_size=8, **kind).build().double()
    x = torch.randn(3, length, 16, dtype=torch.double)
    outputs, state = memory(x)
    with torch.no_grad():
        fast, kept = memory(x)
    torch.testing.assert_close(fast, outputs.detach(), rtol=1e-10, atol=1e-10)
    for name, parts in state.items():
        torch.testing.assert_close(kept[name], [part.detach() for part in parts], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
@pytest.mark.parametrize(("length", "chunk_size"), [(1, 8), (9, 8), (24, 8), (5, 1)])
def test_what_is_exported_says_and_keeps_the_same(
    kind: dict[str, Any], length: int, chunk_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    memory = NeuralMemoryConfig(dim=16, num_heads=2, chunk_size=chunk_size, **kind).build().double()
    x = torch.randn(3, length, 16, dtype=torch.double)
    with torch.no_grad():
        outputs, state = memory(x)
        monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
        found, kept = memory(x)
    assert not torch.equal(found, torch.zeros_like(found))
    torch.testing.assert_close(found, outputs, rtol=1e-10, atol=1e-10)
    for name, parts in state.items():
        torch.testing.assert_close(kept[name], parts, rtol=1e-10, atol=1e-10)


def test_segments_are_read_one_after_the_other_as_if_they_were_one(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    stack = MagConfig(dim=16, num_heads=2, window=5, memory=NeuralMemoryConfig(chunk_size=8)).build().double()
    x = torch.randn(2, 101, 16, dtype=torch.double)
    whole, _ = stack(x)
    lengths, read = list[int](), stack.read

    def count(part: Tensor, state: Any) -> Any:
        lengths.append(part.shape[1])
        return read(part, state)

    monkeypatch.setattr(memories, "SEGMENT", 20)
    monkeypatch.setattr(stack, "read", count)
    with torch.no_grad():
        pieces, _ = stack(x)
    assert lengths == [16] * 6 + [5]
    torch.testing.assert_close(pieces, whole.detach(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("size", [4, 64, 256])
def test_single_precision_unrolls_gates_of_any_strength_as_double_does(size: int) -> None:
    """A product over a few mild gates is as exact behind strong ones as anywhere."""
    random = torch.Generator().manual_seed(0)
    strength = torch.tensor([1e-6, 1e-2, 1.0, 30.0])[torch.randint(4, (3, 8, 2, size), generator=random)]
    logs = -strength * torch.rand(3, 8, 2, size, generator=random)
    double, single = mix(*logs.double()), mix(*logs)
    for exact, found in zip(double, single, strict=True):
        torch.testing.assert_close(found.double(), exact, rtol=3e-5, atol=1e-7)


def one_by_one(log_keep: Tensor, log_momentum: Tensor, log_step: Tensor) -> Mixing:
    """Return the factors of weights, momentum and surprises [2 + C] after each token, by equations 13 and 14."""
    size = log_keep.shape[-1]
    units = torch.eye(2 + size, dtype=log_keep.dtype)
    weight, momentum = units[0], units[1]
    seen = list[Tensor]()
    for token in range(size):
        keep, last, step = (part[..., token, None].exp() for part in (log_keep, log_momentum, log_step))
        momentum = last * momentum + step * units[2 + token]
        weight = keep * weight + momentum
        seen.append(weight)
    factors, ends = torch.stack(seen, dim=-2), torch.stack([weight, momentum], dim=-1)
    return Mixing(factors[..., :2], factors[..., 2:], ends[..., 2:, :], ends[..., :2, :].mT)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 64, 100])
def test_gates_unrolled_in_pairs_are_those_unrolled_token_by_token(size: int) -> None:
    random = torch.Generator().manual_seed(0)
    logs = (-3 * torch.rand(3, 2, 4, size, generator=random, dtype=torch.double)).unbind()
    torch.testing.assert_close([*mix(*logs)], [*one_by_one(*logs)], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("size", [4, 5])
def test_the_gradient_of_unrolled_gates_is_that_of_finite_differences(size: int) -> None:
    random = torch.Generator().manual_seed(0)
    logs = [(-3 * torch.rand(1, 2, size, generator=random, dtype=torch.double)).requires_grad_() for _ in range(3)]
    assert torch.autograd.gradcheck(lambda *logs: tuple(mix(*logs)), logs)
    # copier: endfilter
