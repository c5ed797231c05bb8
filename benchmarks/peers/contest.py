"""Contenders in turn: each in a process of its own, in one fit that stops between its looks.

The process that forks them keeps its memory small and frees no large part of it: glibc would learn from that to keep
freed memory, its children would inherit the lesson, and untuned loops would be faster than they are by themselves.
"""

import logging
import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.util import find_spec
from io import TextIOBase
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from benchmarks.peers.jobs import Job
from benchmarks.peers.meter import Meter, Spent

COLD = ("bare:fast", "bare:kernels", "ours:plain")  # whose beginnings are looked at, and how many of each
BEGINNINGS, WARM_UP = 3, 5


class Contender(NamedTuple):
    """A loop, where it stands, and what it does beside the updates."""

    name: str
    place: str
    """module and function of this folder"""
    work: str
    """beside the updates; loops of the same work end with the same weights"""
    package: str = ""
    """what must be installed"""

    @property
    def is_here(self) -> bool:
        """Whether its package is installed."""
        return not self.package or find_spec(self.package) is not None


class Screen(TextIOBase):
    """A terminal that nobody looks at, so that bars are drawn."""

    def isatty(self) -> bool:
        """Say that it is one."""
        return True

    def write(self, text: str) -> int:
        """Take any text."""
        return len(text)


def train(contender: Contender, job: Job, pipe: Connection) -> None:
    """Train until killed: what the process of a contender does."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    errors, sys.stdout, sys.stderr = sys.stderr, Screen(), Screen()
    try:
        module, _, name = contender.place.partition(":")
        function = getattr(import_module(f"benchmarks.peers.{module}"), name)
        meter = Meter(pipe, job.checked, job.warm, job.steps)
        with TemporaryDirectory(dir=".") as folder:
            os.chdir(folder)
            net, data = job.net(meter), job.data()
            meter.start(net)
            function(net, data)
    finally:
        sys.stderr = errors


@dataclass
class Entry:
    """What is known of a contender in a job."""

    contender: Contender
    first: list[Spent] = field(default_factory=list)
    """from the loop's begin to the end of the first update, in several processes"""
    memory: list[float] = field(default_factory=list)
    """MiB at the peak of these"""
    distance: float = 0.0
    """of the weights from those of the first contender that did the same work"""
    rounds: list[list[Spent]] = field(default_factory=list)
    """an update of each round of each process"""


class Fit:
    """A fit that goes on in a process of its own, from turn to turn."""

    def __init__(self, contender: Contender, job: Job) -> None:
        context = multiprocessing.get_context("fork")
        self.pipe, pipe = context.Pipe()
        self.process = context.Process(target=train, args=(contender, job, pipe))
        self.process.start()
        pipe.close()
        self.first, self.memory, self.weights = (self.pipe.recv() for _ in range(3))
        self.rest()

    def go_on(self) -> Spent:
        """Let it train for a round; return what an update took."""
        os.kill(self.process.ident or 0, signal.SIGCONT)
        spent: Spent = self.pipe.recv()
        self.rest()
        return spent

    def rest(self) -> None:
        """Wait until it has stopped itself."""
        os.waitpid(self.process.ident or 0, os.WUNTRACED)

    def end(self) -> None:
        """End its process."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


@contextmanager
def somewhere() -> Iterator[None]:
    """Work in a folder that goes away."""
    home = Path.cwd()
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(home)


def begin(job: Job, entries: Iterable[Entry]) -> None:
    """Look at first steps and memory; whatever a loop imports must not be there yet."""
    with somewhere():
        for entry in [entry for entry in entries if entry.contender.place in COLD] * BEGINNINGS:
            fit = Fit(entry.contender, job)
            entry.first.append(fit.first)
            entry.memory.append(fit.memory)
            fit.end()


def take_turns(job: Job, entries: Sequence[Entry], *, check: bool) -> None:
    """Let all do a job, a process each, round after round; `check` the weights before that."""
    fits: list[Fit] = []
    with somewhere():
        try:
            for entry in entries:
                fits.append(Fit(entry.contender, job if check else replace(job, checked=WARM_UP)))
                entry.rounds.append([])
            if check:
                compare(entries, fits)
            for number in range(job.rounds):
                for turn in range(len(fits)):
                    each = (number + turn) % len(fits)
                    entries[each].rounds[-1].append(fits[each].go_on())
        finally:
            for fit in fits:
                fit.end()


def compare(entries: Sequence[Entry], fits: Iterable[Fit]) -> None:
    """Note how far the weights are from one another."""
    works, files = [entry.contender.work for entry in entries], [fit.weights for fit in fits]
    with multiprocessing.get_context("fork").Pool(1) as pool:
        found = pool.apply(distances, (works, files))
    for entry, distance in zip(entries, found, strict=True):
        entry.distance = distance


def distances(works: Sequence[str], files: Sequence[Path]) -> list[float]:
    """Return how far the weights in each file are from the first that the same work has led to."""
    first: dict[str, Any] = {}
    found = []
    for work, file in zip(works, files, strict=True):
        weights = np.load(file)
        found.append(float(abs(weights - first.setdefault(work, weights)).max()))
    return found
