"""What each component learns beside the same thing without it: same size, same budget, the same rows.

    uv run python benchmarks/components.py [--only recall sudoku collapse] [--seeds N ...] [--scale SHARE_OF_THE_BUDGET]

One thread, CPU time. Recall: benchmarks/recall.py. Sudoku: 6 by 6 with 10 to 14 clues; figures are those of the test
split, whose puzzles no symmetry joins with a training puzzle. The recursive model is trained with every seed, all else
with the first one. Collapse: a head that has all rows halt at one step. Prints Markdown; the exit status is 1 where a
bound is missed.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

sys.path.extend(str(Path(__file__).parents[1] / name) for name in ("", "working"))

from benchmarks.learning import show, told, train
from benchmarks.recall import recall
from my_project.config import Config, load
from my_project.data.loader import train_batches
from my_project.models.stablemax import answer_loss, judge
from my_project.models.trm import Trm
from my_project.types import Batch, Carry, StepOutput

SEEDS, SECONDS, PARTS = [11, 12, 13], 330.0, 4  # PARTS: all puzzles at once do not fit a core's cache
TINY, HOURS = 1e-6, 1e6  # TINY: beside it a variance is that of rounding, or none
PUZZLES = {"data.hard": False, "data.clues": [10, 14], "data.num_train": 6000, "data.num_test": 1000,
           "model.num_passes": 3}  # fmt: skip
COLLAPSE = {
    "data.hard": False, "data.size": 4, "data.clues": [4, 12], "data.num_val": 50, "data.num_test": 300,
    "model.vocab_size": 5, "model.seq_len": 16, "model.num_prefix": 1, "model.halt_pool": "first",
    "optim.schedule": "constant", "train.steps": 200,
}  # fmt: skip
COLLAPSED, FEW = 3.0, 80  # the head's logit, and the updates in which it learns, the network at rest
ALONE: dict[str, Any] = {"warmup_steps": 0, "ema_decay": 0.0, "freeze": ("embed", "network", "head")}


class OnePass(nn.Module):
    """The network of a recursive model as a feed-forward net: the same parameters, one pass, no state, no halting."""

    def __init__(self, model: Trm) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Answer tokens [B, L] with logits [B, L, V]; it carries nothing."""
        logits = self.model.head(self.model.network(self.model.embedded(batch.inputs)))
        correct, known = judge(logits, batch.targets, "row")
        return StepOutput(answer_loss(logits, batch.targets), logits, {"exact": (correct * known).sum() / known.sum()})


def unseen(config: Config) -> Batch:
    """Return the puzzles of the test split."""
    data = config.data.build("test")
    return cast("Batch", data[torch.arange(len(data)), 0])


@torch.no_grad()
def solved(model: nn.Module, batch: Batch) -> dict[str, float]:
    """Return the figures of a model on puzzles that it has not seen, a few of them at a time."""
    each = [model(part).metrics for part in batch.split(PARTS)]
    found = {name: torch.stack([figures[name].double() for figures in each]) for name in each[0]}
    means = {name: values.mean() for name, values in found.items()}
    if "steps" in found:
        steps = found["steps"]
        for name in ("halt_accuracy", "halt_base_rate"):  # of decisions, and a row decides once in each of its steps
            means[name] = found[name] @ steps / steps.sum()
        means["steps_variance"] += steps.var(correction=0)
    return {name: value.item() for name, value in means.items()}


def stopping(model: Trm, **other: Any) -> Trm:
    """Return a model with the same weights that stops at the rows which have halted."""
    copy = replace(model.config, early_stop=True, **other).build().eval()
    copy.load_state_dict(model.state_dict())
    return copy


def sudoku(scale: float, seeds: list[int]) -> list[bool]:
    """Let preset `trm`, and its network run once, solve puzzles that they have not seen."""
    config, holds, least = load("trm", PUZZLES), list[bool](), 1.0
    data, batch = config.data.build("train", augment=True), unseen(config)
    for seed in seeds:
        torch.manual_seed(seed)
        model = config.model.build()
        spent = train(model, train_batches(data, config.data, seed=seed), config.optim, SECONDS * scale)
        print(told(f"recursive, seed {seed}", model, *spent), flush=True)
        every, halting = solved(model, batch), solved(stopping(model), batch)
        holds += thought(every, halting)
        least = min(least, every["exact"])
    torch.manual_seed(seeds[0])
    once = OnePass(config.model.build())
    spent = train(once, train_batches(data, config.data, seed=seeds[0]), config.optim, SECONDS * scale)
    print(told(f"feed-forward, seed {seeds[0]}", once, *spent), flush=True)
    guessed = solved(once, batch)["exact"]
    show("unseen Sudoku solved, feed-forward", guessed)
    return [*holds, show("least lead of the recursive model", least - guessed, least=0.5)]


def thought(every: dict[str, float], halting: dict[str, float]) -> list[bool]:
    """Print what a recursive model found after all steps, and where its rows halt."""
    show("always deciding alike", halting["halt_base_rate"])
    return [
        show("unseen Sudoku solved, all steps", every["exact"], least=0.97),
        show("the same, rows halt", halting["exact"], least=0.95),
        show("mean steps until they halt", halting["steps"], most=2.0),
        show("variance of these steps", halting["steps_variance"], least=TINY),
        show("right decisions to halt", halting["halt_accuracy"], least=0.97),
    ]


def collapse(scale: float, seed: int) -> list[bool]:
    """Let a head that says "right" to every row learn for a few updates, without the diversity term and with it.

    It is the official head, which reads the first, empty position, of a network that has learnt 4 by 4 Sudoku.
    """
    config, holds = load("trm", COLLAPSE), list[bool]()
    batch, data, few = unseen(config), config.data.build("train", augment=True), round(FEW * scale)
    torch.manual_seed(seed)
    network = replace(config.model, halt_weight=0.0, diversity_weight=0.0).build()
    batches = partial(train_batches, data, config.data)
    train(network, islice(batches(seed=seed), round(config.train.steps * scale)), config.optim, HOURS)
    for weight, bounds in ((0.0, {"most": TINY}), (0.5, {"least": TINY})):
        model = stopping(network, halt_weight=config.model.halt_weight, diversity_weight=weight)
        nn.init.constant_(model.act.linear.bias, COLLAPSED)
        torch.manual_seed(seed)
        spent = train(model, islice(batches(seed=seed + 1), few), replace(config.optim, **ALONE), HOURS)
        print(told(f"diversity weight {weight:g}", model, *spent), flush=True)
        found = solved(model, batch)
        show("mean steps until rows halt", found["steps"])
        holds.append(show("variance of these steps", found["steps_variance"], **bounds))
    return holds


def main(argv: list[str] | None = None) -> None:
    """Print the table; the exit status is 1 where a bound is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parts: dict[str, Callable[[float, list[int]], list[bool]]] = {
        "sudoku": sudoku,
        "recall": lambda scale, seeds: recall(scale, seeds[0]),
        "collapse": lambda scale, seeds: collapse(scale, seeds[0]),
    }
    parser.add_argument("--only", nargs="+", choices=parts, default=[*parts])
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS, help="of weights and rows (%(default)s)")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the budgets, to try it out")
    given = parser.parse_args(argv)
    torch.set_num_threads(1)
    print("| figure | found | wanted | holds |\n| --- | ---: | --- | --- |")
    holds = [held for name in given.only for held in parts[name](given.scale, given.seeds)]
    raise SystemExit(0 if all(holds) else 1)


if __name__ == "__main__":
    main()
