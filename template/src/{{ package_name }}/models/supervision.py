"""Deep supervision: a model improves its state step by step, learns at each, and stops where it halts.

A training step is one supervision step of rows in the carry; those that have halted give their place to rows of the
next batch (the official code of Jolicoeur-Martineau 2025). In eval mode a row gets its last word in one call.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ..types import Batch, Carry, StepOutput, map_carry
from .act import ActHead, decisions, quality, spread
from .stablemax import answer_loss, judge, scores


class Recursive(Protocol):
    """What the loops ask of a model; its state is a tree of tensors [B, ...], as a carry is."""

    act: ActHead

    def start(self, inputs: Tensor) -> Carry:
        """Return the state in which rows [B, ...] begin."""

    def think(self, inputs: Tensor, state: Carry) -> tuple[Carry, Tensor, Tensor]:
        """Improve the state by one supervision step; return it, logits [B, ..., V] or others, halting logits [B]."""


class Goal(NamedTuple):
    """What answers are told by: classes by default, or what a model brings along."""

    loss: Callable[[Tensor, Tensor], Tensor]  # of what `think` says and the targets
    judge: Callable[[Tensor, Tensor, str], tuple[Tensor, Tensor]]  # how far rows are right [B], which are known [B]
    show: Callable[[Tensor], Tensor]  # the outputs [B, ...] of what `think` says
    figure: str  # what the mean of how far rows are right is called


CLASSES = Goal(answer_loss, judge, scores, "exact")


def refill(model: Recursive, batch: Batch, carry: Carry) -> Carry:
    """Return the rows to think about: those of the batch where the carry's have halted or there is none yet."""
    new = {"inputs": batch.inputs, "targets": batch.targets, "state": model.start(batch.inputs)}
    new["steps"] = torch.zeros_like(batch.index)
    if carry is None:
        return new
    if len(carry["halted"]) != len(batch.index):
        given, want = len(batch.index), len(carry["halted"])
        raise ValueError(f"a batch of {given} rows, want {want}: the rows under way go on in their places")
    return choose(carry["halted"], new, {name: carry[name] for name in new})


def choose(rows: Tensor, new: Carry, old: Carry) -> Carry:
    """Return a tree of tensors [B, ...] that is `new` in `rows` [B] (bool) and `old` elsewhere."""
    if isinstance(new, Tensor):
        return torch.where(rows.view(-1, *[1] * (new.ndim - 1)), new, old)
    if isinstance(new, dict):
        return {name: choose(rows, part, old[name]) for name, part in new.items()}
    return type(new)(choose(rows, *parts) for parts in zip(new, old, strict=True))


def supervise(model: Recursive, batch: Batch, carry: Carry, goal: Goal = CLASSES) -> StepOutput:
    """Take one supervision step and hand on the carry; the outputs are those of the rows in it, not of the batch."""
    rows = refill(model, batch, carry)
    state, logits, halt_logits = model.think(rows["inputs"], rows["state"])
    correct, known = goal.judge(logits, rows["targets"], model.act.settings.halt_target)
    act_loss, figures = model.act.compute_act_loss(halt_logits, correct, known)
    steps = rows["steps"] + 1
    halted = model.act.decide(halt_logits, steps)
    metrics = {goal.figure: (correct * known).sum() / known.sum(), **figures, **spread(steps, halted)}
    carry = {**rows, "state": map_carry(state, Tensor.detach), "steps": steps, "halted": halted}
    return StepOutput(goal.loss(logits, rows["targets"]) + act_loss, goal.show(logits), metrics, carry)


def answer(model: Recursive, batch: Batch, *, early_stop: bool, goal: Goal = CLASSES) -> StepOutput:
    """Give the last word on every row: after all steps, or with `early_stop` that of the step at which it halts.

    Rows that have halted then drop out and cost nothing more; in a traced graph, which has one shape, they stay.
    """
    settings, inputs, steps = model.act.settings, batch.inputs, torch.zeros_like(batch.index)
    rows, going, state = torch.arange(steps.shape[0], device=steps.device), steps == 0, model.start(inputs)
    counts = torch.zeros(3, dtype=torch.long, device=steps.device)
    said: list[Tensor] = []
    for _ in range(settings.max_steps):
        state, *words = model.think(inputs, map_carry(state, Tensor.detach))
        said = [put(rows, going[rows], *pair) for pair in zip(words, said or words, strict=True)]
        correct, known = goal.judge(said[0], batch.targets, settings.halt_target)
        counts += torch.stack(decisions(said[1], correct, known & going))
        steps += going
        going &= ~model.act.decide(said[1], steps)
        if early_stop and not torch.compiler.is_compiling():
            rows, inputs, state = map_carry((rows, inputs, state), partial(keep, going[rows]))
            if not len(rows):
                break
    halted = {f"halted_{goal.figure}": (correct * known).sum() / known.sum()}
    metrics = {**halted, **quality(*counts), **spread(steps, known)}
    logits, halt_logits = said if early_stop else words
    correct, _ = goal.judge(logits, batch.targets, settings.halt_target)
    act_loss, figures = model.act.compute_act_loss(halt_logits, correct, known)
    metrics = {goal.figure: (correct * known).sum() / known.sum(), "halt_std": figures["halt_std"], **metrics}
    return StepOutput(goal.loss(logits, batch.targets) + act_loss, goal.show(logits), metrics)


def put(rows: Tensor, going: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """Return `old` [B, ...] with `new` [R, ...] in those of `rows` [R] that are `going` [R] (bool)."""
    if new.shape[0] == old.shape[0]:
        return new if new is old else choose(going, new, old)
    return old.index_copy(0, rows, new)


def keep(going: Tensor, part: Tensor) -> Tensor:
    """Return the rows of a part [R, ...] that go on, [R] (bool)."""
    return part[going]
