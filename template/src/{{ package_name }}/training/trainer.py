"""The training loop: it knows batches, a carry and a loss, and no model, data or metric."""

import logging
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any, Literal

import torch
from pydantic import NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from ..types import STRICT, Batch, Carry, Measurement, StepOutput
from .checkpoint import copy_checkpoint, save_checkpoint
from .journal import Journal
from .optimizer import Optimization

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrainConfig:
    """Settings of the loop."""

    steps: PositiveInt = 600
    """updates of the weights"""
    seed: NonNegativeInt = 0
    out: str = ""
    """run folder; empty: the next free runs/<preset>-<n>"""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """auto takes the best there is; one that is named must be there"""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """number format of the forward pass; fp16 needs a CUDA device"""
    accumulate: PositiveInt = 1
    """batches whose gradients make one update"""
    log_every: PositiveInt = 20
    """updates between two lines on the training loss; one that is not finite stops the run"""
    eval_every: PositiveInt = 100
    """updates between two evaluations, each with a checkpoint"""
    patience: NonNegativeInt = 0
    """evaluations without a better value after which the run stops; 0: never"""
    monitor_layers: bool = False
    """log the gradient norm of every parameter as well"""
    compile: bool = False
    """use torch.compile: slow to begin, then faster for large models"""
    deterministic: bool = False
    """refuse operations that could differ from run to run; CPU runs repeat exactly without it"""


def choose_device(name: str, *, deterministic: bool = False) -> torch.device:
    """Return the device of that name, set up; raises OSError where a named one is missing."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device in there if there[device])
        logger.info("training on %s", name)
    if not there[name]:
        raise OSError(f"train.device: {name} is not there; use auto or cpu")
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(mode=True)
    return torch.device(name)


class Trainer:
    """Trains a model that answers `model(batch, carry)` with a `StepOutput`."""

    step = position = waited = signal = 0  # updates, batches, evaluations since the best, what stopped the run
    best: float | None = None
    carry: Carry = None

    def __init__(
        self,
        config: TrainConfig,
        model: nn.Module,
        optimization: Optimization,
        evaluate: Callable[[nn.Module], Measurement],
        run_config: dict[str, Any],
    ) -> None:
        self.config, self.model, self.optimization = config, model, optimization
        self.evaluate, self.run_config = evaluate, run_config
        self.device = next(model.parameters()).device
        if config.precision == "fp16" and self.device.type != "cuda":
            raise ValueError(f"train.precision: fp16 needs cuda, not {self.device.type}; use bf16")
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=config.precision == "fp16")
        self.forward: Callable[[Batch, Carry], StepOutput] = torch.compile(model) if config.compile else model
        self.recent: dict[str, list[Tensor]] = {}  # measured since the last line, not yet read

    def fit(self, batches: Iterable[Batch], journal: Journal) -> None:
        """Train until the budget, the patience or a signal ends it."""
        dtype = torch.float16 if self.config.precision == "fp16" else torch.bfloat16
        mixed = torch.autocast(self.device.type, dtype, enabled=self.config.precision != "fp32")
        self.model.train()
        with journal.bar, self.signals():
            for batch in batches:
                if self.step >= self.config.steps or 0 < self.config.patience <= self.waited or self.signal:
                    break
                with mixed:
                    output = self.forward(batch.to(self.device), self.carry)
                self.carry = output.carry
                if self.update(output):
                    self.after_step(journal)

    def update(self, output: StepOutput) -> bool:
        """Go back from the loss; with every `accumulate`-th batch update the weights and say so."""
        self.scaler.scale(output.loss / self.config.accumulate).backward()
        self.note(loss=output.loss, **output.metrics)
        self.position += 1
        if self.position % self.config.accumulate:
            return False
        self.step += 1
        if self.config.monitor_layers and self.step % self.config.log_every == 0:
            grads = {name: p.grad for name, p in self.model.named_parameters() if p.grad is not None}
            self.note(**{f"grad_norm/{name}": grad.norm() for name, grad in grads.items()})
        norm = self.optimization.step(self.scaler)
        if norm is not None:
            self.note(grad_norm=norm)
        return True

    def note(self, **values: Tensor) -> None:
        """Keep values [] for the next line of the journal, without waiting for the device."""
        for name, value in values.items():
            self.recent.setdefault(name, []).append(value.detach())

    def after_step(self, journal: Journal) -> None:
        """Log, evaluate and save when it is time."""
        measure = self.step % self.config.eval_every == 0 or self.step == self.config.steps
        if self.step % self.config.log_every == 0 or measure or self.signal:
            self.log(journal)
        if measure or self.signal:
            self.save(journal.folder, best=measure and self.measure(journal))

    def log(self, journal: Journal) -> None:
        """Write the means since the last line; raises FloatingPointError at a loss that is not finite."""
        values, self.recent = {name: torch.stack(recent) for name, recent in self.recent.items()}, {}
        bad = (~values["loss"].isfinite()).nonzero().flatten()
        if len(bad):
            step = (self.position - len(values["loss"]) + int(bad[0])) // self.config.accumulate + 1
            hint = f"any checkpoint in {journal.folder} is from before; try a lower --optim.lr"
            raise FloatingPointError(f"the loss became {float(values['loss'][bad[0]])} in step {step}; {hint}")
        means = {name: float(value.mean()) for name, value in values.items()}
        journal.write(self.step, "train", means | {"lr": self.optimization.lr})

    def measure(self, journal: Journal) -> bool:
        """Evaluate the (averaged) weights; return whether they are the best so far."""
        with self.optimization.averaged():
            measurement = self.evaluate(self.model)
        self.model.train()
        journal.write(self.step, "val", measurement.metrics)
        if measurement.beats(self.best):
            self.best, self.waited = measurement.value, 0
        else:
            self.waited += 1
            self.optimization.stagnated(self.waited)
        return self.waited == 0

    def save(self, folder: Path, *, best: bool) -> None:
        """Write last.pt, keep the one before as previous.pt, and the best one as best.pt."""
        last = folder / "last.pt"
        if last.exists():
            copy_checkpoint(last, folder / "previous.pt")
        save_checkpoint(last, self.state_dict())
        if best:
            copy_checkpoint(last, folder / "best.pt")

    def state_dict(self) -> dict[str, Any]:
        """Return everything that an exact resume needs."""
        return {
            "config": self.run_config,
            "model": self.model.state_dict(),
            "optimization": self.optimization.state_dict(),
            "trainer": {key: getattr(self, key) for key in ("step", "position", "waited", "best")},
            "scaler": self.scaler.state_dict(),
            "carry": self.carry,
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where a checkpoint was written."""
        for part in ("model", "optimization", "scaler"):
            getattr(self, part).load_state_dict(state[part])
        vars(self).update(state["trainer"], carry=state["carry"])
        torch.set_rng_state(state["rng"])
        for number, rng in enumerate(state["cuda_rng"][: torch.cuda.device_count()]):
            torch.cuda.set_rng_state(rng, number)

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Let SIGINT, SIGTERM or SIGUSR1 end the run after a step, a second one at once."""
        heard = ("SIGINT", "SIGTERM", "SIGUSR1") if current_thread() is main_thread() else ()
        numbers = [getattr(signal, name) for name in heard if hasattr(signal, name)]

        def stop(number: int, _: object) -> None:
            self.signal = number
            signal.signal(number, old[number])

        old = {number: signal.signal(number, stop) for number in numbers}
        try:
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)
