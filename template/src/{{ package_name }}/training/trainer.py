"""The training loop: it knows batches, a carry and a loss, and no model, data or metric."""

import logging
import signal
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext, suppress
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import torch
from pydantic import NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from ..types import HALVES, STRICT, Batch, Carry, Measurement, StepOutput, map_carry
from .device import batch_errors, choose_device, recompute, signals
from .optimizer import OptimConfig

logger = logging.getLogger(__name__)
MOST_SKIPPED = 10  # updates in a row that `nonfinite: skip` leaves out before it gives up
STATEFUL = ("model", "optimization", "scaler")
Evaluate = Callable[[nn.Module], Measurement]
Write = Callable[..., None]  # a line of the journal: step, split, values; a checkpoint: path, state, best


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrainConfig:
    """Settings of the loop."""

    steps: PositiveInt = 600  # updates of the weights
    seed: NonNegativeInt = 0
    out: str = ""  # run folder; empty: the next free runs/<preset>-<n>
    engine: str = "auto"  # file in training/ with the loop; auto: trainer, or distributed where torchrun started it
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"  # auto: the best there is; a named one must be there
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"  # number format of the forward pass; fp16 needs a CUDA device
    accumulate: PositiveInt = 1  # batches whose gradients make one update
    tbptt: PositiveInt = 1  # batches through whose carry the gradient flows back; it must divide `accumulate`
    recompute: bool = False  # save memory: compute the inside of each block again in the backward pass; same gradients
    nonfinite: Literal["stop", "skip", "raise"] = "stop"  # NaN, inf: stop at the next log line, skip it, raise at once
    log_every: PositiveInt = 20  # updates between two lines on the training loss, and two looks whether it is finite
    eval_every: PositiveInt = 100  # updates between two evaluations, each with a checkpoint
    patience: NonNegativeInt = 0  # evaluations without a better value after which the run stops; 0: never
    monitor_layers: bool = False  # log the gradient norm of every parameter as well
    compile: bool = False  # use torch.compile: slow to begin, then faster for large models
    deterministic: bool = False  # refuse operations that could differ from run to run; CPU runs repeat exactly anyway

    def __post_init__(self) -> None:
        if self.accumulate % self.tbptt:
            raise ValueError(f"tbptt {self.tbptt} must divide accumulate {self.accumulate}")


class Trainer:
    """Trains a model that answers `model(batch, carry)` with a `StepOutput`."""

    step = waited = skipped = 0  # updates; evaluations without a better value; updates in a row that were not finite
    best: float | None = None
    saved = -1  # the step of last.pt
    usual: Batch | None = None  # the last batch
    main = True  # whether this process writes to the run folder; of several, one does
    read: Callable[[Path], dict[str, Any]] | None = None  # of its checkpoints, if they are not ordinary ones
    share = staticmethod(lambda make, _: make())  # the run folder, for all processes; the second has to be equal in all

    def __init__(self, config: TrainConfig, model: nn.Module, optim: OptimConfig, evaluate: Evaluate, run: Any) -> None:
        self.config, self.model, self.evaluate, self.run = config, model, evaluate, run  # the config of all the run
        self.device = choose_device(config.device, deterministic=config.deterministic)
        if config.precision == "fp16" and self.device.type != "cuda":
            raise ValueError(f"train.precision: fp16 needs cuda, not {self.device.type}; use bf16")
        if config.recompute:
            recompute(model)
        self.forward: Callable[[Batch, Carry], StepOutput] = torch.compile(model) if config.compile else model
        self.optimization = optim.build(model.to(self.device), config.steps)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=config.precision == "fp16")
        dtype = torch.float16 if config.precision == "fp16" else torch.bfloat16
        self.mixed = nullcontext() if config.precision == "fp32" else torch.autocast(self.device.type, dtype)
        self.carries: list[Carry] = [None]  # of each part of the rows: several after memory ran out
        self.recent = defaultdict[str, list[Tensor]](list)  # measured since the last line of the journal
        self.rows: list[list[Tensor]] = []  # the row numbers of the batches behind it

    def fit(self, batches: Iterable[Batch], folder: Path, write: Write, save: Write) -> None:
        """Train until the budget, the patience or a signal ends it; all is saved, also where the surroundings fail."""
        self.folder, self.write, self.save_checkpoint = folder, write, save
        self.model.train()
        with signals() as self.heard:
            try:
                self.save()
                for group in self.fetch(batches):
                    self.update(group)
                    self.after_step()
            except OSError:  # the surroundings failed, and not in the middle of an update
                self.save()
                raise
            self.save()

    def fetch(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, ...]]:
        """Pass on the batches of one update after the other until the run ends; raises OSError where the data fail."""
        groups = zip(*[iter(batches)] * self.config.accumulate, strict=False)
        with suppress(ValueError, AttributeError):  # not in the main thread; no such signal on Windows
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's handler would raise in the middle of an update
        while not (self.heard or self.step >= self.config.steps or 0 < self.config.patience <= self.waited):
            try:
                group = next(groups, None)
            except Exception as error:
                group, kind = None, f"{type(error).__name__}: "
                what = kind + str(error).strip().rpartition("\n")[2].removeprefix(kind)
                if not self.heard:  # the signal may have reached the workers as well
                    raise OSError(f"no batch from data or worker after step {self.step}: {what}") from error
            if not group:
                return
            yield group

    def update(self, batches: tuple[Batch, ...]) -> None:
        """Change the weights once, by the gradient of the mean loss over these batches."""
        while True:
            with suppress(MemoryError), batch_errors(batches, self.usual):
                loss, self.carries = self.backward(batches)
                break
            self.divide(batches)  # not inside: an error that is being handled keeps its tensors alive
        self.step, self.usual = self.step + 1, batches[0]
        guard = self.config.nonfinite != "stop"
        layers = self.config.monitor_layers and self.step % self.config.log_every == 0
        for name, value in {"loss": loss, **self.optimization.step(self.scaler, guard=guard, layers=layers)}.items():
            self.recent[name].append(value)
        self.rows.append([batch.index for batch in batches])

    def backward(self, batches: tuple[Batch, ...]) -> tuple[Tensor, list[Carry]]:
        """Add up gradients, of one part of the rows after the other; return the mean loss [] and the parts' carries."""
        losses, carries, count = list[Tensor](), list[Carry](), len(self.carries)
        for part, carry in enumerate(self.carries):
            window, carried = list[Tensor](), carry
            for number, whole in enumerate(batches, start=1):
                batch = (whole if count == 1 else whole.split(count)[part]).to(self.device)
                with self.mixed:
                    output = self.forward(batch, carried)
                share = len(batch.index) / len(whole.index) / len(batches)
                window.append(output.loss if share == 1 else output.loss * share)
                carried = output.carry
                for name, value in output.metrics.items():
                    self.recent[name].append(value.detach())
                if number % self.config.tbptt == 0:
                    losses.append(sum(window[1:], start=window[0]))
                    self.scaler.scale(losses[-1]).backward()
                    window, carried = [], map_carry(carried, Tensor.detach)
            carries.append(carried)
        return sum((loss.detach() for loss in losses[1:]), start=losses[0].detach()), carries

    def divide(self, batches: tuple[Batch, ...]) -> None:
        """Let the rows take turns in twice as many parts from now on; raises MemoryError where they are too few."""
        self.model.zero_grad(set_to_none=True)
        count, rows = 2 * len(self.carries), min(len(batch.index) for batch in batches)
        if count > rows:
            raise MemoryError(f"out of memory in step {self.step + 1} with one row at a time; make the model smaller")
        self.carries = [map_carry(carry, half) for carry in self.carries for half in HALVES]
        logger.warning("out of memory: from now on the %d rows of a batch take turns in %d parts", rows, count)

    def after_step(self) -> None:
        """Log, evaluate and save when it is time."""
        log = self.step % self.config.log_every == 0
        measure = self.step % self.config.eval_every == 0 or self.step == self.config.steps
        if log or measure or self.config.nonfinite == "raise":
            self.look(log=log or measure)
        if measure:
            self.save(best=self.measure())

    def look(self, *, log: bool) -> None:
        """Read what was measured since the last line, act on what is not finite, write the next line."""
        values = {name: torch.stack(recent).tolist() for name, recent in self.recent.items()}
        losses = values["loss"]
        norms = losses if self.scaler.is_enabled() else values.get("grad_norm", losses)
        for back, (loss, norm) in enumerate(zip(losses, norms, strict=True), start=-len(losses)):
            self.skipped = 0 if isfinite(loss) and isfinite(norm) else self.skipped + 1
            if self.skipped:
                what = f"loss {loss}, gradient norm {norm}"
                rows = [index.tolist() for group in self.rows[back:][:1] for index in group]
                self.write(self.step + back + 1, "nonfinite", {"what": what, "rows": rows})
                if self.config.nonfinite != "skip" or self.skipped > MOST_SKIPPED:
                    where = f"metrics.jsonl in {self.folder} has its rows, last.pt the weights before it"
                    raise FloatingPointError(f"step {self.step + back + 1}: {what}; {where}; try a lower --optim.lr")
        if log:
            self.recent.clear()
            self.rows.clear()
            means = {name: fmean(kept) for name, each in values.items() if (kept := [*filter(isfinite, each)])}
            self.write(self.step, "train", means | {"lr": self.optimization.lr})

    def measure(self) -> bool:
        """Evaluate the (averaged) weights; return whether they are the best so far."""
        self.optimization.swap_averages()
        try:
            with batch_errors():
                measurement = self.evaluate(self.model)
        finally:
            self.optimization.swap_averages()
        self.model.train()
        self.write(self.step, "val", measurement.metrics)
        value, best = measurement.value, self.best
        better = best is None or (value > best if measurement.higher_is_better else value < best)
        self.best, self.waited = (value, 0) if better else (best, self.waited + 1)
        self.optimization.stagnated(self.waited)
        return better

    def save(self, *, best: bool = False) -> None:
        """Write last.pt if it is not there yet, and best.pt; weights that are not finite are never written."""
        if not isfinite(sum(parameter.sum().item() for parameter in self.model.parameters())):
            raise FloatingPointError(f"a weight is no longer finite in step {self.step}; last.pt is from before")
        if self.saved != self.step:
            self.save_checkpoint(self.folder / "last.pt", self.state_dict(), best=best)
            self.saved = self.step

    def state_dict(self) -> dict[str, Any]:
        """Return everything that an exact resume needs."""
        return {
            **{part: getattr(self, part).state_dict() for part in STATEFUL},
            "trainer": {key: getattr(self, key) for key in ("step", "waited", "skipped", "best")},
            "carries": self.carries,
            "recent": {name: torch.stack(values) for name, values in self.recent.items()},
            "rng": [torch.get_rng_state(), *torch.cuda.get_rng_state_all()],
            "config": self.run,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where a checkpoint was written."""
        for part in STATEFUL:
            getattr(self, part).load_state_dict(state[part])
        vars(self).update(state["trainer"], saved=state["trainer"]["step"])
        self.carries = map_carry(state["carries"], lambda rows: rows.to(self.device))
        self.recent.update({name: [*values.to(self.device)] for name, values in state["recent"].items()})
        torch.set_rng_state(state["rng"][0])
        for number, rng in enumerate(state["rng"][1 : 1 + torch.cuda.device_count()]):
            torch.cuda.set_rng_state(rng, number)
