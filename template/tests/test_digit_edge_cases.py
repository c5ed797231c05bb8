# copier: filter replace("my_project", package_name)
"""On the digits: rare classes are answered better with weights, attacks cost accuracy, replay keeps old classes."""

import json
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch

from my_project import config as configs
from my_project import run as commands
from my_project.__main__ import main

QUICK: dict[str, Any] = {
    "train.steps": 300,
    "train.eval_every": 300,
    "optim.lr": 0.005,
    "data.base": {"kind": "digits", "shift": 0},
}
MLP = {"kind": "mlp", "dim": 64}


def rare_f1(out: str, **overrides: Any) -> float:
    """Train on three rare digits; return the mean F1 of these on the validation split, where they are not rare."""
    run = commands.fit(configs.load("balanced", {**QUICK, "model.base": MLP, **overrides, "train.out": out}))
    commands.evaluate(run)
    rows = json.loads((run / "evaluation.json").read_text())["metrics"]["per_class"]
    return fmean(rows[label]["f1"] for label in (1, 5, 8))


REMEDIES: dict[str, dict[str, Any]] = {
    "class weights": {},
    "focal loss and class weights": {"model.focal_gamma": 2.0},
    "weighted sampling": {"model.class_weights": "none", "data.weights": "balanced"},
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """What three seeds reach without a remedy."""
    out = tmp_path_factory.mktemp("plain")
    return [rare_f1(str(out / f"{n}"), **{"model.class_weights": "none", "train.seed": n}) for n in range(3)]


@pytest.mark.parametrize("remedy", REMEDIES.values(), ids=REMEDIES)
def test_rare_classes_are_answered_better(remedy: dict[str, Any], plain: list[float]) -> None:
    better = [rare_f1(f"run-{seed}", **remedy, **{"train.seed": seed}) for seed in range(3)]
    assert all(b > p for b, p in zip(better, plain, strict=True)), (plain, better)
    assert fmean(better) > fmean(plain) + 0.1, (plain, better)


def test_a_run_of_nested_parts_resumes_exactly() -> None:
    options = {**QUICK, "model.base": MLP, "data.weights": "balanced", "optim.schedule": "constant"}
    straight, parts = (configs.load("balanced", {**options, "train.steps": n, "train.out": f"{n}"}) for n in (40, 20))
    whole, first = commands.fit(straight), commands.fit(parts)
    commands.fit(configs.load(first / "config.yaml", {"train.steps": 40}), resume=first)
    weights = [torch.load(run / "last.pt", weights_only=True)["model"] for run in (first, whole)]
    assert {name for name in weights[0] if not torch.equal(weights[0][name], weights[1][name])} == set()
    assert weights[0]["weights"].max() > 2 * weights[0]["weights"].min()
    assert configs.load(whole / "config.yaml") == straight


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--model.base {kind:\\ nope}", "model.base: "),
        ("--model.base {kind:\\ mlp,\\ depht:\\ 3}", "want options of mlp, one of kind, input_shape, num_classes, dim"),
        ("--model.base {kind:\\ mlp,\\ dim:\\ -3}", "model.base.dim: got -3, want a number greater than 0"),
        ("--data.base digits", "data.base: got 'digits', want a mapping with a kind, one of "),
        ("--data.keep {0:\\ 2}", "data.keep.0: got 2, want less than or equal to 1"),
        ("--model.class-weights [1,2]", "model: class_weights are 2, base has num_classes 10"),
    ],
)
def test_nested_options_that_are_wrong_are_refused_in_one_line(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [part.replace("\0", " ") for part in words.replace("\\ ", "\0").split()]
    assert main(["train", "balanced", *parts]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "mlp"
    return commands.fit(configs.load("mlp", {"train.steps": 200, "train.eval_every": 200, "train.out": str(out)}))


def test_attacks_cost_more_than_noise_of_the_same_size(digits_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--epsilons", "0.02,0.1,0.2", "--rows", "200", "--steps", "10"]
    assert main(["robustness", str(digits_run), *words]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    lines = found["attacks"]
    assert found["clean"] > 0.9
    for line in lines:
        assert line["pgd"] <= line["fgsm"] + 0.01 <= line["noise"] + 0.02
    assert lines[-1]["pgd"] < 0.2
    assert lines[-1]["noise"] > 0.8
    assert [line["pgd"] for line in lines] == sorted((line["pgd"] for line in lines), reverse=True)
    assert len([line for line in err.splitlines() if line.startswith("  0.")]) == 3
    assert json.loads((digits_run / "robustness.json").read_text())["attacks"] == lines
    assert main(["robustness", str(digits_run), *words]) == 0
    assert json.loads(capsys.readouterr().out) == found


def test_a_task_is_forgotten_after_another_and_replay_keeps_it(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--train.steps", "150", "--train.eval-every", "150", "--memory", "100", "--out", "both"]
    assert main(["forgetting", "mlp", *words]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["tasks"] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    plain, replay = found["plain"], found["replay"]
    assert plain["values"][0] == replay["values"][0]
    assert plain["values"][0][0] > 0.95
    assert plain["backward_transfer"] < -0.5
    assert replay["backward_transfer"] > -0.2
    assert replay["mean"] > plain["mean"] + 0.2
    assert json.loads(Path("both/forgetting.json").read_text())["plain"] == plain


def test_a_run_is_measured_for_each_class(digits_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["groups", str(digits_run), "--by", "targets"]) == 0
    found = json.loads(capsys.readouterr().out)["groups"]
    assert [*found] == [*"0123456789"]
    assert sum(line["rows"] for line in found.values()) == 270
    # copier: endfilter
