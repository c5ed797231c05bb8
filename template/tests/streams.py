# copier: filter replace("my_project", package_name)
"""What the tests of networks that carry a state share: texts in pieces, what a state holds, runs that go on."""

from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from my_project import config as configs
from my_project import run as commands
from my_project.types import map_carry

Module = TypeVar("Module", bound=nn.Module)


def awake(module: Module, size: float = 0.2) -> Module:
    """Return a network in double precision with noise on its weights, so that none of them is at rest."""
    module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(size * torch.randn_like(parameter))
    return module


def leaves(state: Any) -> list[Tensor]:
    """Return the tensors of a state or carry."""
    found = list[Tensor]()
    map_carry(state, found.append)
    return found


def in_pieces(module: nn.Module, x: Tensor, pieces: list[int]) -> tuple[Tensor, Any]:
    """Return what a network makes of tokens [B, L, D] that come in pieces, side by side, and its last state."""
    parts, state = list[Tensor](), None
    for piece in x.split(pieces, dim=1):
        found, state = module(piece, state)
        parts.append(found)
    return torch.cat(parts, dim=1), state


def check_order(module: nn.Module, x: Tensor) -> None:
    """Change one token [B, L, D] after the other: nothing before it may change, everything from it on must."""
    before, _ = module(x)
    for place in range(x.shape[1]):
        changed = x.clone()
        changed[:, place] += 1
        after, _ = module(changed)
        torch.testing.assert_close(after[:, :place], before[:, :place], rtol=0, atol=0)
        assert not torch.isclose(after[:, place:], before[:, place:], rtol=0, atol=1e-9).all(2).any()


def check_resume(preset: str, options: dict[str, Any]) -> None:
    """Train six steps at once, and three and three: weights and carries must be the same."""
    options = options | {"optim.schedule": "constant", "train.eval_every": 3, "train.device": "cpu"}
    whole, first = (
        commands.fit(configs.load(preset, options | {"train.steps": steps, "train.out": f"{steps}"}))
        for steps in (6, 3)
    )
    commands.fit(configs.load(first / "config.yaml", {"train.steps": 6}), resume=first)
    saved = [torch.load(run / "last.pt", weights_only=True) for run in (first, whole)]
    for part in ("model", "carries"):
        ours, straight = (leaves(each[part]) for each in saved)
        torch.testing.assert_close(ours, straight, rtol=0, atol=0)
    assert leaves(saved[0]["carries"])
    # copier: endfilter
