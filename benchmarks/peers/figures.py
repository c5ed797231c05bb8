"""Ratios that are paired by round, and what is wanted of them."""

import random
from collections.abc import Iterator, Sequence
from statistics import fmean, median
from typing import NamedTuple

from benchmarks.peers.contest import Entry

RESAMPLES, CONFIDENCE = 2000, 0.95
SAME = {"plain": "bare:fast", "clipped": "bare:fast_clipped", "everything": "bare:fast_everything"}
OURS = {"plain": "ours:plain", "clipped": "ours:defaults"}  # what a peer is held against
TOLERANCE = 1e-4  # between weights: kernels round differently
Entries = dict[str, Entry]


class Ratio(NamedTuple):
    """A ratio, and the interval that its pairs leave open."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, groups: Sequence[Sequence[float]]) -> "Ratio":
        """Estimate from one ratio a round: the mean of the processes' medians. Processes and rounds are drawn anew."""
        generator = random.Random(0)
        drawn = sorted(
            fmean(median(generator.choices(group, k=len(group))) for group in generator.choices(groups, k=len(groups)))
            for _ in range(RESAMPLES)
        )
        edge = round((1 - CONFIDENCE) / 2 * RESAMPLES)
        return cls(fmean(map(median, groups)), drawn[edge], drawn[-1 - edge])

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


class Verdict(NamedTuple):
    """A goal, what was found, and whether it is reached."""

    goal: str
    found: str
    passed: bool


def speed(entry: Entry, beside: Entry) -> Ratio:
    """Return how fast a contender is beside another, in CPU time: 1 is equal, more is faster."""
    processes = zip(entry.rounds, beside.rounds, strict=True)
    return Ratio.of([[other.cpu / own.cpu for own, other in zip(*both, strict=True)] for both in processes])


def first_step(entry: Entry) -> float:
    """Return the seconds of CPU time until the first update is done."""
    return median(spent.cpu for spent in entry.first)


def verdicts(job: str, entries: Entries) -> Iterator[Verdict]:
    """Hold a job's figures against the goals."""
    plain, everything, bare = (entries[place] for place in ("ours:plain", "ours:everything", "bare:fast"))
    yield at_least(0.97 if job == "mlp" else 0.99, speed(plain, bare), f"{job}: speed beside the fastest bare loop")
    ratio = speed(everything, entries["bare:fast_everything"])
    yield at_least(0.99, ratio, f"{job}: speed with every feature beside a loop by hand of the same work")
    if job == "mlp":
        ratio = speed(everything, entries["bare:usual_everything"])
        yield at_least(1.5, ratio, f"{job}: speed with every feature beside the usual utilities")
    if job == "mlp" and "lightning:defaults" in entries:
        ratio = speed(entries["ours:saving"], entries["lightning:defaults"])
        yield at_least(
            5.0, ratio, f"{job}: speed with checkpoints beside Lightning's defaults, which clip nothing either"
        )
    for entry in entries.values():
        if entry.contender.package:
            ratio = speed(entry, entries[OURS[entry.contender.work]])
            yield Verdict(f"{job}: {entry.contender.name} is not ahead of ours", str(ratio), ratio.low <= 1)
    yield at_most(
        1.1, first_step(plain) / first_step(bare), f"{job}: CPU time of the first step beside the bare loop's"
    )
    yield at_most(1.05, median(plain.memory) / median(bare.memory), f"{job}: memory beside the bare loop's")
    furthest = max(entry.distance for entry in entries.values())
    yield Verdict(f"{job}: weights differ by at most {TOLERANCE}", f"{furthest:.1e}", furthest <= TOLERANCE)


def at_least(limit: float, ratio: Ratio, goal: str) -> Verdict:
    """Return whether a ratio reaches its limit."""
    return Verdict(f"{goal}: at least {limit:g}", str(ratio), ratio.value >= limit)


def at_most(limit: float, ratio: float, goal: str) -> Verdict:
    """Return whether a ratio stays within its limit."""
    return Verdict(f"{goal}: at most {limit:g}", f"{ratio:.3f}", ratio <= limit)
