# copier: filter replace("my_project", package_name)
"""Lightning's loop around the same model, data and update."""

import os
import signal
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch

from my_project import config as configs
from my_project import run as commands
from my_project.training.lightning import LitData, LitModel
from my_project.training.optimizer import Optimization
from my_project.training.storage import load_checkpoint, read_journal

from .sample import PRESET

SHORT = {"train.steps": 12, "train.eval_every": 4, "train.log_every": 1, "optim.warmup_steps": 2, "train.accumulate": 2}
LIGHTNING = {**SHORT, "train.engine": "lightning"}


def fit(out: str, **options: Any) -> Path:
    return commands.fit(configs.load(PRESET, {**LIGHTNING, **options, "train.out": out}))


def assert_same_weights(first: Path, second: Path) -> None:
    states = [load_checkpoint(folder / "last.pt") for folder in (first, second)]
    weights = [{**state["model"], **state["optimization"]["averages"]} for state in states]
    torch.testing.assert_close(*weights, rtol=0, atol=0)


def figures(folder: Path) -> list[dict[str, Any]]:
    return [{**line, "seconds": 0} for line in read_journal(folder)]


@pytest.mark.parametrize("pieces", [False, True])
def test_lightning_trains_what_our_own_loop_trains(pieces: bool) -> None:
    options = {"data.pieces": pieces}
    first, second = fit("lightning", **options), fit("ours", **{**options, "train.engine": "trainer"})
    assert_same_weights(first, second)
    assert [line["step"] for line in figures(first)] == [line["step"] for line in figures(second)]
    assert figures(first)[-1] == figures(second)[-1]


def test_the_default_preset_trains_in_lightning() -> None:
    config = configs.load(overrides={"train.engine": "lightning", "train.steps": 2, "train.out": "run"})
    assert load_checkpoint(commands.fit(config) / "last.pt")["trainer"]["step"] == 2


def test_a_stopped_run_goes_on_in_lightning(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, update = fit("whole", **{"model.dropout": 0.3}), Optimization.step

    def heard(self: Optimization, *arguments: Any, **options: Any) -> Any:
        if self.num_updates == 6:
            os.kill(os.getpid(), signal.SIGTERM)
        return update(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Optimization, "step", heard)
        with pytest.raises(SystemExit) as stopped:
            fit("parts", **{"model.dropout": 0.3})
    assert stopped.value.code == 143
    assert load_checkpoint(Path("parts/last.pt"))["trainer"]["step"] == 7
    config = configs.load(Path("parts/config.yaml"))
    commands.fit(config, resume=Path("parts"))
    assert_same_weights(whole, Path("parts"))


def test_bf16_trains_and_what_cannot_be_done_is_refused() -> None:
    assert [line for line in figures(fit("run", **{"train.precision": "bf16"})) if line["split"] == "val"]
    with pytest.raises(ValueError, match="lightning does not take tbptt"):
        fit("other", **{"train.tbptt": 2})


@pytest.mark.filterwarnings("ignore")  # of Lightning, not of the project
def test_module_and_data_work_in_a_trainer_of_your_own() -> None:
    config = configs.load(PRESET)
    module, data = LitModel(commands.build(config, config.data.build("train")), config.optim, 40), LitData(config.data)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = lightning.Trainer(max_steps=40, val_check_interval=20, accelerator="cpu", limit_train_batches=40, **quiet)  # type: ignore[arg-type]
    trainer.fit(module, datamodule=data)
    assert trainer.callback_metrics["val_loss"] < 0.5
    assert module.hparams["num_steps"] == 40
    once = lightning.Trainer(fast_dev_run=True, accelerator="cpu", **quiet)  # type: ignore[arg-type]
    once.fit(LitModel(config.model.build(), config.optim, 1), datamodule=LitData(config.data))
    # copier: endfilter
