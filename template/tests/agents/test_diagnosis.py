# copier: filter replace("my_project", package_name)
"""What is wrong with a run is read from its journal, with one sentence of advice that names an option."""

import json
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from my_project_agents import diagnosis

STEPS = range(20, 620, 20)
Curve = Callable[[float], float]  # of the share of the run that is done


def falling(share: float) -> float:
    return 0.2 + float(2.0 * 0.0001**share)


def always(value: float) -> Curve:
    return lambda _: value


def planted(folder: Path, train: dict[str, Curve], val: Curve = falling, **evaluation: Any) -> Path:
    """Write a run folder with these curves."""
    run = folder / "run"
    run.mkdir()
    lines = [{"step": n, "split": "train", **{name: at(n / 600) for name, at in train.items()}} for n in STEPS]
    lines += [{"step": n, "split": "val", "loss": val(n / 600)} for n in STEPS if n % 100 == 0]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if evaluation:
        (run / "evaluation.json").write_text(
            json.dumps({"primary": "accuracy", "higher_is_better": True, **evaluation})
        )
    return run


SICK: dict[str, dict[str, Any]] = {
    "diverged": {"train": {"loss": lambda share: 2.0 - share if share < 0.5 else 1.5 + 20 * (share - 0.5)}},
    "plateau": {"train": {"loss": lambda share: 2.3 - 0.01 * share}, "val": always(2.3)},
    "overfitting": {"train": {"loss": falling}, "val": lambda share: 1.0 + 4 * (share - 0.4) ** 2},
    "underfitting": {"train": {"loss": falling}, "value": 0.3, "gap": 0.01, "baselines": {"linear": 0.9}},
    "exploding gradients": {"train": {"loss": falling, "grad_norm": lambda share: 900.0 if share > 0.97 else 1.0}},
    "vanishing gradients": {"train": {"loss": falling, "grad_norm": always(1e-9)}},
    "halting collapsed": {"train": {"loss": falling, "steps_variance": lambda share: 0.5 * (share < 0.5)}},
}


@pytest.mark.parametrize("name", SICK)
def test_each_planted_illness_is_found_with_an_option_to_change(name: str, workspace: Path) -> None:
    found = diagnosis.diagnose(planted(workspace, **SICK[name]))
    assert [each["name"] for each in found["findings"]] == [name]
    assert not found["ok"]
    (advice,) = (each["advice"] for each in found["findings"])
    assert re.fullmatch(r"[A-Z][^.]*(\.[a-z][^.]*)*\.", advice)
    assert re.search(r"--(optim|model|train)\.[a-z-]+", advice) or name == "vanishing gradients"


def test_a_run_that_learned_is_converged_and_nothing_is_found(workspace: Path) -> None:
    run = planted(workspace, {"loss": falling, "grad_norm": always(1.0)}, value=0.9, gap=0.0, baselines={"x": 0.5})
    found = diagnosis.diagnose(run)
    assert (found["ok"], found["state"], found["findings"]) == (True, "converged", [])


def test_a_run_that_still_learns_is_told_apart(workspace: Path) -> None:
    run = planted(workspace, {"loss": lambda share: 3 - 2 * share}, lambda share: 3 - 2 * share)
    assert diagnosis.diagnose(run)["state"] == "still falling"


def test_a_value_that_was_not_finite_is_a_divergence(workspace: Path) -> None:
    (workspace / "metrics.jsonl").write_text(json.dumps({"step": 7, "split": "nonfinite", "what": "loss nan"}) + "\n")
    found = diagnosis.diagnose(workspace)
    assert found["state"] == "diverged"
    assert "step 7: loss nan" in found["findings"][0]["detail"]


def test_the_parameter_whose_gradient_fades_is_named(workspace: Path) -> None:
    norms = {"grad_norm/head": always(1.0), "grad_norm/first": always(1e-6)}
    (found,) = diagnosis.diagnose(planted(workspace, {"loss": falling, **norms}))["findings"]
    assert found["name"] == "vanishing gradients"
    assert found["detail"].startswith("first: ")


def test_a_gap_above_the_configs_is_overfitting(workspace: Path) -> None:
    run = planted(workspace, {"loss": falling}, value=0.6, gap=0.3, baselines={"linear": 0.5})
    assert [each["name"] for each in diagnosis.diagnose(run)["findings"]] == ["overfitting"]
    (run / "config.yaml").write_text("evaluation: {max_gap: 0.4}")
    assert diagnosis.diagnose(run)["ok"]


def test_a_real_run_is_read_with_its_checkpoints(trained: Path) -> None:
    found = diagnosis.diagnose(trained)
    assert found["checkpoints"]["last_step"] >= found["checkpoints"]["best_step"] > 0
    assert found["state"] in {"converged", "still falling", "unknown"}  # the report wants more measurements


REPORTS = find_spec("my_project.evaluation.diagnosis")
LABELS: dict[str, tuple[Curve, Curve, bool]] = {  # by the report's label: the loss in training, in validation, and ok
    "validation flat": (lambda share: 2.0 - share, always(1.0), True),
    "plateau": (always(2.0), always(1.0), False),
    "still improving": (lambda share: 2.0 - share, lambda share: 2.0 - share, True),
    "overfit": (falling, lambda share: 1.0 + 4 * (share - 0.4) ** 2, False),
}


@pytest.mark.skipif(REPORTS is None, reason="no report here says such things")
@pytest.mark.parametrize("label", LABELS)
def test_of_curves_it_says_what_the_report_says_and_gradients_are_its_own(label: str, workspace: Path) -> None:
    loss, val, fine = LABELS[label]
    record = {"primary": "loss", "higher_is_better": False, "value": 1.0, "train_value": 1.0, "gap": 0.0}
    run = planted(workspace, {"loss": loss}, val, **record, split="val", baselines={"mean": 3.0})
    found = diagnosis.diagnose(run)
    assert (found["state"], found["ok"]) == (label, fine)
    assert [each["name"] for each in found["findings"]] == ([] if fine else [label])
    faint = [{**line, "grad_norm": 1e-9} for line in map(json.loads, (run / "metrics.jsonl").read_text().splitlines())]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in faint))
    assert diagnosis.diagnose(run)["findings"][-1]["name"] == "vanishing gradients"


def test_a_folder_that_is_no_run_is_refused(workspace: Path) -> None:
    with pytest.raises(ValueError, match=r"no metrics\.jsonl"):
        diagnosis.diagnose(workspace)
    (workspace / "metrics.jsonl").write_text(json.dumps({"step": 1, "split": "train", "loss": 1.0}) + "\n")
    with pytest.raises(ValueError, match="want 4 lines"):
        diagnosis.diagnose(workspace)
    # copier: endfilter
