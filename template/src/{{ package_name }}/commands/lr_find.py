"""A learning rate to begin with: the loss while the rate rises from small to large (Smith 2017, section 3.3)."""

import logging
import math
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from .. import run
from ..config import DEFAULT_PRESET, load, to_dict
from ..data.loader import train_batches
from ..training.storage import seed_everything
from ..training.trainer import Trainer
from ..types import Batch, Carry, Measurement

FEWEST = 10  # updates that make a curve
HELP = "raise the learning rate step by step; suggest one to begin with"
NUM_LINES = 5  # that say how far it is
SMOOTHING, DIVERGED = 0.9, 4.0  # of the loss; how far above its best it may rise

logger = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> bool:
    """Say what the command takes, and that it takes the options of a run as well."""
    parser.add_argument(
        "preset", nargs="?", default=DEFAULT_PRESET, metavar="PRESET", help="what to train (%(default)s)"
    )
    parser.add_argument("--lowest", type=float, default=1e-6, metavar="X", help="rate of the first update (1e-6)")
    parser.add_argument("--highest", type=float, default=1.0, metavar="X", help="rate of the last update (1)")
    parser.add_argument("--steps", type=int, default=150, metavar="N", help="updates (150)")
    return True


def main(
    preset: str, *, lowest: float, highest: float, steps: int, overrides: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Train with a rising rate until the loss explodes; return the rate of its steepest fall, and the curve."""
    if not 0 < lowest < highest or steps < FEWEST:
        given = f"--lowest {lowest}, --highest {highest}, --steps {steps}"
        raise ValueError(f"{given}: want 0 < lowest < highest, and {FEWEST} steps or more")
    quiet = {f"train.{name}": steps for name in ("steps", "eval_every", "log_every")}
    config = load(preset, {**(overrides or {}), **quiet, "train.nonfinite": "skip", "optim.ema_decay": 0})
    seed_everything(config.train.seed)
    data = config.data.build("train", augment=True)
    model = run.build(config, data)
    trainer = run.engine(config.train.engine)(config.train, model, config.optim, unmeasured, to_dict(config))
    search = Search(trainer, lowest, highest)
    batches = train_batches(data, config.data, seed=config.train.seed)
    with tempfile.TemporaryDirectory() as folder:
        trainer.fit(search.watched(batches), Path(folder), nothing, nothing)
    unless_stopped(trainer)
    best = steepest(search.rates, search.losses)
    logger.info("the loss falls fastest at --optim.lr %.2g", best)
    curve = [{"lr": lr, "loss": loss} for lr, loss in zip(search.rates, search.losses, strict=True)]
    return {"lr": best, "curve": curve}


def nothing(*_: object, **__: object) -> None:
    """Write nothing and save nothing."""


def unmeasured(_: nn.Module) -> Measurement:
    """Stand in for the evaluation, which nobody waits for."""
    return Measurement(primary="none", value=0.0, higher_is_better=True, metrics={})


def unless_stopped(trainer: Trainer) -> None:
    """End with the exit status of the signal that stopped a training, if one did."""
    if trainer.heard:
        logger.warning("stopped by a signal at step %d, before anything was found", trainer.step)
        raise SystemExit(trainer.heard[0])


class Search:
    """Raises a trainer's learning rate by the same factor after each update, and keeps the smoothed losses."""

    def __init__(self, trainer: Trainer, lowest: float, highest: float) -> None:
        self.trainer, self.lowest, self.factor = trainer, lowest, highest / lowest
        self.every = max(1, trainer.config.steps // NUM_LINES)
        self.rates, self.losses, self.mean = list[float](), list[float](), 0.0
        self.update, self.last = trainer.backward, Tensor()
        vars(trainer)["backward"] = self.backward
        vars(trainer.optimization)["schedule"] = self.raise_rate
        self.raise_rate()

    def raise_rate(self) -> None:
        """Set the rate of the next update."""
        optimization = self.trainer.optimization
        optimization.lr = self.lowest * self.factor ** (optimization.num_updates / (self.trainer.config.steps - 1))
        for group in optimization.param_groups:
            group["lr"] = optimization.lr * group["lr_scale"]

    def backward(self, batches: tuple[Batch, ...]) -> tuple[Tensor, list[Carry]]:
        """Do what the trainer does, and keep the loss."""
        self.last, carries = self.update(batches)
        return self.last, carries

    def watched(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Pass batches on until the loss explodes; before each one, note the loss of the update before."""
        for batch in batches:
            rate, step = self.trainer.optimization.lr, self.trainer.step
            yield batch
            if self.trainer.step > step:
                self.mean = SMOOTHING * self.mean + (1 - SMOOTHING) * float(self.last)
                self.rates.append(rate)
                self.losses.append(self.mean / (1 - SMOOTHING ** len(self.rates)))
                if len(self.rates) % self.every == 0:
                    told = (len(self.rates), self.trainer.config.steps, rate, self.losses[-1])
                    logger.info("update %d of %d: rate %.2g, loss %.4g", *told)
                if not math.isfinite(self.mean) or self.losses[-1] > DIVERGED * min(self.losses):
                    return


def steepest(rates: list[float], losses: list[float]) -> float:
    """Return the rate at which the smoothed loss falls fastest over the logarithm of the rate, before its minimum."""
    lowest = max(2, losses.index(min(losses)))
    slopes = [(losses[i + 1] - losses[i - 1]) / math.log(rates[i + 1] / rates[i - 1]) for i in range(1, lowest)]
    return rates[1 + slopes.index(min(slopes))]
