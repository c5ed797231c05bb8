# copier: filter replace("my_project", package_name)
"""A run in parts, for notebooks: its methods, an epoch, and the same figures as `train`."""

import inspect
import runpy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from my_project import config as configs
from my_project import run as commands
from my_project.config import Config
from my_project.experiment import Criterion, Experiment
from my_project.training.storage import load_checkpoint, read_journal
from my_project.types import Batch, StepOutput

from .sample import NUM_ROWS, Rows


def test_it_has_exactly_these_methods_in_sixty_lines() -> None:
    methods = {name for name, _ in inspect.getmembers(Experiment, inspect.isfunction) if not name.startswith("_")}
    assert methods == {"build_model", "build_optimizer", "build_criterion", "train_epoch", "evaluate", "run"}
    assert len(inspect.getsource(Experiment).splitlines()) <= 60


def test_one_epoch_lowers_the_loss(small: Config) -> None:
    experiment = Experiment(small)
    before = experiment.evaluate().metrics["loss"]
    line = experiment.train_epoch()
    assert experiment.trainer.step == line["step"] == NUM_ROWS["train"] // small.data.batch_size
    assert experiment.evaluate().metrics["loss"] < before


def test_epochs_follow_one_another_to_the_end_of_the_budget(small: Config) -> None:
    experiment = Experiment(small)
    while experiment.trainer.step < small.train.steps:
        experiment.train_epoch()
    assert [line["step"] for line in experiment.history if line["split"] == "val"] == [10, 20]


def test_batches_and_rows_of_ones_own_are_taken(small: Config) -> None:
    experiment = Experiment(small)
    rows = Rows(torch.ones(8, 4))
    assert experiment.train_epoch([rows[torch.arange(8), 0]] * 3)["step"] == 3
    assert experiment.evaluate(rows).value != experiment.evaluate().value


def test_a_run_gives_what_train_gives(small: Config) -> None:
    ours = Experiment(replace(small, train=replace(small.train, out="ours"))).run()
    theirs = commands.fit(replace(small, train=replace(small.train, out="theirs")))
    lines = [[{**line, "seconds": 0} for line in read_journal(folder)] for folder in (ours, theirs)]
    assert lines[0] == lines[1]
    for name in ("last.pt", "best.pt"):
        weights = [load_checkpoint(folder / name)["model"] for folder in (ours, theirs)]
        torch.testing.assert_close(*weights, rtol=0, atol=0)
    assert (ours / "evaluation.json").exists()
    assert (ours / "report.html").exists()


@pytest.mark.parametrize("epochs", [1, 2, 5])
def test_a_run_after_epochs_has_the_best_of_what_it_wrote_itself(epochs: int, small: Config) -> None:
    experiment = Experiment(replace(small, train=replace(small.train, out="ours")))
    for _ in range(epochs):
        experiment.train_epoch()
    experiment.trainer.best, experiment.trainer.waited = -1.0, 7  # as if an evaluation before it had been the best
    folder = experiment.run()
    values = [line["error"] for line in read_journal(folder) if line["split"] == "val"]
    best = load_checkpoint(folder / "best.pt")["trainer"]["best"]
    assert best == pytest.approx(min(values), rel=1e-6)
    assert (folder / "report.html").exists()


def test_a_criterion_of_ones_own_is_what_is_minimised(small: Config) -> None:
    class Absolute(Experiment):
        def build_criterion(self) -> Criterion:
            return absolute

    def absolute(output: StepOutput, batch: Batch) -> Tensor:
        return (output.outputs - batch.targets).abs().mean()

    experiment = Absolute(small)
    batch = experiment.data[torch.arange(64), 0]
    torch.manual_seed(0)
    told = experiment.trainer.forward(batch, None)
    assert told.loss.item() == pytest.approx(absolute(told, batch).item())
    before = (experiment.model(batch, None).outputs - batch.targets).abs().mean()
    experiment.train_epoch()
    assert (experiment.model(batch, None).outputs - batch.targets).abs().mean() < before


def test_the_example_runs(small: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(configs, "load", lambda overrides: replace(small, name=f"of-{overrides['train.steps']}"))
    runpy.run_path(str(Path(__file__).parents[1] / "examples/experiment.py"), run_name="__main__")
    line, figures, folder = capsys.readouterr().out.splitlines()
    assert "'split': 'train'" in line
    assert "'loss': " in figures
    assert Path(folder) == Path("runs/of-100-1")
    # copier: endfilter
