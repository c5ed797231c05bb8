"""Linear layers by oneDNN, where torch would take MKL: on processors not by Intel that is up to half as fast."""

import platform
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEAST = 2**21  # multiplications from which on it is faster: a call takes longer than MKL's
PLAIN = {Tensor, nn.Parameter}  # no piece of a distributed tensor, no tensor that only traces


class Product(torch.autograd.Function):
    """Rows times columns and a bias, [..., I] and [O, I] and [O] -> [..., O], and its gradient by the same means."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, columns: Tensor, bias: Tensor | None) -> Tensor:
        """Multiply [..., I] with [O, I] and add [O], and keep the factors."""
        ctx.save_for_backward(rows, columns)
        found: Tensor = torch.ops.mkldnn._linear_pointwise(rows, columns, bias, "none", [], "")  # noqa: SLF001
        return found

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients by rows, columns and bias; they have gradients of their own."""
        (slope,), (rows, columns), wanted = slopes, ctx.saved_tensors, ctx.needs_input_grad
        flat = slope.flatten(0, -2)
        return (
            linear(slope, columns.mT) if wanted[0] else None,
            linear(flat.mT, rows.flatten(0, -2).mT) if wanted[1] else None,
            flat.sum(0) if wanted[2] else None,
        )


@cache
def suits_mkl() -> bool:
    """Return whether the processor is one that MKL is made for."""
    listed = Path("/proc/cpuinfo")  # of Linux, where Python does not know the maker
    return "GenuineIntel" in (listed.read_text("utf-8") if listed.is_file() else platform.processor())


def pays(x: Tensor, weight: Tensor) -> bool:
    """Return whether oneDNN is there, and faster at this product of [..., I] and [O, I]."""
    on: Any = torch.backends.mkldnn.enabled
    return (
        not torch.compiler.is_compiling()  # first: a graph is for any number of rows
        and x.numel() * len(weight) >= LEAST
        and {x.dtype, weight.dtype} == {torch.float32}
        and {x.device.type, weight.device.type} == {"cpu"}
        and {type(x), type(weight)} <= PLAIN
        and not suits_mkl()
        and torch.backends.mkldnn.is_available()
        and bool(on)
        and not torch.is_autocast_enabled("cpu")
    )


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Do what `F.linear` does: [..., I], [O, I], [O] -> [..., O]."""
    if not pays(x, weight):
        return F.linear(x, weight, bias)
    apply: Any = Product.apply
    found: Tensor = apply(x, weight, bias)
    return found


class Linear(nn.Linear):
    """`nn.Linear` with that product."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name in torch
        """Map [..., I] -> [..., O]."""
        return linear(input, self.weight, self.bias)
