"""A run in parts for a notebook: build, train an epoch, look, go on; the commands do not use it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from . import run as commands
from .config import Config, to_dict
from .data.loader import Dataset, read_manifest, train_batches
from .training import storage
from .training.optimizer import Optimization
from .types import Batch, Carry, Measurement, StepOutput

Criterion = Callable[[StepOutput, Batch], Tensor]


class Experiment:
    """What `train` does, in methods that a subclass may replace; `run` by itself ends with the figures of `train`."""

    def __init__(self, config: Config) -> None:
        storage.seed_everything(config.train.seed)
        self.config, self.history = config, list[dict[str, Any]]()  # the lines that train_epoch would write
        self.data, self.held_out = config.data.build("train", augment=True), config.data.build("val")
        self.model = self.build_model()
        parts = (self.model, config.optim, partial(measure, self), to_dict(config))
        self.trainer = commands.engine(config.train.engine)(config.train, *parts)
        self.optimizer = self.trainer.optimization = self.build_optimizer()
        self.criterion = self.build_criterion()
        self.trainer.forward = partial(judge, self, self.trainer.forward)

    def build_model(self) -> Any:
        """Make the model of the config."""
        return commands.build(self.config, self.data)

    def build_optimizer(self) -> Optimization:
        """Make what changes the weights: AdamW, its schedule, clipping, averages."""
        return self.config.optim.build(self.model, self.config.train.steps)

    def build_criterion(self) -> Criterion:
        """Make what is minimised, a function of a model's answer and the batch: here the loss that the model gave."""
        return lambda output, _: output.loss

    def train_epoch(self, batches: Iterable[Batch] | None = None) -> dict[str, Any]:
        """Train on these batches, or on what is left of an epoch; return the figures of its last updates."""
        length = max(1, len(self.data) // self.config.data.batch_size)
        endless, done = batches_of(self), self.trainer.step * self.config.train.accumulate
        chosen = islice(endless, length - done % length) if batches is None else batches
        self.trainer.fit(chosen, Path(), partial(note, self.history), lambda *_, **__: None)
        if self.trainer.heard:
            raise KeyboardInterrupt
        if self.trainer.recent.get("loss"):
            self.trainer.look(log=True)
        return [line for line in self.history if line["split"] == "train"][-1]

    def evaluate(self, data: Dataset | None = None) -> Measurement:
        """Measure the (averaged) weights on a data set, or on the validation split."""
        self.optimizer.swap_averages()
        try:
            return measure(self, self.model, data)
        finally:
            self.optimizer.swap_averages()

    def run(self) -> Path:
        """Train to the end of the budget, evaluate and report; return the run folder."""
        folder = storage.new_run_folder(self.config.name, self.config.train.out)
        manifest = storage.describe_run(read_manifest(self.config.data.root), self.config.train.seed)
        self.trainer.saved, self.trainer.best, self.trainer.waited = -1, None, 0  # nothing of it is in the folder
        with storage.locked(folder):
            journal = commands.begin(self.trainer, folder / "last.pt", self.config, manifest)
            with journal.bar:
                train_rest(self, folder, journal.write)
        if self.trainer.heard:
            raise KeyboardInterrupt
        commands.evaluate(folder)
        commands.report(folder)
        return folder


def judge(experiment: Experiment, forward: Any, batch: Batch, carry: Carry) -> StepOutput:
    """Answer a batch, with the loss that the criterion says."""
    output: StepOutput = forward(batch, carry)
    return replace(output, loss=experiment.criterion(output, batch))


def measure(experiment: Experiment, model: nn.Module, data: Dataset | None = None) -> Measurement:
    """Measure a model by the figures of the task."""
    rows = experiment.held_out if data is None else data
    found: Measurement = commands.task(experiment.config).measure(model, rows)
    return found


def train_rest(experiment: Experiment, folder: Path, write: Callable[..., None]) -> None:
    """Train to the end of the budget; where nothing is left of it, measure what there is."""
    trainer = experiment.trainer
    trainer.fit(batches_of(experiment), folder, write, storage.save_checkpoint)
    if trainer.best is None and not trainer.heard:
        trainer.saved = -1  # once more, as the best
        trainer.save(best=trainer.measure())


def batches_of(experiment: Experiment) -> Iterable[Batch]:
    """Return the endless batches that follow those that were trained on."""
    config, step = experiment.config, experiment.trainer.step
    return train_batches(experiment.data, config.data, seed=config.train.seed, position=step * config.train.accumulate)


def note(history: list[dict[str, Any]], step: int, split: str, values: Mapping[str, Any]) -> None:
    """Keep a line of what would be the journal."""
    history.append({"step": step, "split": split, **values})
