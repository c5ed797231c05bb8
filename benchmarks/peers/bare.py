"""Loops written by hand: the fastest way that we know, and with the usual utilities."""

import ctypes
import json
import math
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from benchmarks.peers import jobs, loaders
from benchmarks.peers.jobs import Data, Net


def tune_allocator() -> None:
    """Let glibc keep freed memory instead of giving it back to the system at every step."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(-3, 2**25)  # M_MMAP_THRESHOLD, its largest value
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


def set_lr(optimizer: torch.optim.Optimizer, step: int) -> None:
    """Set the learning rate of update `step`, from 0."""
    lr = jobs.LR * jobs.lr_scale(step)
    for group in optimizer.param_groups:
        group["lr"] = lr


def fast(net: Net, data: Data) -> None:
    """Train as fast as we can with torch's optimizer: whole batches by index, fused AdamW, nothing else."""
    tune_allocator()
    optimizer, (inputs, targets) = jobs.adamw(net), data
    for step, rows in enumerate(jobs.batch_rows(data)):
        set_lr(optimizer, step)
        F.cross_entropy(net(inputs.index_select(0, rows)), targets.index_select(0, rows)).backward()
        optimizer.step()
        optimizer.zero_grad()


def kernels(net: Net, data: Data) -> None:
    """Train as `fast` does, but call the kernel of the optimizer without the optimizer."""
    tune_allocator()
    (inputs, targets), groups = data, jobs.parameter_groups(net)
    same: dict[str, Any] = {"beta1": jobs.BETAS[0], "beta2": jobs.BETAS[1], "eps": jobs.EPS}
    for group in groups:
        states = ([torch.zeros_like(p) for p in group["params"]] for _ in range(2))
        group["states"] = [*states, [], [torch.zeros(()) for _ in group["params"]]]  # the last: numbers of updates
    for step, rows in enumerate(jobs.batch_rows(data)):
        same["lr"] = jobs.LR * jobs.lr_scale(step)
        F.cross_entropy(net(inputs.index_select(0, rows)), targets.index_select(0, rows)).backward()
        with torch.no_grad():
            for group in groups:
                params, states, decay = group["params"], group["states"], group["weight_decay"]
                torch._foreach_add_(states[-1], 1)
                grads = [p.grad for p in params]
                torch._fused_adamw_(params, grads, *states, weight_decay=decay, amsgrad=False, maximize=False, **same)
                for p in params:
                    p.grad = None


def clip(optimizer: Any, parameters: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Let the fused kernel clip, and skip what is not finite; return all norms [P] and the norm [] of them."""
    grads = [p.grad for p in parameters if p.grad is not None]
    norms = torch.stack(torch._foreach_norm(grads))  # noqa: SLF001 (what torch's own clipping calls)
    norm = torch.linalg.vector_norm(norms)
    optimizer.grad_scale, optimizer.found_inf = norm.clamp(min=jobs.CLIP), (norm - norm != 0).float()
    return norms, norm


def fast_clipped(net: Net, data: Data) -> None:
    """Train as `fast` does, clipping inside the optimizer's kernel."""
    tune_allocator()
    optimizer, (inputs, targets), parameters = jobs.adamw(net), data, list(net.parameters())
    for step, rows in enumerate(jobs.batch_rows(data)):
        set_lr(optimizer, step)
        F.cross_entropy(net(inputs.index_select(0, rows)), targets.index_select(0, rows)).backward()
        with torch.no_grad():
            clip(optimizer, parameters)
        optimizer.step()
        optimizer.zero_grad()


def fast_everything(net: Net, data: Data) -> None:
    """Train as `fast_clipped` does, with averaged weights, a guard and a log of losses, norms and layers."""
    tune_allocator()
    optimizer, (inputs, targets), parameters = jobs.adamw(net), data, list[Tensor](net.parameters())
    averages = [p.detach().clone() for p in parameters]
    net.meter.averages = lambda: averages
    losses, norms = list[Tensor](), list[Tensor]()
    with Path("metrics.jsonl").open("w", encoding="utf-8") as file:
        for step, rows in enumerate(jobs.batch_rows(data)):
            set_lr(optimizer, step)
            loss = F.cross_entropy(net(inputs.index_select(0, rows)), targets.index_select(0, rows))
            loss.backward()
            with torch.no_grad():
                layers, norm = clip(optimizer, parameters)
                optimizer.step()
                torch._foreach_lerp_(averages, parameters, 1 - decay_at(step + 1))
            optimizer.zero_grad()
            losses.append(loss.detach())
            norms.append(norm)
            if (step + 1) % jobs.LOG_EVERY == 0:
                write_line(file, step + 1, {"loss": losses, "grad_norm": norms}, layers.tolist())
                losses.clear()
                norms.clear()


def usual(net: Net, data: Data) -> None:
    """Train with the usual utilities, all as they are by default, and clip."""
    optimizer, loader = jobs.adamw(net, fused=None), loaders.usual(data)
    schedule = LambdaLR(optimizer, jobs.lr_scale)
    while True:
        for inputs, targets in loader:
            optimizer.zero_grad()
            F.cross_entropy(net(inputs), targets).backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), jobs.CLIP)
            optimizer.step()
            schedule.step()


def usual_everything(net: Net, data: Data) -> None:
    """Train as `usual` does, with the usual utility for averages, a guard and the same log."""
    optimizer, loader = jobs.adamw(net, fused=None), loaders.usual(data)
    schedule, average, step = LambdaLR(optimizer, jobs.lr_scale), AveragedModel(net, multi_avg_fn=lerp), 0
    net.meter.averages = lambda: list(average.module.parameters())
    losses, norms = list[Tensor](), list[Tensor]()
    while True:
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(net(inputs), targets)
            loss.backward()
            losses.append(loss.detach())
            norms.append(torch.nn.utils.clip_grad_norm_(net.parameters(), jobs.CLIP))
            optimizer.step()
            average.update_parameters(net)
            schedule.step()
            step += 1
            if step % jobs.LOG_EVERY == 0:
                layers = [float(p.grad.norm()) for p in net.parameters() if p.grad is not None]
                with Path("metrics.jsonl").open("a", encoding="utf-8") as file:
                    write_line(file, step, {"loss": losses, "grad_norm": norms}, layers)
                losses, norms = [], []


def decay_at(step: int) -> float:
    """Return the decay of the averages after so many updates: it grows to its value."""
    return min(jobs.EMA, (1 + step) / (10 + step))


@torch.no_grad()
def lerp(averages: Any, parameters: Any, num_averaged: Any) -> None:
    """Average with the decay that all have."""
    torch._foreach_lerp_(averages, parameters, 1 - decay_at(int(num_averaged) + 1))


def write_line(file: TextIO, step: int, values: dict[str, list[Tensor]], layers: list[float]) -> None:
    """Write the means since the last line as JSON; raise where a loss is not finite."""
    sums = {name: sum(torch.stack(value).tolist()) for name, value in values.items()}
    if not math.isfinite(sums["loss"]):
        raise FloatingPointError(f"a loss before step {step} is not finite")
    means = {name: value / jobs.LOG_EVERY for name, value in sums.items()}
    file.write(json.dumps({"step": step, **means, "layers": layers}) + "\n")
    file.flush()
