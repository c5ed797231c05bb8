"""What a run's curves say in words, each with its evidence: how it went, and what to try next.

Every threshold is in units of the noise of the curve itself, `SURE` of its standard errors, and of what training has
gained so far; where measurements are too few to know the noise, nothing is claimed.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

Curve = list[tuple[int, float]]  # step, value
SURE = 3.0  # standard errors by which a change has to differ from none
SMALL, TURN, LARGE = 0.05, 0.25, 0.5  # shares of all that was gained: a trifle; a turn for the worse; divergence
FEWEST, FEWEST_LOSSES = 5, 8  # measurements of the validation and of the training split
MEDIAN = 1.2533  # standard errors of a median in those of a mean, of normal noise
SPIKE, SPIKES = 10.0, 3  # a spike in units of noise; how many make a run unstable
ADVICE = {
    "diverged": "lower optim.lr, lengthen optim.warmup_steps, or clip with optim.grad_clip",
    "unstable": "lower optim.lr, or clip with optim.grad_clip",
    "still improving": "train longer: train.steps",
    "converged": "more steps bring nothing; another model or more data may",
    "plateau": "it is not learning: try three times optim.lr, and whether --overfit-batches 1 can be learnt at all",
    "validation flat": "more steps only fit the training split; regularise, or get more data",
    "overfit": "regularise (dropout, optim.weight_decay, augmentation), take a smaller model, or get more data",
    "underfit": "take a larger model, regularise less, train longer, or look at the data",
}


def diagnose(lines: list[dict[str, Any]], record: dict[str, Any], demands: Any) -> dict[str, Any]:
    """Return the labels of a run with their evidence, from its journal, its evaluation and what its config demands."""
    name, sign = record["primary"], -1 if record["higher_is_better"] else 1
    losses, held_out = curve(lines, "train", "loss"), curve(lines, "val", "loss")
    errors = [(step, sign * value) for step, value in curve(lines, "val", name)]  # less is better
    gap = name_gap(record, demands.max_gap)
    few = too_few(losses, errors)
    broken = [line for line in lines if line["split"] == "nonfinite"]
    if found := diverged(losses, len(broken)):
        labels = {"diverged": found}
    else:
        labels = {"unstable": unstable(losses, len(broken)), **ending(losses, errors, name)}
        turned = turning(losses, held_out, "loss") or turning(losses, errors, name)
        if turned or gap["above"]:
            labels["overfit"] = "; ".join(filter(None, (turned, gap["text"] if gap["above"] else "")))
            labels.pop("converged", None)
        labels["underfit"] = underfit(record, demands, 0 if few else noise(errors)) if not gap["above"] else ""
    shown = {label: evidence for label, evidence in labels.items() if evidence}
    return {
        "labels": [{"label": k, "evidence": v, "advice": ADVICE[k]} for k, v in shown.items()],
        "gap": gap,
        "missing": few,
    }


def curve(lines: list[dict[str, Any]], split: str, name: str) -> Curve:
    """Return the steps and finite values of a figure of a split, in order."""
    return [(x["step"], x[name]) for x in lines if x["split"] == split and math.isfinite(x.get(name, math.nan))]


def too_few(losses: Curve, errors: Curve) -> str:
    """Say which measurements are too few to tell how training ended; empty where they are enough."""
    if len(errors) < FEWEST:
        return f"{len(errors)} validation measurements, want {FEWEST} to tell how it ended: lower train.eval_every"
    if len(losses) < FEWEST_LOSSES:
        return f"{len(losses)} training losses, want {FEWEST_LOSSES} to tell how it ended: lower train.log_every"
    return ""


def name_gap(record: dict[str, Any], budget: float) -> dict[str, Any]:
    """Return how far the primary figure of the training split is from that of the other one, and in words."""
    gap, split = record["gap"], record["split"]
    text = f"{record['primary']} is {record['train_value']:.4g} in train and {record['value']:.4g} in {split}"
    verdict = f"above the budget of {budget:.4g}" if gap > budget else f"within the budget of {budget:.4g}"
    return {"value": gap, "budget": budget, "above": gap > budget, "text": f"{text}: a gap of {gap:.4g}, {verdict}"}


def noise(points: Curve) -> float:
    """Return the standard deviation of the noise of a curve's later half, from its second differences.

    These leave out what is straight; their median bears a few spikes. Independent noise has 6 times its variance there.
    """
    values = np.array([value for _, value in points])
    late = values[-max(4, len(values) // 2) :]
    differences = np.abs(np.diff(late, n=2))
    return float(np.median(differences) / 0.6745 / math.sqrt(6)) if len(differences) else 0.0


def luck(count: int) -> float:
    """Return how far above the least of `count` values another has to be, in standard deviations, to differ surely."""
    return SURE + math.sqrt(2 * math.log(count))  # where the least of so many normal values lies


def gained(points: Curve) -> float:
    """Return by how much the smoothed curve fell from its first part to its least value."""
    values = smooth(points)
    return max(0.0, values[0] - min(values))


def learnt(points: Curve) -> bool:
    """Return whether a curve fell by more than noise, from its first value or from its first tenth."""
    values, sigma = np.array([value for _, value in points]), noise(points)
    first, rest = np.split(values, [max(1, len(values) // 10)])
    error = sigma * MEDIAN * math.sqrt(1 / len(first) + 1 / len(rest))
    fell = float(np.median(first) - np.median(rest))
    return fell > SURE * error or float(values[0]) - min(smooth(points)) > luck(len(values)) * sigma


def smooth(points: Curve) -> list[float]:
    """Return the median of each value and its neighbours."""
    values = [value for _, value in points]
    return [float(np.median(values[max(0, n - 1) : n + 2])) for n in range(len(values))]


def fall(points: Curve) -> tuple[float, float]:
    """Return by how much a straight line through the last third of a curve falls, and how much of that may be noise."""
    last = points[-max(3, math.ceil(len(points) / 3)) :]
    steps, values = np.array(last, dtype=float).T
    slope, count = steepness(steps, values), len(last)
    error = noise(points) * math.sqrt(12 * (count - 1) / (count * (count + 1)))  # of a line's fall over its points
    return float(-slope * (steps[-1] - steps[0])), max(SURE * error, SMALL * gained(points))


def steepness(steps: np.ndarray, values: np.ndarray) -> float:
    """Return the slope of a line through steps [N] and values [N], which a spike does not turn (Sen 1968)."""
    one, other = np.triu_indices(len(steps), 1)
    return float(np.median((values[other] - values[one]) / np.maximum(steps[other] - steps[one], 1)))


def ending(losses: Curve, errors: Curve, name: str) -> dict[str, str]:
    """Say whether the validation figure still improves at the end, and if not, whether the training loss does."""
    if too_few(losses, errors):
        return {}
    (better, least), (lower, lowest) = fall(errors), fall(losses)
    since = f"over the last third of its measurements, {name} of the validation split"
    if better > least:
        return {"still improving": f"{since} improves by {better:.3g}; less than {least:.2g} would be noise"}
    if better < -least:
        return {}
    flat = f"{since} changes by {abs(better):.2g}, no more than noise or a trifle ({least:.2g})"
    if not learnt(losses):
        return {"plateau": f"{flat}, and the training loss never fell by more than noise ({noise(losses):.2g})"}
    if lower > lowest:
        return {"validation flat": f"{flat}, while the training loss falls by {lower:.2g} (noise: {lowest:.2g})"}
    return {"converged": f"{flat}, and the training loss changes by {abs(lower):.2g} ({lowest:.2g})"}


def diverged(losses: Curve, broken: int) -> str:
    """Say whether the training loss ended far above its best, or could not be computed any more."""
    if broken and not losses:
        return f"the loss was not finite in {broken} updates"
    if len(losses) < FEWEST_LOSSES:
        return ""
    values, sigma = smooth(losses), noise(losses)
    end = float(np.median([value for _, value in losses][-max(3, len(losses) // 10) :]))
    best, start = min(values), values[0]
    if end - best > max(luck(len(losses)) * sigma, LARGE * (start - best)) and end - best > SMALL * abs(best):
        return f"the training loss ended at {end:.3g}, after {best:.3g} at its best and {start:.3g} at the beginning"
    return ""


def unstable(losses: Curve, broken: int) -> str:
    """Say whether the training loss jumps up again and again, or updates were left out."""
    if broken:
        return f"the loss or its gradient was not finite in {broken} updates"
    if len(losses) < FEWEST_LOSSES:
        return ""
    values, usual = [value for _, value in losses], smooth(losses)
    jumps = [abs(b - a) for a, b in pairwise(values)]
    limit = max(SPIKE * float(np.median(jumps)), SMALL * gained(losses))
    spikes = [step for (step, value), level in zip(losses, usual, strict=True) if value - level > limit > 0]
    if len(spikes) < SPIKES:
        return ""
    return f"the training loss jumps up {len(spikes)} times by more than {limit:.2g}, as in step {spikes[0]}"


def turning(losses: Curve, errors: Curve, name: str) -> str:
    """Say whether a figure of the validation split got worse after its best while the training loss went on falling."""
    if too_few(losses, errors):
        return ""
    place = int(np.argmin([value for _, value in errors]))
    (step, best), late = errors[place], [value for _, value in errors[place + 1 :]]
    if len(late) <= 1:  # one measurement is no turn
        return ""
    rise = float(np.median(late[-3:])) - best
    before, after = mean_around(losses, step), float(np.mean([value for _, value in losses][-3:]))
    if rise <= max(luck(len(errors)) * noise(errors), TURN * gained(errors)) or before - after <= noise(losses):
        return ""
    return f"{name} of the validation split was best at step {step} and got worse by {rise:.2g}, as training went on"


def mean_around(points: Curve, step: int) -> float:
    """Return the mean of the three values nearest to a step."""
    nearest: Sequence[tuple[int, float]] = sorted(points, key=lambda point: abs(point[0] - step))[:3]
    return sum(value for _, value in nearest) / len(nearest)


def underfit(record: dict[str, Any], demands: Any, sigma: float) -> str:
    """Say whether a run is no better than its best baseline, or misses its target on the training split as well."""
    sign, name, value = 1 if record["higher_is_better"] else -1, record["primary"], record["value"]
    baseline, bar = max(record["baselines"].items(), key=lambda item: sign * item[1])
    if sign * (value - bar) <= SURE * sigma:
        return f"{name} {value:.4g} does not clear the {baseline} baseline {bar:.4g} by more than noise"
    if demands.target is not None and sign * record["train_value"] < sign * demands.target:
        return f"{name} is {record['train_value']:.4g} in the training split itself, the target {demands.target:.4g}"
    return ""
