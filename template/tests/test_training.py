# copier: filter replace("my_project", package_name)
"""The trainer does what it says: exact resume, true gradients, one checkpoint whole, clear ends."""

import json
import os
import signal
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from my_project import config as configs
from my_project import run as commands
from my_project.config import Config
from my_project.training.checkpoint import (
    load_checkpoint,
    save_checkpoint,
    seed_everything,
)
from my_project.training.journal import Journal, new_run_folder, read_journal
from my_project.training.optimizer import OptimConfig, Optimization
from my_project.training.trainer import TrainConfig, Trainer, choose_device
from my_project.types import Batch, Carry, Measurement, StepOutput

PRESETS = sorted(path.stem for path in configs.PRESETS.glob("*.yaml"))
NO_SCALER = torch.amp.GradScaler("cpu", enabled=False)


def changed(config: Config, **values: Any) -> Config:
    """Return the config with `section__option` values changed."""
    for name, value in values.items():
        section, option = name.split("__")
        config = replace(config, **{section: replace(getattr(config, section), **{option: value})})
    return config


class Line(nn.Module):
    """A model of one weight: loss = mean of (weight * input - target)²."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, 1))

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        outputs = batch.inputs * self.weight
        return StepOutput((outputs - batch.targets).square().mean(), outputs, {}, (carry or 0) + 1)


def numbers(count: int) -> Batch:
    index = torch.arange(count)
    return Batch(index.float()[:, None] + 1, torch.zeros(count, 1), index)


def make_trainer(config: TrainConfig, optim: OptimConfig | None = None, model: nn.Module | None = None) -> Trainer:
    model = model or Line()
    optimization = (optim or OptimConfig(schedule="constant", warmup_steps=0)).build(model, config.steps)
    measurement = Measurement(primary="accuracy", value=0.5, higher_is_better=True, metrics={"accuracy": 0.5})
    return Trainer(config, model, optimization, lambda _: measurement, {})


def weights_of(folder: Path) -> dict[str, Any]:
    return load_checkpoint(folder / "last.pt")


def assert_same(first: Any, second: Any) -> None:
    """Compare nested values bit by bit."""
    assert type(first) is type(second)
    if isinstance(first, dict | list | tuple):
        assert len(first) == len(second)
        keys = first.keys() if isinstance(first, dict) else range(len(first))
        for key in keys:
            assert_same(first[key], second[key])
    elif isinstance(first, torch.Tensor):
        torch.testing.assert_close(first, second, rtol=0, atol=0)
    else:
        assert first == second


# ---------------------------------------------------------------- exact resume


@pytest.mark.parametrize("preset", PRESETS)
def test_a_stopped_run_goes_on_as_if_it_had_never_stopped(
    preset: str, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"train.steps": 8, "train.log_every": 1, "train.eval_every": 3, "data.batch_size": 200}
    options |= {"optim.warmup_steps": 2, "optim.ema_decay": 0.9, "train.accumulate": 2, "model.dropout": 0.2}
    config = configs.load(preset, options)
    whole = commands.fit(changed(config, train__out=str(workspace / "whole")))
    update = Trainer.update

    def update_and_be_told_to_stop(self: Trainer, output: StepOutput) -> bool:
        done = update(self, output)
        if done and self.step == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return done

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "update", update_and_be_told_to_stop)
        with pytest.raises(SystemExit) as stopped:
            commands.fit(changed(config, train__out=str(workspace / "parts")))
    assert stopped.value.code == 143
    parts = commands.fit(changed(config, train__out=""), resume=workspace / "parts")
    first, second = weights_of(whole), weights_of(parts)
    for part in ("model", "optimization", "trainer", "rng"):
        assert_same(first[part], second[part])
    train = [[{**x, "seconds": 0} for x in read_journal(f) if x["split"] == "train"] for f in (whole, parts)]
    assert train[0] == train[1]


def test_resume_with_other_options_is_refused_by_name(small: Config) -> None:
    folder = commands.fit(small)
    with pytest.raises(ValueError, match=r"another optim\.lr: the run has 0\.002, given 0\.5"):
        commands.fit(changed(small, optim__lr=0.5), resume=folder)


def test_resume_may_train_longer(small: Config) -> None:
    folder = commands.fit(small)
    assert commands.fit(changed(small, train__steps=30), resume=folder) == folder
    assert [line["step"] for line in read_journal(folder) if line["split"] == "val"] == [10, 20, 30]


def test_a_resume_drops_what_was_measured_after_its_checkpoint(small: Config) -> None:
    folder = commands.fit(small)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 25, "split": "train", "loss": 1.0}\n{"step": 2')
    commands.fit(changed(small, train__steps=30), resume=folder)
    steps = [line["step"] for line in read_journal(folder) if line["split"] == "train"]
    assert steps == [5, 10, 15, 20, 25, 30]
    assert all("seconds" in line for line in read_journal(folder))


def test_a_run_is_used_with_its_averaged_weights(small: Config) -> None:
    folder = commands.fit(small)
    state, (_, model, _) = load_checkpoint(folder / "best.pt"), commands.open_run(folder)
    assert_same(
        dict(model.named_parameters()), {n: nn.Parameter(v) for n, v in state["optimization"]["averages"].items()}
    )
    assert any(not torch.equal(state["model"][name], value) for name, value in model.state_dict().items())


def test_the_same_seed_gives_the_same_run_and_another_seed_another(small: Config) -> None:
    first, second = (weights_of(commands.fit(small))["model"] for _ in range(2))
    assert_same(first, second)
    other = weights_of(commands.fit(changed(small, train__seed=1)))["model"]
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_seeding_reaches_python_numpy_and_torch() -> None:
    import random  # noqa: PLC0415

    import numpy as np  # noqa: PLC0415

    def draw() -> tuple[float, float, float]:
        seed_everything(3)
        return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002

    assert draw() == draw()


def test_the_deterministic_flag_is_set(small: Config) -> None:
    commands.fit(changed(small, train__deterministic=True))
    assert torch.are_deterministic_algorithms_enabled()


# ---------------------------------------------------------------- the update


def test_accumulated_batches_equal_one_big_batch() -> None:
    unclipped = OptimConfig(grad_clip=0, warmup_steps=0)
    whole, parts = make_trainer(TrainConfig(), unclipped), make_trainer(TrainConfig(accumulate=4), unclipped)
    batch = numbers(8)
    assert whole.update(whole.model(batch, None))
    for rows in torch.arange(8).split(2):
        parts.update(parts.model(Batch(batch.inputs[rows], batch.targets[rows], rows), None))
    assert (whole.step, parts.step, parts.position) == (1, 1, 4)
    states = [trainer.optimization.adamw.state for trainer in (whole, parts)]
    moments = [next(iter(state.values()))["exp_avg"] for state in states]
    torch.testing.assert_close(moments[0], moments[1], rtol=1e-6, atol=1e-6)  # Adam's step hides a gradient's scale


def test_gradients_do_not_pile_up_between_updates() -> None:
    trainer = make_trainer(TrainConfig())
    trainer.update(trainer.model(numbers(4), None))
    assert all(p.grad is None for p in trainer.model.parameters())


def sgd_like(model: nn.Module, clip: float) -> Optimization:
    return OptimConfig(lr=0.1, grad_clip=clip, schedule="constant", warmup_steps=0, weight_decay=0).build(model, 10)


def test_clipping_feeds_the_optimizer_a_gradient_of_the_norm_that_is_allowed() -> None:
    model = Line()
    optimization = sgd_like(model, clip=0.5)
    model(numbers(4), None).loss.backward()
    assert model.weight.grad is not None
    norm = model.weight.grad.norm().item()
    found = optimization.step(NO_SCALER)
    assert found is not None
    assert found.item() == pytest.approx(norm)
    moment = optimization.adamw.state[model.weight]["exp_avg"]
    torch.testing.assert_close(moment.norm() / (1 - 0.9), torch.tensor(0.5))


def test_clipping_leaves_a_gradient_of_a_smaller_norm_as_it_is() -> None:
    model = Line()
    optimization = sgd_like(model, clip=1e6)
    model(numbers(4), None).loss.backward()
    assert model.weight.grad is not None
    norm = model.weight.grad.norm().clone()
    optimization.step(NO_SCALER)
    torch.testing.assert_close(optimization.adamw.state[model.weight]["exp_avg"].norm() / (1 - 0.9), norm)


def test_a_gradient_that_is_not_finite_changes_nothing() -> None:
    model = Line()
    optimization = sgd_like(model, clip=1.0)
    model.weight.grad = torch.full((1, 1), float("inf"))
    optimization.step(NO_SCALER)
    assert model.weight.item() == 1.0


def test_only_matrices_decay() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
    groups = OptimConfig(weight_decay=0.5).build(model, 1).adamw.param_groups
    assert {tuple(n for n in g["param_names"]): g["weight_decay"] for g in groups} == {
        ("0.weight",): 0.5,
        ("0.bias", "1.weight", "1.bias"): 0.0,
    }


def test_frozen_parts_stay_and_scaled_parts_have_their_own_rate() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    optimization = OptimConfig(lr=1.0, freeze=("0",), lr_scales={"1.bias": 10}, warmup_steps=0).build(model, 5)
    assert [p.requires_grad for p in model.parameters()] == [False, False, True, True]
    assert {g["param_names"][0]: g["lr"] for g in optimization.adamw.param_groups} == {"1.weight": 1.0, "1.bias": 10.0}


@pytest.mark.parametrize(("freeze", "message"), [(("nose",), "no parameter begins with 'nose'"), (("",), "nothing")])
def test_freezing_what_is_not_there_or_everything_is_refused(freeze: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OptimConfig(freeze=freeze).build(Line(), 1)


def test_learning_rates_follow_the_schedule() -> None:
    rates = [OptimConfig(warmup_steps=4).lr_scale(step, 12) for step in range(13)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[8] == pytest.approx(0.5)
    assert rates[12] == 0.0
    step = OptimConfig(schedule="step", warmup_steps=0, step_every=10, factor=0.5)
    assert [step.lr_scale(s, 100) for s in (0, 9, 10, 25)] == [1.0, 1.0, 0.5, 0.25]
    assert OptimConfig(schedule="constant", warmup_steps=0).lr_scale(99, 100) == 1.0


def test_the_plateau_schedule_drops_after_its_patience() -> None:
    config = OptimConfig(lr=1.0, schedule="plateau", plateau_patience=2, factor=0.5, warmup_steps=0)
    optimization = config.build(Line(), 10)
    rates = []
    for waited in (1, 2, 3, 4):
        optimization.stagnated(waited)
        rates.append(optimization.lr)
    assert rates == [1.0, 0.5, 0.5, 0.25]


def test_averaged_weights_are_evaluated_and_then_given_back() -> None:
    model = Line()
    optimization = OptimConfig(lr=0.5, ema_decay=0.9, warmup_steps=0, schedule="constant").build(model, 10)
    average = 1.0
    for count in range(1, 4):
        model.weight.grad = torch.ones(1, 1)
        optimization.step(NO_SCALER)
        decay = min(0.9, (1 + count) / (10 + count))
        average = decay * average + (1 - decay) * model.weight.item()
    assert not any(value.requires_grad for value in optimization.averages.values())
    trained = model.weight.item()
    with optimization.averaged():
        assert model.weight.item() == pytest.approx(average)
    assert model.weight.item() == trained


# ---------------------------------------------------------------- the loop


def test_the_carry_of_one_step_reaches_the_next(workspace: Path) -> None:
    trainer = make_trainer(TrainConfig(steps=5))
    trainer.fit([numbers(2)] * 9, Journal(workspace, 5))
    assert (trainer.step, trainer.carry) == (5, 5)


def test_the_carry_is_part_of_a_checkpoint(workspace: Path) -> None:
    trainer, other = make_trainer(TrainConfig(steps=3)), make_trainer(TrainConfig(steps=5))
    trainer.fit([numbers(2)] * 9, Journal(workspace, 3))
    other.load_state_dict(load_checkpoint(workspace / "last.pt"))
    other.fit([numbers(2)] * 9, Journal(workspace, 5, resume_at=3))
    assert (other.step, other.carry) == (5, 5)


def test_training_stops_when_patience_ends(small: Config) -> None:
    folder = commands.fit(changed(small, train__steps=500, train__patience=2, optim__lr=1e-9, optim__ema_decay=0.0))
    assert [line["step"] for line in read_journal(folder) if line["split"] == "val"] == [10, 20, 30]
    assert load_checkpoint(folder / "best.pt")["trainer"]["step"] == 10


@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(clip: float, workspace: Path) -> None:
    trainer = make_trainer(TrainConfig(steps=50, log_every=5), OptimConfig(grad_clip=clip, warmup_steps=0))
    good, bad = numbers(2), Batch(numbers(2).inputs, torch.full((2, 1), float("nan")), torch.arange(2))
    with pytest.raises(FloatingPointError, match="became nan in step 8"):
        trainer.fit([*[good] * 7, bad, *[good] * 9], Journal(workspace, 50))
    assert not (workspace / "last.pt").exists()


@pytest.mark.parametrize(("number", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGUSR1", 143)])
def test_a_signal_ends_the_run_with_everything_saved(
    number: str, status: int, small: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = Trainer.update

    def interrupted(self: Trainer, output: StepOutput) -> bool:
        os.kill(os.getpid(), getattr(signal, number))
        return update(self, output)

    monkeypatch.setattr(Trainer, "update", interrupted)
    with pytest.raises(SystemExit) as stopped:
        commands.fit(changed(small, train__out="run"))
    assert stopped.value.code == status
    assert weights_of(Path("run"))["trainer"]["step"] == 1


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_training_in_every_precision_of_the_cpu_lowers_the_loss(precision: str, small: Config) -> None:
    folder = commands.fit(changed(small, train__precision=precision, train__steps=60))
    losses = [line["loss"] for line in read_journal(folder) if line["split"] == "train"]
    assert losses[-1] < losses[0]


def test_fp16_without_cuda_is_refused(small: Config) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(ValueError, match="fp16 needs cuda"):
        commands.fit(changed(small, train__precision="fp16"))


def test_a_device_that_is_missing_is_refused_and_auto_finds_one() -> None:
    missing = "mps" if torch.cuda.is_available() else "cuda"
    with pytest.raises(OSError, match=f"{missing} is not there"):
        choose_device(missing)
    assert choose_device("auto").type in {"cpu", "cuda", "mps"}


def test_gradient_norms_of_layers_are_logged_when_asked(small: Config) -> None:
    folder = commands.fit(changed(small, train__monitor_layers=True))
    line = read_journal(folder)[0]
    names = {f"grad_norm/{name}" for name, _ in small.model.build().named_parameters()}
    assert names <= line.keys()
    assert all(line[name] > 0 for name in names)


def test_the_model_is_in_training_mode_after_an_evaluation(workspace: Path) -> None:
    trainer = make_trainer(TrainConfig(steps=2, eval_every=1))
    trainer.fit([numbers(2)] * 3, Journal(workspace, 2))
    assert trainer.model.training


def test_the_compile_flag_wraps_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", nn.Sequential)
    trainer = make_trainer(TrainConfig(compile=True))
    assert isinstance(trainer.forward, nn.Sequential)
    assert trainer.forward[0] is trainer.model


# ---------------------------------------------------------------- what lies on the disk


def test_a_run_never_takes_a_folder_that_is_in_use(small: Config) -> None:
    folders = [str(commands.fit(changed(small, train__steps=1))) for _ in range(2)]
    assert folders == ["runs/mlp-1", "runs/mlp-2"]
    with pytest.raises(ValueError, match="not empty"):
        new_run_folder("mlp", "runs/mlp-1")


def test_a_run_folder_tells_how_to_repeat_it(small: Config) -> None:
    folder = commands.fit(small)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest.keys() >= {"written", "command", "seed", "code", "data", "environment"}
    assert manifest["environment"]["torch"] == torch.__version__
    assert replace(configs.load(folder / "config.yaml"), name="mlp") == small


def test_weights_begin_with_those_of_another_run(small: Config, caplog: pytest.LogCaptureFixture) -> None:
    folder = commands.fit(small)
    still = changed(small, optim__lr=1e-12, train__steps=1, optim__ema_decay=0.0, optim__freeze=("layers.1",))
    begun = weights_of(commands.fit(still, init_from=folder))["model"]
    torch.testing.assert_close(begun, commands.weights(load_checkpoint(folder / "best.pt")), rtol=0, atol=1e-6)
    with caplog.at_level("INFO"):
        commands.fit(changed(still, model__num_classes=12), init_from=folder)
    assert "began with 4 of 6 weights; at random: layers.7.weight, layers.7.bias" in caplog.text
    with pytest.raises(ValueError, match="no weight"):
        commands.fit(configs.load("transformer"), init_from=folder)


def spoil(path: Path, how: str) -> None:
    """Damage a checkpoint; one bit is flipped in its largest tensor, not in what pads the archive."""
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda entry: entry.file_size)
        start = content.index(archive.read(largest))
    flipped = bytearray(content)
    flipped[start + largest.file_size // 2] ^= 1
    spoilt = {"empty": b"", "cut": content[:-100], "flipped": bytes(flipped), "foreign": b"not a checkpoint"}
    path.write_bytes(spoilt[how])


@pytest.mark.parametrize("how", ["empty", "cut", "flipped", "foreign"])
def test_a_damaged_checkpoint_is_refused(how: str, small: Config) -> None:
    folder = commands.fit(small)
    spoil(folder / "last.pt", how)
    with pytest.raises(OSError, match=r"last\.pt is damaged"):
        load_checkpoint(folder / "last.pt")
    assert load_checkpoint(folder / "previous.pt")["trainer"]["step"] == 10


def test_another_format_or_a_missing_part_is_refused(workspace: Path) -> None:
    torch.save({"format_version": 999}, workspace / "new.pt")
    with pytest.raises(ValueError, match="format version 999"):
        load_checkpoint(workspace / "new.pt")
    save_checkpoint(workspace / "part.pt", {"model": {}})
    with pytest.raises(ValueError, match=r"lacks.*optimization"):
        load_checkpoint(workspace / "part.pt")


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("executed"),)


def test_a_malicious_pickle_is_not_executed(workspace: Path) -> None:
    torch.save({"format_version": 1, "model": Evil()}, workspace / "evil.pt")
    with pytest.raises(OSError, match="damaged or no checkpoint"):
        load_checkpoint(workspace / "evil.pt")
    assert not (workspace / "executed").exists()


def test_a_failed_write_leaves_the_old_checkpoint(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = workspace / "last.pt"
    save_checkpoint(path, {"model": {}})
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise RuntimeError("unexpected pos 64 vs 0")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match=r"could not write .*last\.pt"):
        save_checkpoint(path, {"model": {}})
    assert path.read_bytes() == before
    assert list(workspace.iterdir()) == [path]
    # copier: endfilter
