"""How fast the template's trainer is, beside loops written by hand and other trainers, on the same jobs.

    uv run --group benchmark python benchmarks/trainer.py [--jobs mlp cnn] [--peers ignite] [--rounds N] [--steps N]

Each loop trains in a process of its own, on one thread. They take turns of a fraction of a second, and who begins
changes from round to round; then all start anew, as the memory that a process gets makes some of them faster. A speed
is the ratio of the CPU times of an update: the median over the rounds of a process, the mean over three processes, and
the 95 % interval of that. Nothing that happens once is in it. Prints Markdown; the exit status is 1 where a goal is
missed. For Linux: processes are forked, and stop themselves by signals.
"""

import argparse
import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from statistics import median

import torch

sys.path.extend(str(Path(__file__).parents[1] / name) for name in ("", "working"))

from benchmarks.peers import contest, figures, jobs
from benchmarks.peers.contest import Contender, Entry
from benchmarks.peers.figures import SAME, Entries, Verdict
from benchmarks.peers.jobs import Job

CONTENDERS = (
    Contender("bare loop, fastest", "bare:fast", "plain"),
    Contender("bare loop, the kernel by hand", "bare:kernels", "plain"),
    Contender("**ours**: bar, log, guard", "ours:plain", "plain"),
    Contender("**ours**: these and checkpoints", "ours:saving", "plain"),
    Contender("ignite", "ignite:engine", "plain", "ignite"),
    Contender("Fabric", "lightning:fabric", "plain", "lightning"),
    Contender("Accelerate", "hugging_face:accelerate", "plain", "accelerate"),
    Contender("Lightning, features off", "lightning:off", "plain", "lightning"),
    Contender("HF Trainer, features off", "hugging_face:off", "plain", "transformers"),
    Contender("Lightning, defaults", "lightning:defaults", "plain", "lightning"),
    Contender("bare loop, fastest", "bare:fast_clipped", "clipped"),
    Contender("**ours**: defaults", "ours:defaults", "clipped"),
    Contender("bare loop, usual utilities", "bare:usual", "clipped"),
    Contender("HF Trainer, defaults", "hugging_face:defaults", "clipped", "transformers"),
    Contender("bare loop, fastest", "bare:fast_everything", "everything"),
    Contender("**ours**: every feature", "ours:everything", "everything"),
    Contender("bare loop, usual utilities", "bare:usual_everything", "everything"),
)
PROCESSES = 3
PEERS = sorted({contender.package for contender in CONTENDERS if contender.package})
HEAD = "| loop | work | CPU, µs | clock, µs | speed beside bare | same work | first step, s | MiB | weights differ by |"


def say(text: str) -> None:
    """Tell whoever waits how far it is."""
    print(text, file=sys.stderr, flush=True)


def row(cells: Iterable[str]) -> str:
    """Return a line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def line(entry: Entry, entries: Entries) -> str:
    """Return the line of a contender."""
    contender, beside = entry.contender, (entries["bare:fast"], entries[SAME[entry.contender.work]])
    times = zip(*(spent for process in entry.rounds for spent in process), strict=True)
    cells = [contender.name, contender.work, *(f"{median(column) * 1e6:,.0f}" for column in times)]
    cells += [str(figures.speed(entry, other)) if entry is not other else "" for other in beside]
    once = [f"{figures.first_step(entry):.2f}", f"{median(entry.memory):.0f}"] if entry.memory else ["", ""]
    return row([*cells, *once, f"{entry.distance:.0e}"])


def table(job: Job, entries: Entries) -> list[str]:
    """Return the table of a job."""
    rows = [line(entry, entries) for entry in entries.values()]
    title = f"### {job.name}: {job.steps} updates of {job.batch_size} rows a round, {job.rounds} rounds a process"
    return [title, "", HEAD, row(["---", "---", *["---:"] * (HEAD.count("|") - 3)]), *rows, ""]


def summary(asked: list[Job], found: dict[str, Entries]) -> list[str]:
    """Return the table that the README shows: speeds beside the fastest loop that does the same work."""
    head = ["updates a second of CPU time, beside the same work by hand", *(job.name for job in asked)]
    rows = [row(head), row(["---", *["---:"] * len(asked)])]
    for place, entry in found[asked[0].name].items():
        same, name = SAME[entry.contender.work], f"{entry.contender.name} ({entry.contender.work})"
        speeds = (figures.speed(entries[place], entries[same]) for entries in found.values())
        rows += [row([name, *(f"{speed.value:.2f}" for speed in speeds)])] * (place != same)
    return [*rows, ""]


def reading() -> tuple[list[str], list[Verdict]]:
    """Return the table of the loaders and what is to be said of it."""
    say("loaders")
    readings = import_module("benchmarks.peers.reading").measure()
    head = ["rows", "of a batch", "train_batches, million a second", "default DataLoader", "ratio"]
    lines = [
        row([one.place, str(one.batch_size), f"{one.ours / 1e6:.1f}", f"{one.default / 1e6:.2f}", str(one.ratio)])
        for one in readings
    ]
    found = [
        figures.at_least(30, one.ratio, f"loader, {one.place}, {one.batch_size} small rows a batch")
        for one in readings
        if one.batch_size == max(other.batch_size for other in readings)
    ]
    return ["### Loaders", "", row(head), row(["---", *["---:"] * 4]), *lines, ""], found


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    names = [job.name for job in jobs.JOBS]
    parser.add_argument("--jobs", nargs="+", choices=names, default=names)
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=PEERS)
    parser.add_argument("--rounds", type=int, help="of each process, in place of the job's own number")
    parser.add_argument("--steps", type=int, help="updates of a round; a multiple of 20 has as many logs in each")
    return parser.parse_args()


def chosen(peers: list[str]) -> list[Contender]:
    """Return who takes part; say who cannot."""
    wanted = [contender for contender in CONTENDERS if not contender.package or contender.package in peers]
    for name in sorted({contender.package for contender in wanted if not contender.is_here}):
        say(f"{name} is not installed and is left out: uv sync --group benchmark")
    return [contender for contender in wanted if contender.is_here]


def compete(asked: list[Job], contenders: list[Contender]) -> dict[str, Entries]:
    """Hold the contests; return what is known of each contender in each job."""
    found = {job.name: {contender.place: Entry(contender) for contender in contenders} for job in asked}
    for job in asked:
        say(f"{job.name}: beginnings")
        contest.begin(job, found[job.name].values())
    import_module("torch._dynamo")  # as making an optimizer does: processes that are forked from here on have it
    for number in range(PROCESSES):
        for job in asked:
            say(f"{job.name}: processes {number + 1} of {PROCESSES}")
            contest.take_turns(job, list(found[job.name].values()), check=not number)
    return found


def main() -> int:
    """Print the tables and the goals; 1 where one is missed."""
    given = arguments()
    torch.set_num_threads(1)
    asked = [
        replace(job, rounds=given.rounds or job.rounds, steps=given.steps or job.steps)
        for job in jobs.JOBS
        if job.name in given.jobs
    ]
    found = compete(asked, chosen(given.peers))
    loaders, verdicts = reading()
    print(f"{os.cpu_count()} cores, one thread each, torch {torch.__version__}.\n")
    print("\n".join(summary(asked, found)))
    for job in asked:
        print("\n".join(table(job, found[job.name])))
    verdicts = [verdict for job in asked for verdict in figures.verdicts(job.name, found[job.name])] + verdicts
    print("\n".join([*loaders, row(["goal", "found", ""]), row(["---"] * 3)]))
    print("\n".join(row([*verdict[:2], "pass" if verdict.passed else "**fail**"]) for verdict in verdicts))
    return int(not all(verdict.passed for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())
