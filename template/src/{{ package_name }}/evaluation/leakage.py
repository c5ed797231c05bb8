"""What a data folder gives away: copies, near copies, groups and times over splits, scalers, "train or test?"."""

import logging
from dataclasses import dataclass
from datetime import date
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ..data.folders import Array, Arrays, blocks, check_manifest, read_folder
from ..data.loader import verify
from ..training.optimizer import OptimConfig
from ..types import Split
from .near import LENGTH, MOST_ROWS, near_rows, shingles, text_kind

FOLDS, STEPS, SAMPLE, NUM_FEATURES, WIDTH = 5, 100, 2000, 256, 32  # of the classifier "train or test?"
SEVERAL = 10  # rows of texts that have a symbol, so that its being in both splits or in one is no chance
EXACT = 1e-6  # numbers that are closer are the same
MOST_OFF, SURE = 1e-4, 0.01  # of a mean or deviation; SURE / sqrt(rows) is a hundredth of what chance makes of it
MOST_AUC = 0.55  # its 95 % interval may not lie above this
COPY = " is a copy of "
CHOSEN = ("time", "position", "group")  # in what a manifest says of its split: rows were not drawn one by one

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Auc:
    """How well a classifier tells two splits apart: 0.5 is not at all; with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Moments:
    """What the columns [F] of so many rows are like."""

    count: int
    mean: np.ndarray
    deviation: np.ndarray
    low: np.ndarray
    high: np.ndarray


def inspect(root: Path, today: date) -> tuple[list[str], dict[str, Any]]:
    """Return one line for each way in which a data folder leaks, and the figures behind them."""
    whole = verify(root)
    if broken := [line for line in whole if COPY not in line]:
        return broken, {}
    manifest, splits = read_folder(root)
    copied = [line for line in whole if COPY in line]
    lines = [f"{len(copied)} rows are copies; the first: {copied[0]}"] if copied else []
    lines += check_manifest(manifest, today)
    lines += shared_groups(splits) + disorder(splits, manifest) + fitted_on_all(splits)
    logger.info("looking for rows of val and test that are nearly training rows")
    near, figures = near_copies(splits), dict[str, Any]()
    logger.info("trying to tell val and test from train")
    apart: dict[Split, Auc] = {split: tell_apart(splits["train"], splits[split]) for split in ("val", "test")}
    figures["auc"] = {split: vars(auc) for split, auc in apart.items()}
    figures["may_differ"] = not alike(manifest)
    return [*lines, *near, *(differ(apart) if alike(manifest) else [])], figures


def alike(manifest: dict[str, Any]) -> bool:
    """Say whether splits have to look alike: rows were drawn, at random or of each class; not by time or by group."""
    method = str(manifest.get("split", {}).get("method", ""))
    drawn, chosen = (any(word in method for word in words) for words in (("random", "stratified"), CHOSEN))
    return drawn and not chosen


def differ(apart: dict[Split, Auc]) -> list[str]:
    """Return a line for each split that a classifier tells from train."""
    wording = "{} can be told from train: AUC {:.3f} ({:.3f} to {:.3f}), want an interval that reaches {}"
    return [wording.format(split, a.value, a.low, a.high, MOST_AUC) for split, a in apart.items() if a.low > MOST_AUC]


def shared_groups(splits: dict[Split, Arrays]) -> list[str]:
    """Return a line for each pair of splits with rows of one group."""
    found = {split: {*np.unique(a["groups"][:]).tolist()} for split, a in splits.items() if "groups" in a}
    shared = [(one, other, found[one] & found[other]) for one, other in combinations(found, 2)]
    return [f"{one} and {other} share {len(both)} groups, such as {min(both)}" for one, other, both in shared if both]


def disorder(splits: dict[Split, Arrays], manifest: dict[str, Any]) -> list[str]:
    """Return a line for each split that does not come wholly after the one before it in time."""
    name = "times" if "times" in splits["train"] else "inputs" if "time" in manifest else ""
    ends = {split: (arrays[name][:].min(), arrays[name][:].max()) for split, arrays in splits.items() if name}
    wording = "{} begins at time {}, before {} ends at {}: rows are not split in the order of time"
    bad = [(late, ends[late][0], early, ends[early][1]) for early, late in pairwise(ends)]
    return [wording.format(*each) for each in bad if each[1] <= each[3]]


def fitted_on_all(splits: dict[Split, Arrays]) -> list[str]:
    """Find a scaler of all rows: over them, and not over train, it left mean 0 and deviation 1, or the range 0 to 1."""
    if not np.issubdtype(splits["train"]["inputs"].dtype, np.floating):
        return []
    every, own = (moments([arrays["inputs"] for arrays in some]) for some in (splits.values(), [splits["train"]]))
    vary = every.high > every.low
    ends = [np.abs([side.low[vary], side.high[vary] - 1]).max(initial=0) for side in (every, own)]
    ranged = vary & (ends[0] < EXACT < ends[1])
    found = {"mean 0 and deviation 1": standard(every).sum(), "the range 0 to 1, which train has not,": ranged.sum()}
    wording = "{} of {} columns have {} over the rows of all splits: a scaler was fitted on all of them"
    return [wording.format(count, len(vary), what) for what, count in found.items() if count]


def standard(of: Moments) -> np.ndarray:
    """Say of which columns [F] mean and deviation (perhaps a sample's) are nearer 0 and 1 than chance brings them."""
    near, factors = min(MOST_OFF, SURE / of.count**0.5), (1, (of.count / max(1, of.count - 1)) ** 0.5)
    whole, sample = (np.abs(of.deviation * factor - 1) < near for factor in factors)
    found: np.ndarray = (np.abs(of.mean) < near) & (whole | sample)
    return found


def moments(arrays: list[Array]) -> Moments:
    """Return mean, deviation and ends of the columns of arrays, which are read block by block."""
    count, width = sum(map(len, arrays)), int(np.prod(arrays[0].shape[1:]))
    total, square = np.zeros(width), np.zeros(width)
    low, high = np.full(width, np.inf), np.full(width, -np.inf)
    for part in (part.reshape(-1, width).astype(np.float64) for array in arrays for part in blocks(array)):
        total += part.sum(0)
        low, high = np.minimum(low, part.min(0)), np.maximum(high, part.max(0))
    mean = total / count
    for part in (part.reshape(-1, width) for array in arrays for part in blocks(array)):
        square += ((part - mean) ** 2).sum(0)
    return Moments(count, mean, np.sqrt(square / count), low, high)


def near_copies(splits: dict[Split, Arrays]) -> list[str]:
    """Return a line for each held-out split with rows that are nearly training rows; of large ones the first count."""
    lines, train = list[str](), splits["train"]["inputs"][:MOST_ROWS]
    held_out: tuple[Split, ...] = ("val", "test") if len(train.shape) > 1 else ()
    for split in held_out:
        if pairs := [pair for pair in near_rows(splits[split]["inputs"][:MOST_ROWS], train) if pair[0]]:
            distance, row, place = pairs[0]
            first = f"the nearest are {split} row {row} and train row {place} ({distance:.3f})"
            lines.append(f"{len(pairs)} {split} rows are nearly training rows; {first}")
    return lines


def features(arrays: Arrays, rows: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return numbers [B, F] for rows [B]: inputs and targets; of texts, how often they have strings of each kind."""
    inputs = arrays["inputs"][rows]
    if kind := text_kind(inputs):
        own = np.where(np.isin(inputs, known), inputs, 0)
        found = [(shingles(row, LENGTH[kind] // 2) % NUM_FEATURES).astype(np.int64) for row in own]
        flat = np.stack([np.bincount(strings, minlength=NUM_FEATURES) for strings in found])
    else:
        flat = inputs.reshape(len(inputs), -1)[:, :: max(1, int(np.prod(inputs.shape[1:])) // NUM_FEATURES)]
    targets = arrays["targets"][rows].reshape(len(rows), -1) if "targets" in arrays else flat[:, :0]
    if targets.shape[1] == 1 and np.issubdtype(targets.dtype, np.integer) and targets.min() >= 0:
        targets = np.eye(NUM_FEATURES)[targets[:, 0].astype(np.int64) % NUM_FEATURES]
    return np.concatenate([flat, targets], axis=1).astype(np.float32)


def frequent(train: Array, sample: np.ndarray) -> np.ndarray:
    """Return the symbols of texts that occur in train and in several rows of a sample of both splits.

    A vocabulary of train's words knows no other: rare words, and the mark of an unknown one, say nothing of the texts.
    """
    if not text_kind(sample):
        return np.zeros(0)
    symbols, rows = np.unique(np.concatenate([np.unique(row) for row in sample]), return_counts=True)
    return np.intersect1d(symbols[rows >= SEVERAL], np.concatenate([np.unique(part) for part in blocks(train)]))


def tell_apart(train: Arrays, other: Arrays) -> Auc:
    """Cross-validate a small network that tells as many rows of two splits apart, the same sample every time."""
    draw, count = np.random.default_rng(0), min(SAMPLE, len(train["inputs"]), len(other["inputs"]))
    sides = [(arrays, np.sort(draw.permutation(len(arrays["inputs"]))[:count])) for arrays in (train, other)]
    known = frequent(train["inputs"], np.concatenate([arrays["inputs"][rows] for arrays, rows in sides]))
    both = [features(*side, known) for side in sides]
    width = max(part.shape[1] for part in both)
    rows = torch.from_numpy(np.concatenate([np.pad(part, ((0, 0), (0, width - part.shape[1]))) for part in both]))
    answers = torch.cat([torch.zeros(len(both[0])), torch.ones(len(both[1]))])
    fold = torch.from_numpy(np.concatenate([draw.permutation(len(part)) % FOLDS for part in both]))
    scores = torch.zeros(len(rows))
    for number in range(FOLDS):
        scores[fold == number] = fit(rows[fold != number], answers[fold != number], rows[fold == number], number)
    return auc(scores[answers == 1].numpy(), scores[answers == 0].numpy())


def fit(rows: torch.Tensor, answers: torch.Tensor, others: torch.Tensor, seed: int) -> torch.Tensor:
    """Train a small network on rows [N, F] and answers [N] by the project's own update; return scores of others [M]."""
    mean, deviation = rows.mean(0), rows.std(0).clamp(min=1e-6)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(rows.shape[1], WIDTH), nn.GELU(), nn.Linear(WIDTH, 1))
    optimization = OptimConfig(lr=0.01, weight_decay=1.0, warmup_steps=0).build(model, STEPS)
    for _ in range(STEPS):
        F.binary_cross_entropy_with_logits(model((rows - mean) / deviation)[:, 0], answers).backward()
        optimization.step()
    with torch.inference_mode():
        scores: torch.Tensor = model((others - mean) / deviation)[:, 0]
        return scores.clone()


def auc(positive: np.ndarray, negative: np.ndarray) -> Auc:
    """Return the area under the ROC curve of scores [M] and [N], with its interval by DeLong et al. (1988)."""
    ordered = np.sort(negative)
    above = (
        (np.searchsorted(ordered, positive, "left") + np.searchsorted(ordered, positive, "right")) / 2 / len(negative)
    )
    ordered = np.sort(positive)
    below = (
        (np.searchsorted(ordered, negative, "left") + np.searchsorted(ordered, negative, "right")) / 2 / len(positive)
    )
    value = float(above.mean())
    wide = 1.96 * float(np.sqrt(above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below)))
    return Auc(value, max(0.0, value - wide), min(1.0, value + wide))
