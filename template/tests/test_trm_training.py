# copier: filter replace("my_project", package_name)
"""The model under the project's own trainer: its carry is part of a checkpoint, and a run goes on exactly."""

import copy
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from my_project.models.trm import Trm, TrmConfig
from my_project.training.optimizer import OptimConfig
from my_project.training.trainer import TrainConfig, Trainer
from my_project.types import Batch, Measurement

OPTIONS: dict[str, Any] = {
    "seq_len": 6,
    "dim": 16,
    "multiple_of": 8,
    "max_steps": 3,
    "num_latent": 2,
    "exploration": 0.5,
}


def batches(first: int) -> Any:
    """Yield batches in which every second row is easy; `first` says how many were taken before."""
    step = first
    while True:
        random = torch.Generator().manual_seed(step)
        tokens = torch.randint(1, 7, (8, 6), generator=random)
        yield Batch(tokens, tokens, torch.arange(8))
        step += 1


def trainer(steps: int, **changes: Any) -> Trainer:
    torch.manual_seed(0)
    model = TrmConfig(**OPTIONS).build()
    config = TrainConfig(**{"steps": steps, "device": "cpu", "log_every": 20, "eval_every": 40, **changes})
    optim = OptimConfig(lr=5e-3, warmup_steps=0, schedule="constant", ema_decay=0.9)

    def evaluate(model: nn.Module) -> Measurement:
        with torch.no_grad():
            metrics = model.eval()(next(batches(999))).metrics
        figures = {name: value.item() for name, value in metrics.items()}
        return Measurement(primary="exact", value=figures["exact"], higher_is_better=True, metrics=figures)

    return Trainer(config, model, optim, evaluate, {})


def fit(run: Trainer, folder: Path, first: int = 0) -> tuple[list[tuple[int, str, dict[str, float]]], dict[str, Any]]:
    journal: list[tuple[int, str, dict[str, float]]] = []
    saved: dict[str, Any] = {}

    def write(step: int, split: str, values: dict[str, float]) -> None:
        journal.append((step, split, dict(values)))

    def save(_: Path, state: dict[str, Any], **_best: bool) -> None:
        saved.update(copy.deepcopy(state))

    run.fit(batches(first), folder, write, save)
    return journal, saved


def test_a_run_that_is_cut_in_two_is_the_same_run(tmp_path: Path) -> None:
    straight = trainer(8)
    fit(straight, tmp_path)
    _, state = fit(trainer(5), tmp_path)
    assert state["carries"][0]["steps"].max() > 1
    resumed = trainer(8)
    resumed.load_state_dict(state)
    torch.set_rng_state(state["rng"][0])
    fit(resumed, tmp_path, first=5)
    for name, value in straight.model.state_dict().items():
        torch.testing.assert_close(resumed.model.state_dict()[name], value, rtol=0, atol=0)


def test_the_journal_tells_how_halting_goes(tmp_path: Path) -> None:
    journal, _ = fit(trainer(120), tmp_path)
    lines = [values for _, split, values in journal if split == "train"]
    names = {"exact", "steps", "steps_variance", "halt_accuracy", "halt_base_rate", "halt_std"}
    assert all(names <= line.keys() for line in lines)
    assert lines[0]["steps"] == 3
    assert lines[-1]["exact"] > lines[0]["exact"]


@pytest.mark.parametrize("changes", [{"accumulate": 2, "tbptt": 2}, {"recompute": True}, {"precision": "bf16"}])
def test_the_trainers_other_ways_work_too(tmp_path: Path, changes: dict[str, Any]) -> None:
    run = trainer(4, **changes)
    fit(run, tmp_path)
    assert run.step == 4
    assert isinstance(run.model, Trm)


def test_recomputing_changes_no_gradient() -> None:
    plain, saving = trainer(1), trainer(1, recompute=True)
    batch = next(islice(batches(0), 1))
    for run in (plain, saving):
        run.model(batch, None).loss.backward()
    for one, two in zip(plain.model.parameters(), saving.model.parameters(), strict=True):
        assert one.grad is not None
        assert two.grad is not None
        torch.testing.assert_close(one.grad, two.grad, rtol=0, atol=0)


def test_rows_that_take_turns_after_memory_ran_out_keep_their_carries(tmp_path: Path) -> None:
    run = trainer(2)
    fit(run, tmp_path)
    before = run.carries[0]["steps"]
    run.divide((next(batches(2)),))
    assert [len(carry["steps"]) for carry in run.carries] == [4, 4]
    run.config.__dict__["steps"] = 3
    fit(run, tmp_path, first=2)
    assert len(before) == sum(len(carry["steps"]) for carry in run.carries)
    # copier: endfilter
