"""How a classifier answers where inputs are changed a little on purpose: FGSM and PGD, beside noise of that size."""

import logging
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import run as commands
from ..training.storage import write_json
from ..types import Batch

HELP = "measure a run's accuracy under attack (FGSM, PGD); writes robustness.json"

logger = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> bool:
    """Say what the command takes; it does not take the options of a run."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder, runs/<preset>-<n>")
    parser.add_argument("--epsilons", default="0.02,0.05,0.1,0.2", metavar="X,...", help="changes (%(default)s)")
    parser.add_argument("--steps", type=int, default=20, metavar="N", help="of PGD (20)")
    parser.add_argument("--rows", type=int, default=300, metavar="N", help="validation rows that are attacked (300)")
    return False


def main(run: Path, *, epsilons: str, steps: int, rows: int) -> dict[str, Any]:
    """Attack a run's best weights on validation rows; epsilons are shares of the range of the inputs."""
    try:
        sizes = [float(word) for word in epsilons.split(",")]
    except ValueError:
        sizes = [-1.0]
    if min(sizes) <= 0 or steps < 1 or rows < 1:
        raise ValueError(f"--epsilons {epsilons}, --steps {steps}, --rows {rows}: want numbers above 0, as in 0.05,0.1")
    config, model, path = commands.open_run(run)
    data = config.data.build("val")
    batch = data[torch.arange(min(rows, len(data))), 0]
    numbers = isinstance(batch.inputs, Tensor) and batch.inputs.is_floating_point()
    if not numbers or batch.targets.ndim != 1 or batch.targets.is_floating_point():
        raise ValueError(f"{run}: want a classifier of numbers: FGSM and PGD change each of them a little")
    ends = float(batch.inputs.min()), float(batch.inputs.max())
    clean = accuracy(model, batch, batch.inputs)
    logger.info("epsilon  noise   FGSM    PGD  (without a change %.4f)", clean)
    table = list[dict[str, float]]()
    for size in sizes:
        table.append({"epsilon": size, **measure(model, batch, ends, size * (ends[1] - ends[0]), steps)})
        logger.info("%7.3f %6.4f %6.4f %6.4f", *table[-1].values())
    figures = {"split": "val", "rows": len(batch.index), "range": ends, "pgd_steps": steps, "clean": clean}
    write_json(path.with_name("robustness.json"), {**figures, "attacks": table})
    return {**figures, "attacks": table}


def measure(model: nn.Module, batch: Batch, ends: tuple[float, float], size: float, steps: int) -> dict[str, float]:
    """Return the accuracy under changes of at most `size`: random ones, one step of FGSM, many of PGD."""
    torch.manual_seed(0)
    noise = batch.inputs + size * (2 * torch.randint_like(batch.inputs, 2) - 1)
    found = {
        "noise": noise.clamp(*ends),
        "fgsm": fgsm(model, batch, ends, size),
        "pgd": pgd(model, batch, ends, size, steps),
    }
    return {name: accuracy(model, batch, inputs) for name, inputs in found.items()}


def fgsm(model: nn.Module, batch: Batch, ends: tuple[float, float], size: float) -> Tensor:
    """Return inputs [B, ...] moved by `size` where the loss rises (Goodfellow et al. 2015, section 4)."""
    moved: Tensor = batch.inputs + size * slope(model, batch, batch.inputs).sign()
    return moved.clamp(*ends)


def pgd(model: nn.Module, batch: Batch, ends: tuple[float, float], size: float, steps: int) -> Tensor:
    """Return inputs [B, ...] after steps up the loss from a random start, `size` away at most (Madry et al. 2018)."""
    inputs: Tensor = batch.inputs + size * (2 * torch.rand_like(batch.inputs) - 1)
    for _ in range(steps):
        moved = inputs.clamp(*ends) + 2.5 * size / steps * slope(model, batch, inputs.clamp(*ends)).sign()
        inputs = torch.clamp(moved, batch.inputs - size, batch.inputs + size)
    return inputs.clamp(*ends)


def slope(model: nn.Module, batch: Batch, inputs: Tensor) -> Tensor:
    """Return how the loss of each row changes with its inputs [B, ...]."""
    inputs = inputs.detach().requires_grad_()
    logits = model(Batch(inputs, batch.targets, batch.index), None).outputs
    (gradient,) = torch.autograd.grad(F.cross_entropy(logits, batch.targets, reduction="sum"), inputs)
    return gradient


@torch.inference_mode()
def accuracy(model: nn.Module, batch: Batch, inputs: Tensor) -> float:
    """Return how many of the answers to inputs [B, ...] are right."""
    answers = model(Batch(inputs, batch.targets, batch.index), None).outputs.argmax(1)
    return float((answers == batch.targets).double().mean())
