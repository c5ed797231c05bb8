"""Accelerate, and the Trainer of transformers with its features off and by default."""

from typing import Any

from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import Trainer, TrainingArguments

from benchmarks.peers import jobs, loaders
from benchmarks.peers.jobs import Data, Net


class Losing(nn.Module):
    """A job's network as the Trainer wants it."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net

    def forward(self, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Answer inputs [B, ...] and targets [B] with the loss []."""
        logits = self.net(inputs)
        return {"loss": F.cross_entropy(logits, targets), "logits": logits}


class Given(Trainer):
    """The Trainer with a loader that it is given."""

    loader: DataLoader[loaders.Named]

    def get_train_dataloader(self) -> Any:
        """Return that loader."""
        return self.loader


def fit(net: Net, loader: DataLoader[loaders.Named], **settings: Any) -> None:
    """Train with these settings."""
    optimizer = jobs.adamw(net)
    arguments = TrainingArguments("out", max_steps=jobs.NUM_STEPS, use_cpu=True, report_to="none", **settings)
    trainer = Given(Losing(net), arguments, optimizers=(optimizer, LambdaLR(optimizer, jobs.lr_scale)))
    trainer.loader = loader
    trainer.train()


def off(net: Net, data: Data) -> None:
    """Train with everything off that can be."""
    silent = {"logging_strategy": "no", "save_strategy": "no", "disable_tqdm": True, "max_grad_norm": 0.0}
    fit(net, loaders.endless(data), **silent)


def defaults(net: Net, data: Data) -> None:
    """Train as the Trainer does if one asks for nothing."""
    fit(net, loaders.epochs(data))


def accelerate(net: Net, data: Data) -> None:
    """Train in a loop of one's own with Accelerate around its parts."""
    accelerator, optimizer = Accelerator(cpu=True), jobs.adamw(net)
    schedule = LambdaLR(optimizer, jobs.lr_scale)
    model, optimizer, loader, schedule = accelerator.prepare(net, optimizer, loaders.endless(data), schedule)
    model.train()
    for batch in loader:
        accelerator.backward(F.cross_entropy(model(batch["inputs"]), batch["targets"]))
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
