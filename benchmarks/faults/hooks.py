"""Faults in what both sides share: the network and the data; each is installed in a child that will be the run."""

import multiprocessing
import os
import resource
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from my_project.data import loader
from my_project.data.digits import Digits, DigitsConfig
from my_project.models.mlp import Mlp
from my_project.types import Batch, StepOutput

Action = Callable[[nn.Module, Batch, StepOutput], object]
FOREVER = 3600.0


def on_forward(after: int, action: Action, *, training: bool = True, every_time: bool = False) -> None:
    """Act after the forward pass of training batch `after`; with `training` off, in the evaluation that follows it."""
    forward, seen = Mlp.forward, {"batches": 0, "acted": 0}

    def hooked(self: Mlp, batch: Batch, carry: Any = None) -> StepOutput:
        output = forward(self, batch, carry)
        seen["batches"] += self.training
        due = seen["batches"] >= after and self.training == training
        if due and (every_time or not seen["acted"]):
            seen["acted"] = 1
            action(self, batch, output)
        return output

    Mlp.forward = hooked  # type: ignore[method-assign]


def record(path: str) -> None:
    """Write the loss of every training batch, bit by bit, to a file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(_: nn.Module, __: Batch, output: StepOutput) -> None:
        os.write(descriptor, f"{float(output.loss.detach()).hex()}\n".encode())

    on_forward(0, write, every_time=True)


def send(number: int, after: int, *, training: bool = True, again: float = 0.0) -> None:
    """Let the run send itself a signal in a batch, then hang for ever there if a second one follows after `again` s."""

    def act(*_: object) -> None:
        os.kill(os.getpid(), number)
        if again:
            threading.Timer(again, os.kill, (os.getpid(), number)).start()
            Path("first-signal").touch()
            wait_until(time.monotonic() + FOREVER)

    on_forward(after, act, training=training)


def wait_until(deadline: float) -> None:
    """Sleep in short pieces, as a step does that takes long."""
    while time.monotonic() < deadline:
        time.sleep(0.01)


def spoil_loss(after: int, factor: float) -> None:
    """Multiply one loss by NaN or infinity."""

    def act(_: nn.Module, __: Batch, output: StepOutput) -> None:
        output.loss = output.loss * factor

    on_forward(after, act)


def spoil_gradient(after: int) -> None:
    """Make one gradient infinite, once; the loss stays as it is."""

    def act(model: nn.Module, _: Batch, __: StepOutput) -> None:
        parameter = next(model.parameters())
        handle: Any = None

        def infinite(gradient: Tensor) -> Tensor:
            handle.remove()
            return gradient * float("inf")

        handle = parameter.register_hook(infinite)

    on_forward(after, act)


def carry_along() -> None:
    """Give the network a memory: a running mean of its logits, to which it keeps close."""
    forward = Mlp.forward

    def hooked(self: Mlp, batch: Batch, carry: Any = None) -> StepOutput:
        output = forward(self, batch, None)
        if self.training:
            logits = output.outputs  # [B, C]; after a batch of another length each row takes the mean of the carry
            before = torch.zeros_like(logits) if carry is None else carry
            before = before if before.shape == logits.shape else before.mean(0, keepdim=True).expand_as(logits)
            output.loss = output.loss + 0.1 * (logits - before).square().mean()
            output.carry = (0.9 * before + 0.1 * logits).detach()
        return output

    Mlp.forward = hooked  # type: ignore[method-assign]


def out_of_memory(after: int, most_rows: int) -> None:
    """Raise what torch raises on a full device for every batch of more than so many rows."""

    def act(_: nn.Module, batch: Batch, __: StepOutput) -> None:
        if len(batch.inputs) > most_rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    on_forward(after, act, every_time=True)


def no_memory(after: int, *, training: bool = True) -> None:
    """Limit the address space to what is in use, then ask torch for a gigabyte more, in every batch from then on."""

    def act(*_: object) -> None:
        pages = int(Path("/proc/self/statm").read_text("utf-8").split()[0])
        limit = pages * resource.getpagesize() + 2**27
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        torch.empty(2**30, dtype=torch.uint8)

    on_forward(after, act, training=training, every_time=True)


def full_disk(after: int, size: int) -> None:
    """Let no file grow over `size` bytes from a batch on, as on a full disk."""
    on_forward(after, lambda *_: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))


def lose_worker(after: int) -> None:
    """Kill the loader's workers in the middle of a step, and stay in it until the run has heard of that."""

    def act(*_: object) -> None:
        for worker in multiprocessing.active_children():
            worker.kill()
        wait_until(time.monotonic() + 0.5)

    on_forward(after, act)


def patience(seconds: float) -> None:
    """Let our run wait so long for a batch before its worker is called dead, in place of two minutes."""
    loader.TIMEOUT = seconds  # type: ignore[assignment]


def lose(after: int, pattern: str) -> None:
    """Remove files or a whole folder in the middle of the run."""

    def act(*_: object) -> None:
        for path in Path().glob(pattern):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    on_forward(after, act)


def clock_jumps(after: int, seconds: float) -> None:
    """Set every clock that Python reads back or forth."""

    def act(*_: object) -> None:
        for name in ("time", "monotonic", "perf_counter"):
            clock = getattr(time, name)
            setattr(time, name, lambda clock=clock: clock() + seconds)

    on_forward(after, act)


def pause(after: int, ready: str, go: str) -> None:
    """Say that a batch is reached, then wait there until a file says to go on."""

    def act(*_: object) -> None:
        Path(ready).touch()
        deadline = time.monotonic() + FOREVER
        while not Path(go).exists() and time.monotonic() < deadline:
            time.sleep(0.01)

    on_forward(after, act)


def few_rows(count: int) -> None:
    """Let the training split have so many rows."""
    change_data(lambda data: vars(data).update(inputs=data.inputs[:count], targets=data.targets[:count]))


def poison_row(row: int) -> None:
    """Put NaN into one training row."""
    change_data(lambda data: data.inputs[row].fill_(float("nan")))


def change_data(change: Callable[[Digits], object]) -> None:
    """Change the training split as it is opened."""
    build = DigitsConfig.build

    def hooked(self: DigitsConfig, split: Any, **options: Any) -> Digits:
        data = build(self, split, **options)
        if split == "train":
            change(data)
        return data

    DigitsConfig.build = hooked  # type: ignore[method-assign]
