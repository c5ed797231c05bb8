"""What a run's journal and checkpoints say about its training, with the option to change for each finding."""

import json
import math
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import fmean, median
from typing import Any

import yaml

from . import part

HELP = "say what is wrong with a run's training, and which option to change; exit 1 where something is"
FEWEST = 4  # lines on a split that make a curve
RISEN, FLAT, LEARNT = 0.5, 0.02, 0.05  # shares of what the loss fell by, and of where it began
BURST, FAINT, UNEVEN = 50.0, 1e-7, 1e-4  # gradient norms: above the median, of all, of a parameter over the largest
MAX_GAP = 0.05  # where the config does not say it
TOLD = {"primary", "higher_is_better", "value", "train_value", "gap", "split", "baselines"}  # of an evaluation
ILL = ("diverged", "unstable", "plateau", "overfit", "underfit")  # labels of the report that ask for a change
STILL = 1e-3  # spread of the halting steps, or of the halting logits, that is none


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run folder holds."""

    folder: Path
    lines: list[dict[str, Any]]
    evaluation: dict[str, Any]
    max_gap: float
    target: float | None

    def curve(self, name: str, split: str = "train") -> list[tuple[int, float]]:
        """Return the steps and finite values of a figure on a split."""
        found = [(line["step"], line[name]) for line in self.lines if line["split"] == split and name in line]
        return [(step, value) for step, value in found if isinstance(value, int | float) and math.isfinite(value)]


def add_arguments(parser: ArgumentParser) -> None:
    """Say what the script takes."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder, runs/<preset>-<n>")


def main(run: Path) -> dict[str, Any]:
    """Diagnose a run."""
    return diagnose(run)


def diagnose(folder: Path) -> dict[str, Any]:
    """Return each finding with its reason and one sentence of advice; ok where none asks for a change.

    Of the curves it says what the report says, where the project has a report that does.
    """
    run = read(folder)
    if (labels := reported(run)) is None:
        findings = [finding for look in CURVES for finding in look(run)]
        state = "diverged" if any(finding["name"] == "diverged" for finding in findings) else progress(run)
    else:
        ill = [finding(each["label"], each["evidence"], each["advice"]) for each in labels if each["label"] in ILL]
        findings, state = [*chain(*ill)], ", ".join(each["label"] for each in labels) or "unknown"
    findings += [finding for look in INSIDE for finding in look(run)]
    return {"ok": not findings, "run": str(folder), "state": state, "findings": findings, **checkpoints(folder)}


def read(folder: Path) -> Run:
    """Read a run folder; ValueError where it has no journal, or one that is too short."""
    journal, pages = folder / "metrics.jsonl", (folder / "evaluation.json", folder / "config.yaml")
    if not journal.is_file():
        raise ValueError(f"{folder} has no metrics.jsonl; want a run folder, runs/<preset>-<n>")
    lines = [json.loads(line) for line in journal.read_text("utf-8").splitlines() if line.endswith("}")]
    if sum(line["split"] == "train" for line in lines) < FEWEST and all(x["split"] != "nonfinite" for x in lines):
        raise ValueError(f"{journal}: want {FEWEST} lines on the training or more; lower --train.log-every")
    evaluation = json.loads(pages[0].read_text("utf-8")) if pages[0].is_file() else {}
    config = yaml.safe_load(pages[1].read_text("utf-8")) if pages[1].is_file() else {}
    demands = config.get("evaluation", {})
    limits = {"max_gap": demands.get("max_gap", MAX_GAP), "target": demands.get("target")}
    return Run(folder=folder, lines=lines, evaluation=evaluation, **limits)


def reported(run: Run) -> list[dict[str, str]] | None:
    """Return the labels that the report gives a run; None without such a report, or of a run that has no evaluation."""
    try:
        module = part("evaluation.diagnosis")
    except ModuleNotFoundError:
        return None
    if not run.evaluation.keys() >= TOLD:
        return None
    labels: list[dict[str, str]] = module.diagnose(run.lines, run.evaluation, run)["labels"]
    return labels


def finding(name: str, detail: str, advice: str) -> list[dict[str, str]]:
    """Return one finding."""
    return [{"name": name, "detail": detail, "advice": advice}]


def ends(curve: list[tuple[int, float]]) -> tuple[float, float, float]:
    """Return where a curve begins, its lowest, and where it ends: means of a tenth of it."""
    values, count = [value for _, value in curve], max(1, len(curve) // 10)
    means = [fmean(values[at : at + count]) for at in range(len(values) - count + 1)]
    return means[0], min(means), means[-1]


def progress(run: Run) -> str:
    """Return whether the training loss never fell (plateau), the validation loss no longer falls, or still does."""
    train, val = run.curve("loss"), run.curve("loss", "val")
    if len(train) < FEWEST:
        return "unknown"
    begin, lowest, _ = ends(train)
    if begin - lowest < LEARNT * abs(begin):
        return "plateau"
    values = [value for _, value in (val if len(val) >= FEWEST else train)]
    before = min(values[: -max(1, len(values) // 3)])
    return "converged" if before - min(values) < FLAT * (begin - lowest) else "still falling"


def divergence(run: Run) -> list[dict[str, str]]:
    """A loss that is no number, or that ends far above its lowest."""
    advice = "Train with a third of the learning rate (--optim.lr), and keep --optim.grad-clip at 1."
    if wild := [line for line in run.lines if line["split"] == "nonfinite"]:
        return finding("diverged", f"step {wild[0]['step']}: {wild[0].get('what', 'not finite')}", advice)
    begin, lowest, end = ends(run.curve("loss"))
    if end - lowest > RISEN * max(begin - lowest, abs(lowest)):
        return finding(
            "diverged", f"the training loss fell from {begin:.4g} to {lowest:.4g} and ends at {end:.4g}", advice
        )
    return []


def stagnation(run: Run) -> list[dict[str, str]]:
    """A loss that hardly fell at all."""
    if divergence(run) or progress(run) != "plateau":
        return []
    begin, lowest, _ = ends(run.curve("loss"))
    advice = "Try three times the learning rate (--optim.lr), and see whether --overfit-batches 1 can be learnt at all."
    return finding("plateau", f"the training loss went from {begin:.4g} to no less than {lowest:.4g}", advice)


def overfitting(run: Run) -> list[dict[str, str]]:
    """A validation loss that rises while the training loss falls, or a gap above what the config allows."""
    val, train = run.curve("loss", "val"), run.curve("loss")
    advice = "Raise --model.dropout or --optim.weight-decay, or stop early with --train.patience 3."
    if len(val) >= FEWEST and not divergence(run):
        at, lowest = min(val, key=lambda point: point[1])
        then = [value for step, value in train if step <= at] or [train[0][1]]
        rise, fall = val[-1][1] - lowest, val[0][1] - lowest
        if rise > 0.1 * max(fall, abs(lowest)) and ends(train)[2] < then[-1]:
            told = f"the validation loss was {lowest:.4g} at step {at} and ends at {val[-1][1]:.4g}"
            return finding("overfitting", told, advice)
    if (gap := run.evaluation.get("gap", 0.0)) > run.max_gap:
        return finding("overfitting", f"the gap to the training split is {gap:.4g}, above {run.max_gap:.4g}", advice)
    return []


def underfitting(run: Run) -> list[dict[str, str]]:
    """Figures that no baseline would envy, and no better ones on the training split."""
    bars, value = run.evaluation.get("baselines") or {}, run.evaluation.get("value")
    if not bars or value is None:
        return []
    sign = 1 if run.evaluation.get("higher_is_better", True) else -1
    name, bar = max(bars.items(), key=lambda item: sign * item[1])
    if sign * value > sign * bar or run.evaluation.get("gap", 0.0) > run.max_gap:
        return []
    told = f"{run.evaluation['primary']} {value:.4g} does not beat the {name} baseline {bar:.4g}"
    return finding(
        "underfitting", told, "Make the model larger (--model.dim, --model.depth) or train longer (--train.steps)."
    )


def gradients(run: Run) -> list[dict[str, str]]:
    """Gradient norms that burst or fade, of all parameters or, with `--train.monitor-layers`, of one."""
    points = run.curve("grad_norm")
    norms = [value for _, value in points]
    for number in range(FEWEST, len(norms)):  # beside those before it: norms fall while a model learns
        usual = median(norms[:number])
        if norms[number] > BURST * usual > 0:
            told = f"the gradient norm is {norms[number]:.4g} at step {points[number][0]}, it used to be {usual:.4g}"
            advice = "Lower --optim.grad-clip or --optim.lr, or raise --optim.warmup-steps."
            return finding("exploding gradients", told, advice)
    advice = "Add normalisation or a way past each block, or make it less deep (--model.depth)."
    if norms and median(norms) < FAINT:
        return finding("vanishing gradients", f"the gradient norm is {median(norms):.4g}", advice)
    names = {name for line in run.lines for name in line if name.startswith("grad_norm/")}
    layers = {name.partition("/")[2]: median(value for _, value in run.curve(name)) for name in sorted(names)}
    faint = [name for name, value in layers.items() if value < UNEVEN * max(layers.values())]
    told = f"{', '.join(faint[:3])}: less than {UNEVEN:g} of the largest gradient norm of a parameter"
    return finding("vanishing gradients", told, advice) if faint else []


def halting(run: Run) -> list[dict[str, str]]:
    """Halting that no longer depends on the row: no spread in the steps, or in the halting logits."""
    for name in ("halt_std", "steps_variance"):
        late = [value for _, value in run.curve(name)][-FEWEST:]
        if len(late) == FEWEST and max(late) < STILL:
            told = f"{name} is at most {max(late):.3g} in the last lines: every row halts alike"
            return finding("halting collapsed", told, "Raise --model.diversity-weight, or --model.exploration.")
    return []


def checkpoints(folder: Path) -> dict[str, Any]:
    """Return the steps of the newest and the best weights, as their files have them."""
    load, found = part("training.storage").load_checkpoint, dict[str, Any]()
    for name in ("last", "best"):
        path = folder / f"{name}.pt"
        found[f"{name}_step"] = load(path)["trainer"]["step"] if path.is_file() else None
    return {"checkpoints": found}


CURVES: tuple[Callable[[Run], list[dict[str, str]]], ...] = (divergence, stagnation, overfitting, underfitting)
INSIDE: tuple[Callable[[Run], list[dict[str, str]]], ...] = (gradients, halting)
