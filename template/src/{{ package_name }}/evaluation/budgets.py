"""What a model may cost: time to answer a row, memory, parameters, disk; for `profile` and `evaluate --gate`."""

import logging
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import quantiles

import torch
import yaml
from pydantic import PositiveFloat, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from ..data.loader import Dataset
from ..types import STRICT, Batch

WARM_UP, NUM_ANSWERS = 5, 60
FILE = Path(__file__).parents[1] / "commands" / "budgets.yaml"
REMEDIES = {
    "step_ms": "take a smaller model or batch",
    "latency_ms": "take a smaller model",
    "memory_gb": "take a smaller model or batch",
    "parameters": "take a smaller model",
    "size_mb": "take a smaller model",
}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Budgets:
    """The most that may be spent; what is left out is not limited."""

    step_ms: PositiveFloat | None = None
    """median time of an update"""
    latency_ms: PositiveFloat | None = None
    """95th percentile of the time to answer one row"""
    memory_gb: PositiveFloat | None = None
    """peak memory of the device, of the process on a CPU"""
    parameters: PositiveFloat | None = None
    """numbers that the model learns"""
    size_mb: PositiveFloat | None = None
    """what the weights that an answer needs take on the disk, in 1e6 bytes"""


def read_budgets(path: Path) -> Budgets:
    """Read a file of budgets; ValueError says what is wrong with it."""
    if not path.is_file():
        raise ValueError(f"--budgets: {path} is not there; want a YAML file")
    try:
        budgets: Budgets = TypeAdapter(Budgets).validate_python(yaml.safe_load(path.read_text("utf-8")) or {})
    except ValidationError as error:
        wrong = error.errors()[0]
        where = ".".join(str(part) for part in wrong["loc"])
        raise ValueError(f"{path}: {where}: got {wrong['input']!r}; {wrong['msg']}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: want YAML ({' '.join(str(error).split())})") from None
    return budgets


def over(spent: dict[str, float], budgets: Budgets) -> list[str]:
    """Return a line for each budget that is broken: the figure, the limit, what to do."""
    limits = {name: getattr(budgets, name) for name in spent}
    broken = {name: most for name, most in limits.items() if most and spent[name] > most}
    return [f"{name} is {spent[name]:.4g}, at most {most:.4g}; {REMEDIES[name]}" for name, most in broken.items()]


def failures(model: nn.Module, data: Dataset) -> list[str]:
    """Return a line for each budget of the package that a model breaks as it answers a row on its own device."""
    device = next(model.parameters()).device
    row = data[torch.zeros(1, dtype=torch.long), 0].to(device)
    with gpu_memory(device) as taken:
        seconds, memory = latency(model, partial(answer, model, row)), taken()
    spent = {
        "latency_ms": seconds["p95"],
        "memory_gb": memory,
        "parameters": float(sum(p.numel() for p in model.parameters() if p.requires_grad)),
        "size_mb": size_mb(model),
    }
    return over(spent, read_budgets(FILE))


def answer(model: nn.Module, batch: Batch) -> None:
    """Answer a batch, to the end of what the device has to do."""
    outputs = model(batch, None).outputs
    if outputs.device.type == "cuda":
        outputs.sum().item()


@torch.inference_mode()
def latency(model: nn.Module, work: Callable[[], None], parts: int = 1) -> dict[str, float]:
    """Return the median and the 95th percentile of the time [ms] of work in eval mode, or of each of its parts."""
    times = list[float]()
    model.eval()
    for _ in range(WARM_UP + NUM_ANSWERS):
        started = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - started) / parts)
    cuts = quantiles(times[WARM_UP:], n=20)
    return {"p50": cuts[9], "p95": cuts[18]}


@contextmanager
def gpu_memory(device: torch.device) -> Iterator[Callable[[], float]]:
    """Count anew what a block takes on a GPU, and give back at its end what is no longer in use.

    Yields a function that returns the most memory [GB] so far; of a CPU it is what the process has ever taken.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    try:
        yield partial(peak_memory, device)
    finally:
        if device.type == "cuda":
            torch.cuda.empty_cache()


def peak_memory(device: torch.device) -> float:
    """Return the most memory [GB] that was in use: of the GPU, of the process on a CPU; NaN where nobody knows."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    try:
        import resource  # noqa: PLC0415 (Windows has none)
    except ImportError:
        logger.warning("memory is not measured: this system does not say what a process took")
        return math.nan
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def size_mb(model: nn.Module) -> float:
    """Return what a model's parameters and buffers take on the disk [1e6 bytes]; one of two names counts once."""
    kept = {id(part): part for part in model.state_dict(keep_vars=True).values() if isinstance(part, Tensor)}
    return sum(part.numel() * part.element_size() for part in kept.values()) / 1e6
