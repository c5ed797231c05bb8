"""Where the time and the memory of training go: a short run of the real trainer, with a watch on each of its parts."""

import json
import logging
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .. import run
from ..config import DEFAULT_PRESET, load, to_dict
from ..data.loader import Dataset, train_batches
from ..evaluation.budgets import FILE, WARM_UP, answer, gpu_memory, latency, over, read_budgets, size_mb
from ..training.storage import seed_everything
from ..training.trainer import Trainer
from ..types import Batch, map_carry
from .lr_find import nothing, unless_stopped, unmeasured

HELP = "measure step time by part, memory, latency; exit 1 where a budget is broken"
NUM_OPERATIONS = 12
NUM_WRITTEN = 8  # tokens, after one that is given

logger = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> bool:
    """Say what the command takes, and that it takes the options of a run as well."""
    parser.add_argument(
        "preset", nargs="?", default=DEFAULT_PRESET, metavar="PRESET", help="what to profile (%(default)s)"
    )
    parser.add_argument("--steps", type=int, default=40, metavar="N", help="updates to measure, after a few to warm up")
    parser.add_argument("--trace", type=Path, metavar="FILE", help="write a trace for chrome://tracing or Perfetto")
    parser.add_argument("--budgets", type=Path, metavar="FILE", help="YAML with the most that may be spent")
    return True


def main(
    preset: str, *, steps: int, trace: Path | None, budgets: Path | None, overrides: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Profile a preset; return all figures, or write them and raise SystemExit(1) where a budget is broken."""
    if steps < 1:
        raise ValueError(f"--steps: got {steps}, want 1 or more")
    limits = read_budgets(budgets or FILE)
    length = WARM_UP + steps + 1  # the last one also evaluates and saves
    config = load(preset, {**(overrides or {}), "train.steps": length, "train.eval_every": length})
    seed_everything(config.train.seed)
    data = config.data.build("train", augment=True)
    model = run.build(config, data)
    trainer = run.engine(config.train.engine)(config.train, model, config.optim, unmeasured, to_dict(config))
    watch = Watch(trainer, steps)
    with gpu_memory(trainer.device) as taken:  # by training alone, then by an answer as well
        operations, memory = fit(watch, train_batches(data, config.data, seed=config.train.seed), trace), taken()
        answers = answering(model, config.data.build("val"), trainer.device) | {"memory_gb": taken()}
    figures = {
        "steps": steps,
        "device": trainer.device.type,
        "gpu": "measured" if trainer.device.type == "cuda" else "skipped: this ran on the CPU",
        "batch": map_carry(data[torch.arange(min(len(data), config.data.batch_size)), 0].inputs, shape_of),
        "step_ms": watch.measured,
        "training_memory_gb": memory,
        **answers,
        "parameters": parameter_table(model),
        "size_mb": size_mb(model),
        "operations": operations,
    }
    if broken := over(spent(figures), limits):
        sys.stdout.write(json.dumps(figures, indent=2) + "\n")  # also what is too much was measured
        logger.error("over budget: %s", "; ".join(broken))
        raise SystemExit(1)
    return figures


def spent(figures: dict[str, Any]) -> dict[str, float]:
    """Return the figures that budgets limit, by the names that these have."""
    return {
        "step_ms": figures["step_ms"]["total"],
        "latency_ms": figures["latency_ms"]["p95"],
        "memory_gb": figures["memory_gb"],
        "parameters": figures["parameters"]["trainable"],
        "size_mb": figures["size_mb"],
    }


class Watch:
    """Stops the time that a trainer spends in its parts, over `steps` updates after a few to warm up."""

    def __init__(self, trainer: Trainer, steps: int) -> None:
        self.trainer, self.steps, self.started = trainer, steps, 0.0
        self.seconds: dict[str, float] = {}
        trainer.forward = self.timed("forward", trainer.forward)
        vars(trainer)["backward"] = self.timed("backward", trainer.backward)  # with the forward passes in it
        vars(trainer.optimization)["step"] = self.timed("optimizer", trainer.optimization.step)

    def now(self) -> float:
        """Return the time [s] at which the device has done all that it was given."""
        if self.trainer.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that does the same and adds its time to a part."""

        def call(*arguments: Any, **options: Any) -> Any:
            started = self.now()
            result = function(*arguments, **options)
            self.seconds[part] = self.seconds.get(part, 0.0) + self.now() - started
            return result

        return call

    def watched(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Pass batches on; the watch runs from the end of the warm-up until all steps are done."""
        fetch = self.timed("data", partial(next, iter(batches)))
        while True:
            if self.trainer.step == WARM_UP and not self.started:
                self.seconds, self.started = {}, self.now()
            if self.trainer.step == WARM_UP + self.steps and "total" not in self.seconds:
                self.seconds["total"] = self.now() - self.started
                self.seconds = dict(self.seconds)  # what follows goes elsewhere
                self.measured = self.milliseconds()
            yield fetch()

    def milliseconds(self) -> dict[str, float]:
        """Return the time of one update [ms] and of its parts."""
        spent = {part: 1000 * seconds / self.steps for part, seconds in self.seconds.items()}
        spent["backward"] -= spent["forward"]
        parts = {part: spent[part] for part in ("data", "forward", "backward", "optimizer")}
        return {**parts, "rest": spent["total"] - sum(parts.values()), "total": spent["total"]}


def fit(watch: Watch, batches: Iterable[Batch], trace: Path | None) -> list[dict[str, Any]]:
    """Train in a temporary run folder; return the operations that took longest where a trace is wanted."""
    profiler: Any = torch.profiler.profile() if trace else nullcontext()
    logger.info("measuring %d updates", watch.steps)
    with tempfile.TemporaryDirectory() as folder, profiler:
        watch.trainer.fit(watch.watched(batches), Path(folder), nothing, nothing)
    unless_stopped(watch.trainer)
    logger.info("an update takes %.3g ms", watch.measured["total"])
    if not trace:
        return []
    logger.info("writing %s", trace)
    profiler.export_chrome_trace(str(trace))
    longest = sorted(profiler.key_averages(), key=lambda event: -event.self_cpu_time_total)[:NUM_OPERATIONS]
    return [{"name": e.key, "calls": e.count, "self_cpu_ms": e.self_cpu_time_total / 1000} for e in longest]


def shape_of(tensor: Tensor) -> list[int]:
    """Return the sizes of a tensor [...]."""
    return list(tensor.shape)


def answering(model: nn.Module, dataset: Dataset, device: torch.device) -> dict[str, Any]:
    """Return how long an answer to one row takes and, where the model writes, a token."""
    logger.info("measuring the time of an answer")
    row, writes = dataset[torch.zeros(1, dtype=torch.long), 0].to(device), hasattr(model, "generate")
    return {
        "latency_ms": latency(model, partial(answer, model, row)),
        "token_ms": latency(model, partial(write, model, row), NUM_WRITTEN) if writes else None,
    }


def write(model: Any, batch: Batch) -> None:
    """Write tokens after the first one of a batch, one at a time, each from the state that those before it left."""
    model.generate(batch.inputs[:, :1], NUM_WRITTEN)  # it draws on the CPU, and so waits for the device


def parameter_table(model: nn.Module) -> dict[str, Any]:
    """Return how many numbers the model holds and learns, in all and by name."""
    rows = [
        {"name": name, "shape": list(p.shape), "count": p.numel(), "trainable": p.requires_grad}
        for name, p in model.named_parameters()
    ]
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return {"total": sum(p.numel() for p in model.parameters()), "trainable": trainable, "by_name": rows}
