"""The trainer of this template, with little, its defaults, or all of its features on."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.peers import jobs
from benchmarks.peers.jobs import Data, Net
from my_project.data.digits import DigitsConfig
from my_project.data.loader import train_batches
from my_project.training.optimizer import OptimConfig
from my_project.training.storage import Journal, save_checkpoint
from my_project.training.trainer import TrainConfig, Trainer
from my_project.types import Batch, Carry, Measurement, StepOutput

NEVER = 10 * jobs.NUM_STEPS


class Answering(nn.Module):
    """A job's network under the template's contract."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Answer inputs [B, ...] with the loss; it carries nothing."""
        logits = self.net(batch.inputs)
        return StepOutput(F.cross_entropy(logits, batch.targets), logits, {})


class Rows:
    """A data set in memory under the template's contract."""

    def __init__(self, data: Data) -> None:
        self.inputs, self.targets = data

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, key: tuple[Tensor, int]) -> Batch:
        rows, _ = key
        return Batch(self.inputs.index_select(0, rows), self.targets.index_select(0, rows), rows)


def evaluate(_: nn.Module) -> Measurement:
    """Measure nothing: what an evaluation costs is not the trainer's."""
    return Measurement(primary="none", value=0.0, higher_is_better=True, metrics={})


def fit(net: Net, data: Data, train: dict[str, Any], optim: dict[str, Any]) -> None:
    """Train with these settings beside the job's own."""
    torch.manual_seed(jobs.SEED)
    config = TrainConfig(steps=jobs.NUM_STEPS, device="cpu", log_every=jobs.LOG_EVERY, **train)
    model = Answering(net)
    fixed: dict[str, Any] = {"lr": jobs.LR, "betas": jobs.BETAS, "weight_decay": jobs.WEIGHT_DECAY}
    trainer = Trainer(config, model, OptimConfig(warmup_steps=jobs.WARMUP, **fixed, **optim), evaluate, {})
    averages, names = trainer.optimization.averages, [f"net.{name}" for name, _ in net.named_parameters()]
    net.meter.averages = lambda: [averages[name] for name in names if averages]
    batches = train_batches(Rows(data), DigitsConfig(batch_size=len(data.inputs) // jobs.EPOCH), seed=jobs.SEED)
    journal = Journal(Path.cwd(), config.steps)
    with journal.bar:
        trainer.fit(batches, Path.cwd(), journal.write, save_checkpoint)


def plain(net: Net, data: Data) -> None:
    """Bar, log, schedule, and the guard with each line of the log."""
    fit(net, data, {"eval_every": NEVER}, {"grad_clip": 0.0, "ema_decay": 0.0})


def saving(net: Net, data: Data) -> None:
    """Train as `plain` does, and evaluate and save as by default."""
    fit(net, data, {}, {"grad_clip": 0.0, "ema_decay": 0.0})


def defaults(net: Net, data: Data) -> None:
    """As a new project trains."""
    fit(net, data, {}, {})


def everything(net: Net, data: Data) -> None:
    """Clipping, averaged weights and the norm of each layer's gradient as well."""
    fit(net, data, {"eval_every": NEVER, "monitor_layers": True}, {"grad_clip": jobs.CLIP, "ema_decay": jobs.EMA})
