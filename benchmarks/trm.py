"""What a step of the recursive model costs beside other code that does the same work: CPU time, one thread, in turns.

    uv run --with tiny-recursive-model python benchmarks/trm.py [--run RUN] [--repeat N]

Rivals: the official code's structure (peers/official_trm.py) and, where it is installed, tiny-recursive-model around
our own network. All start from the same weights and see the same rows. With the folder of a run of preset `trm` it also
compares answers to unseen puzzles. Prints Markdown; the exit status is 1 where a step takes over 1.05 of the official,
or answers whose rows halt are no faster than the official ones.
"""

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.extend(str(Path(__file__).parents[1] / name) for name in ("", "working"))

from benchmarks.peers.official_trm import Official
from my_project import run as commands
from my_project.models.trm import Trm, TrmConfig
from my_project.types import Batch

LIBRARY, STRUCTURE = "tiny-recursive-model", "official structure"
INSTALLED = find_spec("tiny_recursive_model") is not None
MOST, NUM_ROWS = 1.05, 250  # times the official step; puzzles to answer
PAPER: dict[str, Any] = {
    "vocab_size": 11,
    "seq_len": 81,
    "num_prefix": 16,
    "multiple_of": 256,
    "num_latent": 6,
    "num_passes": 3,
    "num_heads": 8,
    "halt_pool": "first",
    "diversity_weight": 0.0,
}
CASES: list[tuple[Any, int, int]] = [
    ("tokens", 128, 32),
    ("attention", 128, 32),
    ("tokens", 512, 4),
    ("attention", 512, 4),
]  # mixer, dim, rows
Loss = Callable[[], Tensor]


def library(ours: Trm) -> Any:
    """Return tiny-recursive-model with our network and weights in it."""
    config, head = ours.config, ours.act.linear.weight[:1]
    theirs = import_module("tiny_recursive_model").TinyRecursiveModel(
        dim=config.dim,
        num_tokens=config.vocab_size,
        network=ours.network,
        num_refinement_blocks=config.num_passes,
        num_latent_refinements=config.num_latent,
        num_register_tokens=config.num_prefix,
    )
    parts = {
        theirs.register_tokens: torch.zeros_like(theirs.register_tokens),
        theirs.input_embed.weight: ours.embed.weight * math.sqrt(config.dim),
        theirs.output_init_embed: ours.first_answer,
        theirs.latent_init_embed: ours.first_latent,
        theirs.to_pred.weight: ours.head.weight,
        theirs.to_halt_pred[1].weight: head,
    }
    with torch.no_grad():
        for theirs_, our in parts.items():
            theirs_.copy_(our)
    return theirs


def contenders(ours: Trm, batch: Batch) -> dict[str, tuple[nn.Module, Loss]]:
    """Return each model with what computes its loss on the rows, none of which has halted."""
    carry, structure = ours(batch).carry, Official(ours)
    loss, row_by_row, _ = structure(batch, structure.fresh(batch))
    torch.testing.assert_close(loss.float(), ours(batch).loss, rtol=1e-4, atol=0)
    models: dict[str, tuple[nn.Module, Loss]] = {
        "ours": (ours, lambda: ours(batch, carry).loss),
        STRUCTURE: (structure, lambda: structure(batch, row_by_row)[0]),
    }
    if INSTALLED:
        theirs = library(ours)
        state = theirs.get_initial()
        models[LIBRARY] = (theirs, lambda: theirs(batch.inputs, *state, batch.targets)[0])
    return models


def step_of(model: nn.Module, loss: Loss) -> Callable[[], None]:
    """Return a training step: forward, backward, AdamW, without moving the weights much."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-9, fused=True)

    def step() -> None:
        loss().backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def alternate(calls: dict[str, Callable[[], Any]], repeat: int) -> dict[str, float]:
    """Return the median CPU seconds of each call; they take turns, and who begins; the first round does not count."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(repeat + 1):
        for name, call in [*calls.items()][:: -1 if number % 2 else 1]:
            start = time.process_time()
            call()
            times[name].append(time.process_time() - start)
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def steps(repeat: int) -> bool:
    """Compare training steps at the paper's recursion, length and vocabulary; return whether ours are fast enough."""
    good = True
    for mixer, dim, rows in CASES:
        torch.manual_seed(0)
        ours = TrmConfig(**PAPER, mixer=mixer, dim=dim).build()
        batch = Batch(torch.randint(1, 11, (rows, 81)), torch.randint(1, 11, (rows, 81)), torch.arange(rows))
        calls = {name: step_of(*pair) for name, pair in contenders(ours, batch).items()}
        seconds = alternate(calls, repeat)
        report(f"training step, {mixer}, dim {dim}, {rows} rows", seconds)
        good &= seconds["ours"] <= MOST * seconds[STRUCTURE]
    return good


@torch.no_grad()
def answers(repeat: int, run: Path) -> bool:
    """Compare answers to validation puzzles by trained weights, up to 16 steps; return whether ours are the faster.

    Ours and the library let rows halt and drop them; the official code has every row take every step.
    """
    config, trained, _ = commands.open_run(run)
    built = [replace(config.model, max_steps=16, early_stop=stop).build().eval() for stop in (True, False)]
    for model in built:
        model.load_state_dict(trained.state_dict())
    ours, every = built
    structure, batch = Official(ours).eval(), config.data.build("val")[torch.arange(NUM_ROWS), 0]

    def official() -> Tensor:
        carry = structure.fresh(batch)
        for _ in range(16):
            _, carry, logits = structure(batch, carry)
        found: Tensor = logits.argmax(-1)
        return found

    calls: dict[str, Callable[[], Tensor]] = {"ours": lambda: ours(batch).outputs.argmax(-1)}
    calls |= {"ours, every step": lambda: every(batch).outputs.argmax(-1), STRUCTURE: official}
    if INSTALLED:
        theirs, threshold = library(ours), 1 / (1 + math.exp(float(ours.act.linear.bias[0])))  # their head has no bias
        calls[LIBRARY] = lambda: theirs.predict(batch.inputs, threshold, 16)[0]
    right = {name: (call() == batch.targets).all(-1).float().mean().item() for name, call in calls.items()}
    seconds = alternate(calls, repeat)
    report(f"{len(batch.index)} answers", seconds, right)
    return seconds["ours"] < seconds[STRUCTURE]


def report(what: str, seconds: dict[str, float], right: dict[str, float] | None = None) -> None:
    """Print a table: milliseconds, each as a multiple of ours, and the share of rows that is right."""
    print(f"\n| {what} | ms | times ours |{' right |' if right else ''}\n|---|---|---|{'---|' if right else ''}")
    for name, value in seconds.items():
        share = f" {right[name]:.3f} |" if right else ""
        print(f"| {name} | {1000 * value:.0f} | {value / seconds['ours']:.2f} |{share}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="folder of a run of preset trm")
    parser.add_argument("--repeat", type=int, default=5, help="rounds that count")
    args = parser.parse_args()
    torch.set_num_threads(1)
    good = answers(args.repeat, args.run) if args.run else True
    raise SystemExit(0 if steps(args.repeat) and good else 1)


if __name__ == "__main__":
    main()
