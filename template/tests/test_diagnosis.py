# copier: filter replace("my_project", package_name)
"""Planted curves get the label they deserve and no other, and noise gets none."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from my_project.evaluation.diagnosis import diagnose
from my_project.evaluation.report import EvaluationConfig

Curve = Callable[[float], float]
RECORD = {"primary": "error", "higher_is_better": False, "value": 0.3, "train_value": 0.29, "gap": 0.01, "split": "val"}
NUM_SEEDS = 30


def falling(time: float) -> float:
    return 2 * math.exp(-12 * time) + 0.3


def journal(losses: Curve, errors: Curve, seed: int = 0, count: int = 8) -> list[dict[str, Any]]:
    """Sixty training losses and a few validation measurements of a run whose time goes from 0 to 1, with noise."""
    draw, lines = np.random.default_rng(seed), list[dict[str, Any]]()
    for n in range(1, 61):
        lines.append({"step": 10 * n, "split": "train", "loss": losses(n / 60) + 0.02 * draw.normal()})
    for n in range(1, count + 1):
        loss, error = (errors(n / count) + 0.005 * draw.normal() for _ in range(2))
        lines.append({"step": 600 * n // count, "split": "val", "loss": loss, "error": error})
    return lines


def labels(lines: list[dict[str, Any]], demands: EvaluationConfig | None = None, **record: Any) -> list[str]:
    whole = {**RECORD, "baselines": {"mean": 1.0}, **record}
    found = diagnose(lines, whole, demands or EvaluationConfig())["labels"]
    assert all(one["evidence"] and one["advice"] for one in found)
    return [one["label"] for one in found]


PLANTED: dict[str, tuple[Curve, Curve]] = {
    "converged": (falling, falling),
    "still improving": (lambda t: 2 - t, lambda t: 2 - t),
    "validation flat": (lambda t: 2 - 1.5 * t, falling),
    "overfit": (lambda t: 2 * math.exp(-6 * t), lambda t: falling(t) + 2 * max(0.0, t - 0.4)),
    "diverged": (lambda t: falling(t) if t < 0.7 else 3.0, lambda t: falling(t) if t < 0.7 else 3.0),
}


@pytest.mark.parametrize("label", PLANTED)
def test_each_planted_curve_has_its_label_and_no_other(label: str) -> None:
    found = [labels(journal(*PLANTED[label], seed)) for seed in range(NUM_SEEDS)]
    assert sum(one == [label] for one in found) >= 0.95 * NUM_SEEDS, found


def test_spikes_make_a_run_unstable_and_noise_does_not() -> None:
    lines = journal(falling, falling)
    for line in lines[20:60:10]:
        line["loss"] += 3
    assert labels(lines)[0] == "unstable"
    assert not any("unstable" in labels(journal(lambda _: 1.0, lambda _: 1.0, seed)) for seed in range(NUM_SEEDS))


def test_a_curve_that_only_wavers_is_not_called_better_or_worse() -> None:
    found = [labels(journal(lambda _: 1.0, lambda _: 1.0, seed)) for seed in range(NUM_SEEDS)]
    wrong = {"still improving", "overfit", "diverged", "unstable"}
    assert sum(bool(wrong & set(one)) for one in found) <= 0.15 * NUM_SEEDS, found


def test_a_loss_that_never_falls_is_a_plateau_and_not_converged() -> None:
    found = [labels(journal(lambda _: 1.0, lambda _: 1.0, seed)) for seed in range(3 * NUM_SEEDS)]
    assert not any({"converged", "validation flat"} & set(one) for one in found), found
    assert sum("plateau" in one for one in found) >= 0.85 * len(found), found


@pytest.mark.parametrize("curve", [lambda t: 1 - 0.15 * min(1.0, 8 * t), lambda t: 1 + 0.5 * (t < 0.02)])
def test_a_loss_that_fell_a_little_or_at_once_is_no_plateau(curve: Curve) -> None:
    found = [labels(journal(curve, falling, seed)) for seed in range(NUM_SEEDS)]
    assert not any("plateau" in one for one in found), found


def test_a_single_dip_is_no_divergence() -> None:
    lines = journal(falling, falling)
    lines[40]["loss"] = 9.0
    assert labels(lines) == ["converged"]


def test_updates_that_were_not_finite_make_a_run_unstable() -> None:
    lines = [*journal(falling, falling), {"step": 5, "split": "nonfinite", "what": "loss nan", "rows": []}]
    assert labels(lines)[0] == "unstable"
    assert labels(lines[-1:])[0] == "diverged"


def test_a_gap_above_its_budget_is_named_and_called_overfit() -> None:
    lines = journal(falling, falling)
    record = {**RECORD, "gap": 0.2, "baselines": {"mean": 1.0}}
    found = diagnose(lines, record, EvaluationConfig(max_gap=0.1))
    assert [one["label"] for one in found["labels"]] == ["overfit"]
    assert found["gap"]["above"]
    assert "a gap of 0.2, above the budget of 0.1" in found["gap"]["text"]
    assert not diagnose(lines, record, EvaluationConfig(max_gap=0.3))["gap"]["above"]


@pytest.mark.parametrize(
    ("record", "demands"),
    [
        ({"baselines": {"mean": 0.25}}, EvaluationConfig()),
        ({"baselines": {"mean": 0.301}}, EvaluationConfig()),  # near it
        ({}, EvaluationConfig(target=0.1)),
        ({"higher_is_better": True, "baselines": {"mean": 0.4}}, EvaluationConfig()),
    ],
)
def test_a_run_at_its_baseline_or_far_from_its_target_is_underfit(
    record: dict[str, Any], demands: EvaluationConfig
) -> None:
    assert "underfit" in labels(journal(falling, falling), demands, **record)
    assert "underfit" not in labels(journal(falling, falling))


def test_of_few_measurements_it_says_that_they_are_too_few() -> None:
    lines = journal(falling, falling, count=3)
    found = diagnose(lines, {**RECORD, "baselines": {"mean": 1.0}}, EvaluationConfig())
    assert found["labels"] == []
    assert found["missing"].startswith("3 validation measurements, want 5")
    # copier: endfilter
