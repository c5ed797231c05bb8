"""Whether a file answers as the model does that it was made of: on real rows, random ones, and at all limits."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from .program import Form

TOLERANCE = 1e-4  # largest absolute difference of any output
NUM_ROWS, UNSEEN = 64, 7  # rows that are compared; a batch of a size that the export never saw
NUM_EXAMPLES = 19  # rows of the export: a number that no size in a model is made of, so none is taken for it
Tensors = dict[str, Tensor]  # [B, ...] each, by name


def resized(tensors: Tensors, dynamic: dict[str, int], length: int) -> Tensors:
    """Return tensors [B, ..., L] whose last dimension may vary cut to a length, or repeated up to it."""
    places = {name: torch.arange(length) % tensors[name].shape[dim] for name, dim in dynamic.items()}
    return {n: t.index_select(dynamic[n], places[n]) if n in dynamic else t for n, t in tensors.items()}


def drawn(tensor: Tensor, low: Tensor, high: Tensor, draw: torch.Generator) -> Tensor:
    """Return random values of the shape of a tensor [B, ...] between limits [...]."""
    share = torch.rand(tensor.shape, generator=draw)
    if tensor.is_floating_point():
        return low + share * (high - low)
    return (low + (share * (high - low + 1)).long()).clamp(max=high).to(tensor.dtype)


def cases(tensors: Tensors, dynamic: dict[str, int]) -> Iterator[tuple[str, Tensors]]:
    """Yield names and inputs [B, ...] to be compared, made from real rows; `dynamic`: dimensions of lengths by name."""
    draw = torch.Generator().manual_seed(0)
    few = {name: tensor[:3] for name, tensor in tensors.items()}
    limits = {name: tensor.aminmax(dim=0) for name, tensor in tensors.items() if tensor.dtype != torch.bool}
    made: dict[str, Callable[[str, Tensor], Tensor]] = {
        "zeros": lambda _, t: torch.zeros_like(t),
        "lowest": lambda n, t: limits[n].min.expand_as(t).contiguous() if n in limits else torch.zeros_like(t),
        "highest": lambda n, t: limits[n].max.expand_as(t).contiguous() if n in limits else torch.ones_like(t),
    }
    yield "validation rows", tensors
    yield "random", {n: drawn(t, *limits[n], draw) if n in limits else t for n, t in tensors.items()}
    for name, make in made.items():
        yield name, {n: make(n, t) for n, t in few.items()}
    yield "one row", {n: t[:1] for n, t in tensors.items()}
    yield f"{UNSEEN} rows", {n: t[-UNSEEN:] for n, t in tensors.items()}
    if dynamic:
        yield "shortest length", resized(few, dynamic, 1)
        yield "longest length", resized(few, dynamic, max(few[n].shape[dim] for n, dim in dynamic.items()))


def difference(found: Tensor, expected: Tensor) -> dict[str, float]:
    """Return the largest difference of answers [B, ...], absolute and by the largest answer; infinite where one is."""
    if found.shape != expected.shape or not torch.equal(found.isfinite(), expected.isfinite()):
        return {"absolute": float("inf"), "relative": float("inf")}
    there = expected.isfinite()
    most = float((found[there].double() - expected[there].double()).abs().max()) if there.any() else 0.0
    largest = float(expected[there].abs().max()) if there.any() else 0.0
    return {"absolute": most, "relative": most / largest if largest else 0.0}


@torch.inference_mode()
def compare(form: Form, model: Form, tensors: Tensors, dynamic: dict[str, int]) -> dict[str, dict[str, float]]:
    """Return by case how far a form's answers lie from the model's, for cases made of tensors [B, ...]."""
    return {
        name: difference(form(*inputs.values()), model(*inputs.values())) for name, inputs in cases(tensors, dynamic)
    }
