"""How fast the neural memory and Titans-MAG are, beside titans-pytorch and a plain transformer of equal size.

    uv run --group benchmark --with titans-pytorch python benchmarks/memory.py [--rounds N] [--only PART ...]

One thread, CPU time; freed memory is kept, as in our trainer, for all contenders. They take turns, and who begins
changes from round to round; a figure is the ratio of the medians. Each part has a process of its own, as what ran
before decides how much memory is at hand. `--no-onednn` leaves our linear layers to torch, `--back no` and `yes` leave
out one of the passes. Prints Markdown with floors and goals; the exit status is 1 where a floor is missed.
"""

import argparse
import math
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

import torch

sys.path.append(str(Path(__file__).parents[1] / "working"))

from my_project.models.gpt import GptConfig
from my_project.models.memory import NeuralMemoryConfig
from my_project.models.titans_mag import MagConfig
from my_project.models.titans_text import TitansTextConfig
from my_project.training.device import choose_device
from my_project.types import Batch

DIM, HEADS, SIZE = 384, 6, 64
Run = Callable[[bool], Any]  # once over a text; True: and back
Bounds = tuple[float, float, float, float]  # floor and goal forward, floor and goal forward and backward


def timed(run: Run, *, back: bool) -> float:
    """Return the CPU seconds of one run."""
    begin = time.process_time()
    with torch.set_grad_enabled(back):
        run(back)
    return time.process_time() - begin


def take_turns(runs: list[Run], rounds: int, *, back: bool) -> list[float]:
    """Return the median CPU seconds of each run, after one round that does not count."""
    spent = list[list[float]]()
    for number in range(rounds + 1):
        order = sorted(range(len(runs)), reverse=number % 2 == 1)
        found = {place: timed(runs[place], back=back) for place in order}
        spent += [[found[place] for place in range(len(runs))]] * (number > 0)
    return [median(column) for column in zip(*spent, strict=True)]


def batch_of(length: int) -> Batch:
    """Return one text of random bytes."""
    tokens = torch.randint(256, (1, length + 1), generator=torch.Generator().manual_seed(0))
    return Batch(tokens[:, :-1], tokens[:, 1:], torch.arange(1))


def learn(model: Any, length: int) -> Run:
    """Return the run of one of our language models."""

    def run(back: bool) -> None:
        loss = model(batch_of(length)).loss
        if back:
            loss.backward()

    return run


def ours(depth: Any, length: int) -> Run:
    """Return the run of Titans-MAG with a memory of so many layers."""
    stack = MagConfig(dim=DIM, num_heads=HEADS, depth=10, window=128, memory=NeuralMemoryConfig(depth=depth))
    return learn(TitansTextConfig(stack=stack).build(), length)


def plain(length: int) -> Run:
    """Return the run of a transformer with full attention."""
    return learn(GptConfig(dim=DIM, num_heads=HEADS, depth=14, seq_len=length).build(), length)


def theirs(depth: int, length: int) -> Run:
    """Return the run of titans-pytorch's transformer with a memory of so many layers, which gates its attention."""
    library = import_module("titans_pytorch")
    memory = library.MemoryMLP(SIZE, depth, expansion_factor=2.0)
    model = library.MemoryAsContextTransformer(
        num_tokens=256, dim=DIM, depth=9, segment_len=128, neural_memory_segment_len=64, neural_memory_batch_size=64,
        neural_mem_gate_attn_output=True, num_persist_mem_tokens=4, num_longterm_mem_tokens=0, heads=HEADS,
        dim_head=SIZE, sliding_window_attn=True, neural_memory_model=memory,
        neural_memory_kwargs={"dim_head": SIZE, "heads": HEADS},
    )  # fmt: skip
    tokens = batch_of(length + 1).inputs

    def run(back: bool) -> None:
        found = model(tokens if back else tokens[:, :-1], return_loss=back)
        if back:
            found.backward()

    return run


def our_memory(gradient_chunk: int, length: int) -> Run:
    """Return the run of our memory alone, with gates for each token; like the library's it has no convolution."""
    config = NeuralMemoryConfig(dim=DIM, num_heads=HEADS, chunk_size=gradient_chunk, decay_to="zero", conv_size=1)
    return over(config.build(), length)


def their_memory(chunk: int, gradient_chunk: int, length: int) -> Run:
    """Return the run of titans-pytorch's memory alone, whose gates act on chunks of tokens."""
    library = import_module("titans_pytorch")
    model = library.MemoryMLP(SIZE, 2, expansion_factor=2.0)
    sizes = {"chunk_size": chunk, "batch_size": gradient_chunk, "dim_head": SIZE, "heads": HEADS}
    return over(library.NeuralMemory(DIM, **sizes, model=model, mem_model_norm_add_residual=False), length)


def over(memory: Any, length: int) -> Run:
    """Return the run of a memory over random values."""
    values = torch.randn(1, length, DIM, generator=torch.Generator().manual_seed(0))

    def run(back: bool) -> None:
        found = memory(values)[0].sum()
        if back:
            found.backward()

    return run


NAMES = {1: "linear", 2: "two-layer"}
PASSES = [False, True]  # which are compared: forward, forward and backward
CASES: dict[int, tuple[int, int, Bounds]] = {  # by the library's chunk of gates: chunk of gradients, tokens, bounds
    64: (64, 2048, (2.3, 3, 1.3, 2)),
    4: (128, 1024, (8, 8, 6, 6)),
    1: (64, 512, (40, 60, 35, 40)),
}


def highest() -> float:
    """Return the most MiB that this process has held; `getrusage` would count those of the process that started it."""
    status = Path("/proc/self/status").read_text("utf-8")  # of Linux
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def peak(send: Any, make: Callable[[], Run]) -> None:
    """Send the MiB that a run and its gradient take above what lies in memory before."""
    torch.set_num_threads(1)
    choose_device("cpu")
    run = make()
    before = highest()
    run(True)
    send.send(highest() - before)


def peak_of(make: Callable[[], Run]) -> float:
    """Return the MiB that a run takes in a process of its own."""
    receive, send = multiprocessing.get_context("spawn").Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=peak, args=(send, make))
    process.start()
    found = float(receive.recv())
    process.join()
    return found


def show(name: str, value: float, floor: float, goal: float, *, most: bool = False) -> bool:
    """Print a line of a table; return whether the floor holds."""
    holds = value <= floor if most else value >= floor
    print(f"| {name} | {value:.3g} | {floor:g} | {goal:g} | {'yes' if holds else '**no**'} |", flush=True)
    return holds


def versus(name: str, runs: list[Run], rounds: int, bounds: Bounds) -> list[bool]:
    """Print how much faster the first of two runs is, forward, and forward and backward."""
    found = list[bool]()
    for back in PASSES:
        floor, goal = bounds[2:] if back else bounds[:2]
        mine, other = take_turns(runs, rounds, back=back)
        what = f"{name}, {'forward and backward' if back else 'forward'} ({mine * 1e3:.0f} and {other * 1e3:.0f} ms)"
        found.append(show(what, other / mine, floor, goal))
    return found


def whole(depth: int, rounds: int) -> list[bool]:
    """Compare whole models of 25 million parameters, with a memory of so many layers."""
    bounds = {2: (1.6, 2.0, 1.2, 1.6), 1: (1.9, 2.5, 1.45, 2.0)}[depth]
    runs = [ours(depth, 2048), theirs(depth, 2048)]
    return versus(f"whole model, {NAMES[depth]} memory, 2,048 tokens: times their speed", runs, rounds, bounds)


def peaks(_: int) -> list[bool]:
    """Compare what a step with a two-layer memory takes."""
    mine, other = (peak_of(partial(make, 2, 2048)) for make in (ours, theirs))
    return [show(f"share of their peak ({mine:.0f} and {other:.0f} MiB)", mine / other, 0.83, 0.6, most=True)]


def module(chunk: int, rounds: int) -> list[bool]:
    """Compare the memories alone: gradients at the same tokens, the library's gates for 64, 4 or 1 tokens."""
    gradient_chunk, length, bounds = CASES[chunk]
    runs = [our_memory(gradient_chunk, length), their_memory(chunk, gradient_chunk, length)]
    return versus(f"memory alone, library's chunk {chunk}: times its speed", runs, rounds, bounds)


def growth(rounds: int) -> list[bool]:
    """Compare lengths."""
    holds, ends = list[bool](), (512, 8192)
    for depth in (2, 1):
        short, long = take_turns([ours(depth, length) for length in ends], rounds, back=False)
        what = f"{NAMES[depth]} memory, 512 to 8,192 tokens ({short * 1e3:.0f} and {long * 1e3:.0f} ms)"
        power = math.log(long / short) / math.log(ends[1] / ends[0])
        holds.append(show(f"exponent of time in length, {what}", power, 1.02, 1.0, most=True))
    return holds


def transformer(rounds: int) -> list[bool]:
    """Compare with a transformer with full attention."""
    holds = list[bool]()
    for length, floor in ((2048, 0.97), (4096, 1.0)):
        mine, other = take_turns([ours(1, length), plain(length)], rounds, back=False)
        what = f"linear memory, {length:,} tokens, {mine * 1e3:.0f} and {other * 1e3:.0f} ms"
        holds.append(show(f"{what}: times a transformer's speed", other / mine, floor, 1.0))
    return holds


def main() -> None:
    """Print a table for each part, from a process of its own; the exit status is 1 where a floor is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parts: dict[str, Callable[[int], list[bool]]] = {"two-layer": partial(whole, 2), "linear": partial(whole, 1)}
    parts |= {"peak": peaks, **{f"chunk-{chunk}": partial(module, chunk) for chunk in CASES}}
    parts |= {"growth": growth, "transformer": transformer}
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-onednn", action="store_true")
    parser.add_argument("--back", choices=("yes", "no"))
    parser.add_argument("--only", nargs="+", choices=parts, default=[*parts])
    given = parser.parse_args()
    if len(given.only) > 1:
        same = [word for word in sys.argv[1:] if word not in {"--only", *parts}]
        alone = [[sys.executable, __file__, *same, "--only", name] for name in given.only]
        raise SystemExit(max(subprocess.run(words, check=False).returncode for words in alone))
    print("| figure | found | floor | goal | floor holds |\n| --- | ---: | ---: | ---: | --- |", flush=True)
    PASSES[:] = [back for back in PASSES if given.back in (None, "yes" if back else "no")]
    torch.set_num_threads(1)
    torch.backends.mkldnn.set_flags(_enabled=not given.no_onednn)
    choose_device("cpu")
    raise SystemExit(0 if all(parts[given.only[0]](given.rounds)) else 1)


if __name__ == "__main__":
    main()
