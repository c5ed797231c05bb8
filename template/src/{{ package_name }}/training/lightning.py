"""The same model, data and update in Lightning's loop, for its callbacks, profilers and strategies."""

import logging
import warnings
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ..data.loader import DataConfig, train_batches
from ..types import Batch, Carry, StepOutput, map_carry
from . import trainer
from .device import signals
from .optimizer import OptimConfig, Optimization

PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed"}


class LitModel(lightning.LightningModule):
    """A model with its update: what `lightning.Trainer.fit` takes."""

    def __init__(self, model: nn.Module, optim: OptimConfig | Optimization, num_steps: int) -> None:
        super().__init__()
        self.model, self.carry = model, None
        self.optimization = optim.build(model, num_steps) if isinstance(optim, OptimConfig) else optim
        self.save_hyperparameters({"num_steps": num_steps})
        self.norms: dict[str, Tensor] = {}  # of the last gradient
        self.scaler = torch.amp.GradScaler("cpu", enabled=False)

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Answer a batch."""
        output: StepOutput = self.model(batch, carry)
        return output

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Return the loss [] of a batch."""
        output = self(batch, self.carry)
        self.carry = map_carry(output.carry, Tensor.detach)
        self.log_dict({"loss": output.loss.detach(), **output.metrics}, batch_size=len(batch.index))
        loss: Tensor = output.loss
        return loss

    def validation_step(self, batch: Batch, _: int) -> None:
        """Log the loss of a batch that is not trained on."""
        self.log("val_loss", self(batch).loss, batch_size=len(batch.index))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer that Lightning asks for; it is never called, as the update is ours."""
        return torch.optim.SGD(self.model.parameters())

    def optimizer_step(self, *arguments: Any, **options: Any) -> None:
        """Update as our own loop does: clip, AdamW, averages, schedule."""
        closure = options.get("optimizer_closure") or arguments[3]
        closure()
        self.norms = self.optimization.step(self.scaler)


class LitData(lightning.LightningDataModule):
    """The loaders of a data config: what `lightning.Trainer.fit` takes beside the model."""

    def __init__(self, data: DataConfig, *, seed: int = 0, position: int = 0) -> None:
        super().__init__()
        self.data, self.seed, self.position = data, seed, position

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return endless, shuffled batches."""
        dataset = self.data.build("train", augment=True)
        return train_batches(dataset, self.data, seed=self.seed, position=self.position)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Return the validation split in order."""
        dataset = self.data.build("val")
        keys = [(rows, 0) for rows in torch.arange(len(dataset)).split(self.data.batch_size)]
        return DataLoader(dataset, sampler=keys, batch_size=None)  # its keys are whole batches


class Progress(Callback):
    """Tells our trainer of every update, so that it logs, evaluates and saves as ever."""

    def __init__(self, ours: "Trainer", stack: ExitStack) -> None:
        self.ours, self.before, self.stack = ours, ours.step, stack

    def on_train_start(self, *_: object) -> None:
        """Listen to signals from now on: Lightning, which listens since a moment, would end without a checkpoint."""
        self.ours.heard = self.stack.enter_context(signals())

    def on_train_batch_end(self, pl: lightning.Trainer, module: Any, outputs: Any, batch: Batch, _: int) -> None:
        """Note the loss, and after an update do what is due."""
        ours, step = self.ours, self.before + pl.global_step
        ours.losses.append(outputs["loss"].detach())
        ours.indices.append(batch.index)
        if step > ours.step:
            ours.recent["loss"].append(torch.stack(ours.losses).sum())
            for name, value in module.norms.items():
                ours.recent[name].append(value)
            ours.rows.append(ours.indices)
            ours.losses, ours.indices, ours.step, ours.carries = [], [], step, [module.carry]
            ours.after_step()
        pl.should_stop = bool(ours.heard or 0 < ours.config.patience <= ours.waited)


class Trainer(trainer.Trainer):
    """Our Trainer with Lightning's loop inside."""

    def fit(self, batches: Iterable[Batch], folder: Path, write: trainer.Write, save: trainer.Write) -> None:
        """Train until the budget, the patience or a signal ends it."""
        if self.config.precision not in PRECISIONS or self.config.tbptt > 1:
            raise ValueError("train.engine: lightning does not take tbptt or fp16 here; use --train.engine trainer")
        self.folder, self.write, self.save_checkpoint = folder, write, save
        self.losses, self.indices, self.heard = list[Tensor](), list[Tensor](), list[int]()
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        module = LitModel(self.model, self.optimization, self.config.steps)
        module.carry = self.carries[0]
        self.model.train()
        with ExitStack() as stack, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Lightning says of its own use of torch, and of loaders without end
            self.save()
            if self.step < self.config.steps:
                self.loop(Progress(self, stack)).fit(module, train_dataloaders=batches)
            self.save()

    def loop(self, progress: Progress) -> lightning.Trainer:
        """Return Lightning's trainer for the steps that are left."""
        return lightning.Trainer(
            accelerator="gpu" if self.device.type == "cuda" else self.device.type,
            devices=1,
            precision=PRECISIONS[self.config.precision],  # type: ignore[arg-type]  # one of its names
            max_steps=self.config.steps - self.step,
            accumulate_grad_batches=self.config.accumulate,
            callbacks=[progress],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=self.folder,
        )
