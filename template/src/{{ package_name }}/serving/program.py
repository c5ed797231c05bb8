"""A model as a function of plain tensors: what is exported, and what evaluation asks in a model's place."""

import math
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from ..config import Config
from ..types import UNKNOWN, Batch, Carry, StepOutput, map_carry

Form = Callable[..., Tensor]  # tensors [B, ...] in, answers [B, ...] out: a model, or a file that was made of it


class Program(nn.Module):
    """The outputs of a model for the tensors that its inputs consist of; the batch around them is made in here."""

    def __init__(self, model: nn.Module, like: Batch) -> None:
        super().__init__()
        self.model, self.like = model.eval(), like.map(lambda part: part[:0])  # dtypes and shapes of rows
        self.widths = widths(self, parts(like.inputs))

    def tensors(self, batch: Batch) -> dict[str, Tensor]:
        """Return what goes in for the rows of a batch, by name, without columns that no answer depends on."""
        return {
            name: tensor[..., : self.widths[name]] if name in self.widths else tensor
            for name, tensor in parts(batch.inputs).items()
        }

    def forward(self, *tensors: Tensor) -> Tensor:
        """Answer tensors [B, ...] with the model's outputs [B, ...]; nothing is carried from call to call."""
        rest, like = iter(tensors), self.like
        inputs = map_carry(like.inputs, lambda _: next(rest))
        index = torch.arange(tensors[0].shape[0], device=tensors[0].device)
        targets = torch.full_like(index, UNKNOWN)
        if isinstance(inputs, Tensor) and like.inputs.shape == like.targets.shape:  # a target for each token
            targets = torch.full_like(inputs, UNKNOWN)
        elif like.targets.ndim > 1 or like.targets.is_floating_point():
            nothing = 0.0 if like.targets.is_floating_point() else UNKNOWN
            size = tensors[0].shape[0], *like.targets.shape[1:]
            targets = torch.full(size, nothing, dtype=like.targets.dtype, device=index.device)
        outputs: Tensor = self.model(Batch(inputs, targets, index), None).outputs
        return outputs

    def answered_by(self, form: Form) -> nn.Module:
        """Return a model for evaluation whose answers come from another form of it."""
        return Answered(form, self.tensors)


class Answered(nn.Module):
    """A model whose answers come from elsewhere, as from a file; it knows no loss and carries nothing."""

    form: Form

    def __init__(self, form: Form, tensors: Callable[[Batch], dict[str, Tensor]]) -> None:
        super().__init__()
        vars(self)["form"] = form  # no part of this module: a program that was opened knows no train() and eval()
        self.tensors = tensors
        self.place = nn.Parameter(torch.zeros(()))  # evaluation asks where a model's parameters lie

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Answer inputs [B, ...] with outputs [B, ...]."""
        return StepOutput(self.place.new_full((), math.nan), self.form(*self.tensors(batch).values()), {})


def parts(inputs: Any) -> dict[str, Tensor]:
    """Return the tensors that inputs consist of, by name: `inputs`, or the keys that lead to each."""
    if isinstance(inputs, Tensor):
        return {"inputs": inputs}
    pairs = inputs.items() if isinstance(inputs, dict) else enumerate(inputs)
    return {
        str(key) if name == "inputs" else f"{key}_{name}": tensor
        for key, value in pairs
        for name, tensor in parts(value).items()
    }


@torch.inference_mode()
def widths(program: nn.Module, tensors: dict[str, Tensor]) -> dict[str, int]:
    """Return how many columns of tokens [B, ..., L] answers depend on, where others only make a loss, by name."""
    draw, found, expected = torch.Generator().manual_seed(0), dict[str, int](), program(*tensors.values())

    def idle(name: str, width: int) -> bool:
        tensor = tensors[name]
        low, high = int(tensor.min()), int(tensor.max()) + 1
        other = torch.randint(low, high, tensor[..., width:].shape, generator=draw, dtype=tensor.dtype)
        changed = {**tensors, name: torch.cat([tensor[..., :width], other], dim=-1)}
        return torch.equal(program(*changed.values()), expected)

    for name, tensor in tensors.items():
        if tensor.ndim > 1 and not tensor.is_floating_point() and idle(name, last := tensor.shape[-1] - 1):
            found[name] = next(width for width in range(1, last + 1) if idle(name, width))
    return found


def program_of(config: Config, model: nn.Module, like: Batch) -> Any:
    """Make the program of a model for rows like those of a batch: that of the task's own file, if it has one."""
    own = f"{__package__}.{config.data.task}_program"
    program: type[nn.Module] = import_module(own).Program if find_spec(own) else Program
    return program(model, like).eval()
