"""What a contender's process measures of itself while any loop at all trains its network.

The network calls `tick` at each forward pass, so that no contender is asked to measure anything. Between two looks the
process stops itself, with all its threads: contenders take turns of a fraction of a second, in one and the same fit.
"""

import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn


class Spent(NamedTuple):
    """Seconds on the processor and on the clock."""

    cpu: float
    clock: float


def now() -> Spent:
    """Look at both clocks."""
    return Spent(time.process_time(), time.perf_counter())


def since(start: Spent, parts: int = 1) -> Spent:
    """Return what was spent since `start`, for each of so many parts."""
    end = now()
    return Spent((end.cpu - start.cpu) / parts, (end.clock - start.clock) / parts)


class Meter:
    """Counts the steps of a fit and reports at some of them."""

    def __init__(self, pipe: Connection, checked: int, warm: int, steps: int) -> None:
        self.pipe, self.checked, self.warm, self.steps = pipe, checked, warm, steps
        self.count = self.next = 0
        self.averages: Callable[[], list[Tensor]] = list  # a contender that averages weights sets it

    def __deepcopy__(self, memo: object) -> Self:
        return self  # copies of a network have the same meter

    def start(self, net: nn.Module) -> None:
        """Say that the loop begins now."""
        self.marks = self.script(net, now())
        self.next = next(self.marks)

    def tick(self) -> None:
        """Count a forward pass."""
        self.count += 1
        if self.count == self.next:
            self.next = next(self.marks)

    def script(self, net: nn.Module, start: Spent) -> Iterator[int]:
        """Report the first step, then memory and weights, then round after round; yield the next step to act at."""
        yield 2
        self.pipe.send(since(start))
        yield self.checked + 1
        self.pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        weights = [part.detach().flatten() for part in (*net.parameters(), *self.averages())]
        np.save("weights.npy", torch.cat(weights).numpy())
        self.pipe.send(Path("weights.npy").resolve())
        while True:
            os.kill(os.getpid(), signal.SIGSTOP)
            yield self.count + self.warm
            start = now()
            yield self.count + self.steps
            self.pipe.send(since(start, self.steps))
