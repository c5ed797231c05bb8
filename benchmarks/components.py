"""What each component learns beside the same thing without it: same size, same budget, the same rows.

    uv run python benchmarks/components.py [--only recall sudoku collapse] [--scale SHARE_OF_THE_BUDGET]

One thread, CPU time. Recall: keys and values, noise for longer than attention reaches, then the keys again (MQAR: Arora
et al. 2023, arXiv 2312.04927). Sudoku: 6 by 6 with 10 to 14 clues, which no symmetry joins with a training puzzle.
Collapse: a head that has all rows halt at one step. Prints Markdown; the exit status is 1 where a bound is missed.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

sys.path.append(str(Path(__file__).parents[1] / "working"))

from my_project.config import Config, load
from my_project.data.loader import train_batches
from my_project.models.memory import NeuralMemoryConfig
from my_project.models.stablemax import answer_loss, judge
from my_project.models.titans_mag import MagConfig
from my_project.models.titans_text import TitansText, TitansTextConfig
from my_project.models.trm import Trm
from my_project.training.optimizer import OptimConfig
from my_project.types import UNKNOWN, Batch, Carry, StepOutput, map_carry

SEED, FAR = 0, 3  # times the trained gap
RECALL = ((4, 32, 64, 45.0), (8, 64, 128, 120.0))  # pairs, kinds of keys and of values, tokens of noise, seconds
FILLERS, ROWS, HELD_OUT = 16, 16, 256  # kinds of noise; rows of a batch; rows to measure on
NEAR_CHANCE, TINY, HOURS = 0.02, 1e-6, 1e6  # TINY: beside it a variance is that of rounding, or none
PUZZLES = {"data.hard": False, "data.clues": [10, 14], "data.num_train": 6000, "data.num_val": 600,
           "model.halt_weight": 1.0}  # fmt: skip
COLLAPSE = {
    "data.hard": False, "data.size": 4, "data.clues": [4, 12], "data.num_val": 300, "data.num_test": 50,
    "model.vocab_size": 5, "model.seq_len": 16, "model.num_prefix": 1, "model.halt_pool": "first",
    "optim.schedule": "constant", "train.steps": 200,
}  # fmt: skip
COLLAPSED, FEW = 3.0, 80  # the head's logit, and the updates in which it learns, the network at rest
ALONE: dict[str, Any] = {"warmup_steps": 0, "ema_decay": 0.0, "freeze": ("embed", "network", "head")}


def train(model: nn.Module, batches: Iterable[Batch], optim: OptimConfig, seconds: float) -> tuple[int, float]:
    """Train for that much CPU time, the learning rate following it; return the number of updates, and the seconds."""
    optimization, carry, begin = optim.build(model.train(), 1), None, time.process_time()
    for batch in batches:
        output: StepOutput = model(batch, carry)
        output.loss.backward()
        carry, spent = map_carry(output.carry, Tensor.detach), time.process_time() - begin
        optimization.num_steps = max(1, round((optimization.num_updates + 1) * seconds / spent))
        optimization.step()
        if spent > seconds:
            break
    optimization.swap_averages()
    model.eval()
    return optimization.num_updates, time.process_time() - begin


def show(name: str, value: float, *, least: float | None = None, most: float | None = None) -> bool:
    """Print a line of the table; return whether its bounds hold."""
    holds = (least is None or value >= least) and (most is None or value <= most)
    bounds = [f"at {word} {bound:.3g}" for word, bound in (("least", least), ("most", most)) if bound is not None]
    print(f"| {name} | {value:.3f} | {', '.join(bounds)} | {'yes' if holds else '**no**'} |", flush=True)
    return holds


def size(model: nn.Module) -> int:
    """Return the number of parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def told(name: str, model: nn.Module, steps: int, seconds: float) -> str:
    """Return a line of the table that says what was trained, and how long."""
    return f"| *{name}: {size(model):,} parameters, {seconds:.0f} s, {steps} updates* | | | |"


def pairs(number: int, kinds: int, gap: int, rows: int, draw: torch.Generator) -> Batch:
    """Return rows of pairs of a key and a value, as many tokens of noise as the gap, and the keys again in any order.

    Targets are the values, at the keys' second time.
    """
    shape = rows, kinds
    keys = torch.rand(shape, generator=draw).argsort(1)[:, :number]  # [B, N]
    values = torch.randint(kinds, (rows, number), generator=draw)
    order = torch.rand((rows, number), generator=draw).argsort(1)
    noise = torch.randint(2 * kinds, 2 * kinds + FILLERS, (rows, gap), generator=draw)
    told = torch.stack([keys, kinds + values], dim=2).flatten(1)  # [B, 2 N]
    inputs = torch.cat([told, noise, keys.gather(1, order)], dim=1)
    targets = torch.full_like(inputs, UNKNOWN)
    targets[:, -number:] = kinds + values.gather(1, order)
    return Batch(inputs, targets, torch.arange(rows))


class Nothing(nn.Module):
    """Stands where a memory was, and recalls nothing."""

    def forward(self, x: Tensor, state: Carry = None) -> tuple[Tensor, Carry]:
        """Return zeros for tokens [B, L, D] -> [B, L, D]."""
        return torch.zeros_like(x), state


def attention_alone(config: TitansTextConfig) -> TitansText:
    """Return a model without memory, its SwiGLU layers so much wider that it has as many parameters or more."""
    wanted = size(config.build())
    for wider in count():
        ratio = config.stack.mlp_ratio + wider * 8 / config.stack.dim
        model = replace(config, stack=replace(config.stack, mlp_ratio=ratio)).build()
        for block in model.stack.blocks:
            block.memory = Nothing()
        if size(model) >= wanted:
            break
    return model


@torch.no_grad()
def recalled(model: nn.Module, number: int, kinds: int, gap: int) -> float:
    """Return the share of unseen values that the model recalls."""
    batch = pairs(number, kinds, gap, HELD_OUT, torch.Generator().manual_seed(SEED + 1))
    asked = batch.targets != UNKNOWN
    found: Tensor = model(batch).outputs.argmax(-1)
    return (found == batch.targets)[asked].float().mean().item()


def contenders(kinds: int) -> dict[str, TitansText]:
    """Return a model with memory, and window attention alone."""
    stack = MagConfig(num_heads=2, window=16, memory=NeuralMemoryConfig(depth=1))
    config = TitansTextConfig(vocab_size=2 * kinds + FILLERS, stack=stack)
    return {"with memory": config.build(), "window attention alone": attention_alone(config)}


def recall(scale: float, cases: Iterable[tuple[int, int, int, float]] = RECALL) -> list[bool]:
    """Let a model with memory, and window attention alone, recall pairs from far outside the window."""
    holds = list[bool]()
    for number, kinds, gap, seconds in cases:
        torch.manual_seed(SEED)
        for what, model in contenders(kinds).items():
            draw = torch.Generator().manual_seed(SEED)
            batches = (pairs(number, kinds, gap, ROWS, draw) for _ in count())
            spent = train(model, batches, OptimConfig(lr=2e-3, weight_decay=0.1), seconds * scale)
            print(told(what, model, *spent), flush=True)
            bounds = {"least": 0.98} if what == "with memory" else {"most": 1 / kinds + NEAR_CHANCE}
            for length in (gap, FAR * gap):
                name = f"{number} pairs, {length} tokens later, {what}; chance {1 / kinds:.3f}"
                holds.append(show(name, recalled(model, number, kinds, length), **bounds))
    return holds


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
    """Return the puzzles that are kept from training."""
    return cast("Batch", config.data.build("val")[torch.arange(config.data.num_val), 0])


@torch.no_grad()
def solved(model: nn.Module, batch: Batch) -> dict[str, float]:
    """Return the figures of a model on puzzles that it has not seen."""
    return {name: value.item() for name, value in model(batch).metrics.items()}


def stopping(model: Trm, **other: Any) -> Trm:
    """Return a model with the same weights that stops at the rows which have halted."""
    copy = replace(model.config, early_stop=True, **other).build().eval()
    copy.load_state_dict(model.state_dict())
    return copy


def sudoku(scale: float) -> list[bool]:
    """Let preset `trm`, and its network run once, solve puzzles that they have not seen."""
    config, found = load("trm", PUZZLES), dict[str, dict[str, float]]()
    data, batch = config.data.build("train", augment=True), unseen(config)
    for name in ("recursive", "feed-forward"):
        torch.manual_seed(SEED)
        model: Any = config.model.build()
        learner = model if name == "recursive" else OnePass(model)
        spent = train(learner, train_batches(data, config.data, seed=SEED), config.optim, 330.0 * scale)
        print(told(name, learner, *spent), flush=True)
        found[name] = solved(learner, batch)
        if name == "recursive":
            found["halting"] = solved(stopping(model), batch)
    every, halting, once = found.values()
    return [
        show("unseen Sudoku solved, all steps", every["exact"], least=0.97),
        show("the same, rows halt", halting["exact"], least=0.95),
        show("mean steps until they halt", halting["steps"], most=2.0),
        show("variance of these steps", halting["steps_variance"], least=TINY),
        show("right decisions to halt", halting["halt_accuracy"], least=0.97),
        show("always deciding alike", halting["halt_base_rate"]),
        show("unseen Sudoku solved, feed-forward", once["exact"]),
        show("lead of the recursive model", every["exact"] - once["exact"], least=0.5),
    ]


def collapse(scale: float) -> list[bool]:
    """Let a head that says "right" to every row learn for a few updates, without the diversity term and with it.

    It is the official head, which reads the first, empty position, of a network that has learnt 4 by 4 Sudoku.
    """
    config, holds = load("trm", COLLAPSE), list[bool]()
    batch, data, few = unseen(config), config.data.build("train", augment=True), round(FEW * scale)
    torch.manual_seed(SEED)
    network = replace(config.model, halt_weight=0.0, diversity_weight=0.0).build()
    batches = partial(train_batches, data, config.data)
    train(network, islice(batches(seed=SEED), round(config.train.steps * scale)), config.optim, HOURS)
    for weight, bounds in ((0.0, {"most": TINY}), (0.5, {"least": TINY})):
        model = stopping(network, halt_weight=config.model.halt_weight, diversity_weight=weight)
        nn.init.constant_(model.act.linear.bias, COLLAPSED)
        torch.manual_seed(SEED)
        spent = train(model, islice(batches(seed=SEED + 1), few), replace(config.optim, **ALONE), HOURS)
        print(told(f"diversity weight {weight:g}", model, *spent), flush=True)
        found = solved(model, batch)
        show("mean steps until rows halt", found["steps"])
        holds.append(show("variance of these steps", found["steps_variance"], **bounds))
    return holds


def main(argv: list[str] | None = None) -> None:
    """Print the table; the exit status is 1 where a bound is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parts: dict[str, Callable[[float], list[bool]]] = {"recall": recall, "sudoku": sudoku, "collapse": collapse}
    parser.add_argument("--only", nargs="+", choices=parts, default=[*parts])
    parser.add_argument("--scale", type=float, default=1.0, help="share of the budgets, to try it out")
    given = parser.parse_args(argv)
    torch.set_num_threads(1)
    print("| figure | found | wanted | holds |\n| --- | ---: | --- | --- |")
    holds = [held for name in given.only for held in parts[name](given.scale)]
    raise SystemExit(0 if all(holds) else 1)


if __name__ == "__main__":
    main()
