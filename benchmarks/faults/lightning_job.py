"""A training script for Lightning as its users write it: the same data, network, optimizer and schedule as ours."""

import argparse
import importlib
import math
import os
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from my_project.data.digits import BRIGHTEST, Digits, DigitsConfig
from my_project.models.mlp import MlpConfig
from my_project.types import Batch

lightning: Any = importlib.import_module("lightning")  # Any: it need not be there where the types are checked
ModelCheckpoint: Any = importlib.import_module("lightning.pytorch.callbacks").ModelCheckpoint
loggers: Any = importlib.import_module("lightning.pytorch.loggers")
strategies: Any = importlib.import_module("lightning.pytorch.strategies")
AsyncCheckpointIO: Any = importlib.import_module("lightning.pytorch.plugins.io").AsyncCheckpointIO


class DigitRows(Dataset[tuple[Tensor, Tensor, int]]):
    """One split, a row at a time."""

    def __init__(self, data: Digits) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data.inputs)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor, int]:
        return self.data.inputs[row], self.data.targets[row], row


class Job(lightning.LightningModule):  # type: ignore[misc]
    """The network, its loss, its optimizer; what the network hands itself is part of the checkpoint."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.settings, self.carry = argparse.Namespace(**settings), None
        model: nn.Module = MlpConfig(dim=self.settings.dim, dropout=self.settings.dropout).build()
        self.model = torch.compile(model) if self.settings.compile else model

    def configure_model(self) -> None:
        """Divide the weights among the processes, if asked to."""
        if self.settings.engine == "sharded":
            importlib.import_module("torch.distributed.fsdp").fully_shard(
                self.model, mesh=self.device_mesh["data_parallel"]
            )

    def training_step(self, rows: tuple[Tensor, Tensor, Tensor], _: int) -> Tensor | None:
        """Return the loss; with `--nonfinite skip` nothing for a loss that is not finite, which skips the update."""
        output = self.model(Batch(*rows), self.carry)
        self.carry = output.carry
        if self.settings.nonfinite == "skip" and not output.loss.isfinite():
            return None
        self.log("loss", output.loss)
        loss: Tensor = output.loss
        return loss

    def validation_step(self, rows: tuple[Tensor, Tensor, Tensor], _: int) -> None:
        """Log the loss on held-out rows."""
        self.log("val_loss", self.model(Batch(*rows), None).loss)

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW, a warmup, a cosine."""
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.settings.lr, betas=(0.9, 0.99))
        warmup: int = self.settings.warmup
        steps: int = self.settings.steps

        def scale(step: int) -> float:
            if step < warmup:
                return (step + 1) / warmup
            return 0.5 + 0.5 * math.cos(math.pi * min(1.0, (step - warmup) / max(1, steps - warmup)))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, scale)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what the network hands itself."""
        checkpoint["carry"] = self.carry

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take it up again."""
        self.carry = checkpoint["carry"]


def parse(words: list[str]) -> argparse.Namespace:
    """Read the script's options."""
    parser = argparse.ArgumentParser(prog="train.py")
    for name, default in (("steps", 40), ("every", 5), ("batch-size", 64), ("seed", 0), ("workers", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    for name, number in (("lr", 2e-3), ("dropout", 0.2), ("grad-clip", 1.0)):
        parser.add_argument(f"--{name}", type=float, default=number)
    for name, default in (("dim", 256), ("warmup", 5), ("accumulate", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    for name, text in (("out", "run"), ("device", "cpu"), ("folder", ""), ("resume", None)):
        parser.add_argument(f"--{name}", default=text)
    parser.add_argument("--nonfinite", choices=("stop", "skip", "raise"), default="stop")
    parser.add_argument("--engine", choices=("distributed", "sharded"), default="distributed")
    for name in ("compile", "asynchronous", "board"):
        parser.add_argument(f"--{name}", action="store_true")
    return parser.parse_args(words)


def opened(split: Literal["train", "val"], folder: str) -> Digits:
    """Open a split: the package's own, or a file of one's own as one reads it, without a look at its checksum."""
    if not folder:
        return DigitsConfig(shift=0).build(split)
    with np.load(Path(folder) / "digits.npz") as arrays:
        inputs, targets = (torch.from_numpy(arrays[f"{split}_{part}"]) for part in ("inputs", "targets"))
    return Digits(inputs.float() / BRIGHTEST, targets.long(), 0)


def strategy(engine: str, world: int) -> Any:
    """Return what processes do together that torchrun has started, and how long one waits for another."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return "auto"
    seconds = os.environ.get("DISTRIBUTED_TIMEOUT")
    waiting = {"timeout": timedelta(seconds=float(seconds))} if seconds else {}
    if engine == "sharded":
        return strategies.ModelParallelStrategy(data_parallel_size=world, tensor_parallel_size=1, **waiting)
    return strategies.DDPStrategy(**waiting) if waiting else "ddp"


def main(words: list[str]) -> None:
    """Train; keep the newest two checkpoints, and a copy of the last."""
    settings, world = parse(words), int(os.environ.get("WORLD_SIZE", "1"))
    lightning.seed_everything(settings.seed, workers=True)
    kept = {"save_top_k": 2, "monitor": "step", "mode": "max", "save_last": True}
    saver = ModelCheckpoint(settings.out, "{step}", every_n_train_steps=settings.every, **kept)
    loaders = [
        DataLoader(DigitRows(rows), settings.batch_size // world, shuffle=shuffle, num_workers=settings.workers)
        for rows, shuffle in ((opened("train", settings.folder), True), (opened("val", settings.folder), False))
    ]
    board = [loggers.TensorBoardLogger(Path(settings.out) / "tensorboard", "", "")] if settings.board else []
    trainer = lightning.Trainer(
        max_steps=settings.steps,
        accelerator=settings.device,
        devices=world,
        strategy=strategy(settings.engine, world),
        plugins=[AsyncCheckpointIO()] if settings.asynchronous else None,
        accumulate_grad_batches=settings.accumulate,
        gradient_clip_val=settings.grad_clip,
        val_check_interval=settings.every * settings.accumulate,
        check_val_every_n_epoch=None,
        log_every_n_steps=1,
        detect_anomaly=settings.nonfinite == "raise",
        callbacks=[saver],
        logger=[loggers.CSVLogger(Path(settings.out) / "logs"), *board],
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Job(**vars(settings)), *loaders, ckpt_path=settings.resume)
