# copier: filter replace("my_project", package_name)
"""The trainer does what it says: exact resume, true gradients, one checkpoint whole, clear ends."""

import json
import os
import random
import signal
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from my_project import config as configs
from my_project import run as commands
from my_project.config import Config
from my_project.training.device import choose_device
from my_project.training.optimizer import OptimConfig, Optimization
from my_project.training.storage import (
    Journal,
    load_checkpoint,
    new_run_folder,
    read_journal,
    save_checkpoint,
    seed_everything,
)
from my_project.training.trainer import TrainConfig, Trainer
from my_project.types import Batch, Carry, Measurement, StepOutput

from .sample import PRESET, SampleConfig, smaller

NAMES = sorted(path.stem for path in configs.PRESETS.glob("*.yaml"))
SMALLER = {name: configs.load(name, smaller(name)) for name in reversed(NAMES)}
UNLIKE = {repr((config.model, config.data)): name for name, config in SMALLER.items()}  # each of equal ones once
PRESETS = [name for name in UNLIKE.values() if find_spec(getattr(SMALLER[name].model, "library", "torch"))]
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
        return StepOutput((outputs - batch.targets).square().mean(), outputs, {})


class Memory(nn.Module):
    """A recurrent model that carries its state [B, D] on to the next segment, and drops it where documents begin."""

    def __init__(self, dim: int = 4, dropout: float = 0.0) -> None:
        super().__init__()
        self.cell, self.head, self.dropout = nn.GRUCell(1, dim), nn.Linear(dim, 1), nn.Dropout(dropout)

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        state = torch.zeros(len(batch.inputs), self.cell.hidden_size) if carry is None else carry["state"]
        if batch.starts is not None:
            state = torch.where(batch.starts[:, None], 0.0, state)
        outputs = []
        for values in batch.inputs.unbind(1):  # [B, L] -> L times [B]
            state = self.cell(values[:, None], state)
            outputs.append(self.head(self.dropout(state)))
        answer = torch.cat(outputs, dim=1)  # [B, L]
        return StepOutput((answer - batch.targets).square().mean(), answer, {}, {"state": state})


def numbers(count: int) -> Batch:
    index = torch.arange(count)
    return Batch(index.float()[:, None] + 1, torch.zeros(count, 1), index)


def segments(count: int, *, rows: int = 4, length: int = 3, seed: int = 0) -> list[Batch]:
    """Return documents [rows, count * length], cut into segments; the model is to repeat the value before."""
    values = torch.randn(rows, count * length + 1, generator=torch.Generator().manual_seed(seed))
    cuts = range(0, count * length, length)
    return [Batch(values[:, c + 1 : c + length + 1], values[:, c : c + length], torch.arange(rows)) for c in cuts]


def make_trainer(config: TrainConfig, optim: OptimConfig | None = None, model: nn.Module | None = None) -> Trainer:
    optim = optim or OptimConfig(schedule="constant", warmup_steps=0)
    measurement = Measurement(primary="accuracy", value=0.5, higher_is_better=True, metrics={"accuracy": 0.5})
    return Trainer(config, model or Line(), optim, lambda _: measurement, {})


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


def interrupt(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Send this process a signal after the update `step`, as if somebody had stopped it."""
    update = Trainer.update

    def update_and_be_told_to_stop(self: Trainer, batches: tuple[Batch, ...]) -> None:
        update(self, batches)
        if self.step == step:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Trainer, "update", update_and_be_told_to_stop)


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [{**line, "seconds": 0} for line in read_journal(folder)]


def assert_same_run(first: Path, second: Path) -> None:
    states = [weights_of(folder) for folder in (first, second)]
    for state in states:
        state["config"].get("train", {})["out"] = ""
    assert_same(*states)
    assert lines_of(first) == lines_of(second)


@pytest.mark.parametrize("preset", [*PRESETS, PRESET], ids=[*PRESETS, "sample"])
def test_a_run_that_is_stopped_anywhere_goes_on_as_if_it_had_never_stopped(preset: str | Path) -> None:
    rows, places = (100, 5) if preset == PRESET else (32, 2)  # the sample comes to its second epoch
    options: dict[str, Any] = {"train.steps": 12, "train.log_every": 5, "train.eval_every": 4, "data.batch_size": rows}
    options |= {"optim.warmup_steps": 2, "optim.ema_decay": 0.9, "train.accumulate": 2}
    config = configs.load(preset, options | smaller(preset))
    whole = commands.fit(changed(config, train__out="whole"))
    for step in random.Random(config.name).sample(range(1, 12), places):
        parts = Path(f"stopped-at-{step}")
        with pytest.MonkeyPatch.context() as patch:
            interrupt(patch, step)
            with pytest.raises(SystemExit) as stopped:
                commands.fit(changed(config, train__out=str(parts)))
        assert stopped.value.code == 143
        assert weights_of(parts)["trainer"]["step"] == step
        commands.fit(changed(config, train__out=""), resume=parts)
        assert_same_run(whole, parts)


def test_what_is_fitted_to_data_is_fitted_to_the_training_rows_and_goes_with_the_weights() -> None:
    options = {"train.steps": 2, "data.batch_size": 40}
    config, other = configs.load(PRESET, options), configs.load(PRESET, {**options, "optim.lr": 0.001})
    rows = config.data.build("train").inputs
    whole, few = commands.fit(config), commands.fit(config, overfit_batches=2)
    for folder, seen in ((whole, rows), (few, rows[:80]), (commands.fit(other, init_from=few), rows[:80])):
        for state in (weights_of(folder)["model"], commands.open_run(folder)[1].state_dict()):
            torch.testing.assert_close((state["mean"], state["std"]), (seen.mean(0), seen.std(0)), rtol=0, atol=0)


@pytest.mark.parametrize("options", [{}, {"train.accumulate": 2}, {"data.workers": 1}, {"model.depth": 2}])
def test_inputs_in_pieces_train_what_whole_ones_train(options: dict[str, Any]) -> None:
    few = {"train.steps": 4, "train.eval_every": 2, "optim.warmup_steps": 0, **options}
    whole, pieces = (commands.fit(configs.load(PRESET, {**few, "data.pieces": value})) for value in (False, True))
    assert_same(weights_of(whole)["model"], weights_of(pieces)["model"])
    assert lines_of(whole) == lines_of(pieces)


class Killed(BaseException):
    """Ends a run the way a kill does: nothing that follows is executed."""


@pytest.mark.parametrize(
    ("owner", "name", "call"),
    [(Batch, "to", 28), (Optimization, "step", 14), (Trainer, "measure", 2), (Trainer, "save", 3)],
    ids=["in the middle of accumulation", "in the update", "in the evaluation", "before the checkpoint"],
)
def test_a_run_that_is_killed_at_work_goes_on_from_its_checkpoint(
    owner: type, name: str, call: int, small: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = changed(small, train__accumulate=2, model__dropout=0.2, train__log_every=3)
    whole = commands.fit(changed(config, train__out="whole"))
    method, calls = getattr(owner, name), list[int]()

    def method_that_is_killed(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == call:
            raise Killed
        return method(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, method_that_is_killed)
        with pytest.raises(Killed):
            commands.fit(changed(config, train__out="parts"))
    commands.fit(changed(config, train__out=""), resume=Path("parts"))
    assert_same_run(whole, Path("parts"))


def test_a_carry_in_flight_survives_a_stop() -> None:
    config, batches = TrainConfig(steps=8, eval_every=3, accumulate=2, tbptt=2, log_every=1), segments(16)

    def trainer() -> Trainer:
        torch.manual_seed(1)
        return make_trainer(config, OptimConfig(ema_decay=0.9), Memory(dropout=0.3))

    for name in ("whole", "parts"):
        Path(name).mkdir()
    trainer().fit(batches, Path("whole"), Journal(Path("whole"), 8).write, save_checkpoint)
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, 5)
        trainer().fit(batches, Path("parts"), Journal(Path("parts"), 8).write, save_checkpoint)
    resumed = trainer()
    resumed.load_state_dict(load_checkpoint(Path("parts/last.pt")))
    assert (resumed.step, [*resumed.carries[0]]) == (5, ["state"])
    resumed.fit(batches[10:], Path("parts"), Journal(Path("parts"), 8, resume_at=5).write, save_checkpoint)
    assert_same_run(Path("whole"), Path("parts"))


def test_resume_with_other_options_is_refused_by_name(small: Config) -> None:
    folder = commands.fit(small)
    with pytest.raises(ValueError, match=r"another optim\.lr: the run has 0\.03, given 0\.5"):
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


def test_a_damaged_line_of_the_journal_is_named_and_nothing_is_written(small: Config) -> None:
    path = commands.fit(small) / "metrics.jsonl"
    path.write_bytes(damaged := b"\n".join([*path.read_bytes().splitlines()[:2], b'{"step": 5, \xff: 0.}']))
    with pytest.raises(OSError, match=r"metrics\.jsonl has a damaged line, '\{\"step\": 5, .+: take it out"):
        commands.fit(changed(small, train__steps=30), resume=path.parent)
    assert path.read_bytes() == damaged


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


def first_moments(trainer: Trainer) -> list[Tensor]:
    """What AdamW remembers of the gradients; its step itself would hide their scale."""
    return [*trainer.optimization.exp_avg.values()]


UNCLIPPED = OptimConfig(grad_clip=0, warmup_steps=0)


def test_accumulated_batches_equal_one_big_batch() -> None:
    whole, parts = make_trainer(TrainConfig(), UNCLIPPED), make_trainer(TrainConfig(accumulate=4), UNCLIPPED)
    batch = numbers(8)
    whole.update((batch,))
    parts.update(tuple(batch.split(4)))
    assert (whole.step, parts.step) == (1, 1)
    torch.testing.assert_close(first_moments(whole), first_moments(parts), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(whole.recent["loss"], parts.recent["loss"], rtol=1e-6, atol=1e-6)


def test_gradients_do_not_pile_up_between_updates() -> None:
    trainer = make_trainer(TrainConfig())
    trainer.update((numbers(4),))
    assert all(p.grad is None for p in trainer.model.parameters())


def sgd_like(model: nn.Module, clip: float) -> Optimization:
    return OptimConfig(lr=0.1, grad_clip=clip, schedule="constant", warmup_steps=0, weight_decay=0).build(model, 10)


def test_clipping_feeds_the_optimizer_a_gradient_of_the_norm_that_is_allowed() -> None:
    model = Line()
    optimization = sgd_like(model, clip=0.5)
    model(numbers(4), None).loss.backward()
    assert model.weight.grad is not None
    norm = model.weight.grad.norm().item()
    assert optimization.step(NO_SCALER)["grad_norm"].item() == pytest.approx(norm)
    moment = optimization.exp_avg["weight"]
    torch.testing.assert_close(moment.norm() / (1 - 0.9), torch.tensor(0.5))


def test_clipping_leaves_a_gradient_of_a_smaller_norm_as_it_is() -> None:
    model = Line()
    optimization = sgd_like(model, clip=1e6)
    model(numbers(4), None).loss.backward()
    assert model.weight.grad is not None
    norm = model.weight.grad.norm().clone()
    optimization.step(NO_SCALER)
    torch.testing.assert_close(optimization.exp_avg["weight"].norm() / (1 - 0.9), norm)


def test_a_gradient_that_is_not_finite_changes_nothing() -> None:
    model = Line()
    optimization = sgd_like(model, clip=1.0)
    model.weight.grad = torch.full((1, 1), float("inf"))
    optimization.step(NO_SCALER)
    assert model.weight.item() == 1.0


def test_the_update_is_torchs_own_also_where_a_layer_was_not_used() -> None:
    ours, theirs = (nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 1)]) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    optimization = OptimConfig(lr=0.1, weight_decay=0.3, warmup_steps=0, schedule="constant", grad_clip=0).build(
        ours, 9
    )
    groups = [
        {"params": [p for p in theirs.parameters() if (p.ndim > 1) == matrix], "weight_decay": 0.3 * matrix}
        for matrix in (True, False)
    ]
    adamw = torch.optim.AdamW(groups, lr=0.1, betas=(0.9, 0.99), fused=True)
    for used in (2, 1, 2, 1, 2):  # layers
        for layers in (ours, theirs):
            output = torch.arange(6.0).view(2, 3)
            for layer in [*layers][-used:] if used == 1 else layers:
                output = layer(output)
            output.square().sum().backward()
        optimization.step(NO_SCALER)
        adamw.step()
        adamw.zero_grad()
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(mine, other, rtol=0, atol=0)


def test_only_matrices_decay() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
    groups = OptimConfig(weight_decay=0.5).build(model, 1).param_groups
    assert {g["names"]: g["weight_decay"] for g in groups} == {
        ("0.weight",): 0.5,
        ("0.bias", "1.weight", "1.bias"): 0.0,
    }


def test_frozen_parts_stay_and_scaled_parts_have_their_own_rate() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    optimization = OptimConfig(lr=1.0, freeze=("0",), lr_scales={"1.bias": 10}, warmup_steps=0).build(model, 5)
    assert [p.requires_grad for p in model.parameters()] == [False, False, True, True]
    assert {g["names"][0]: g["lr"] for g in optimization.param_groups} == {"1.weight": 1.0, "1.bias": 10.0}


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
    optimization.swap_averages()
    assert model.weight.item() == pytest.approx(average)
    optimization.swap_averages()
    assert model.weight.item() == trained
    assert optimization.averages["weight"].item() == pytest.approx(average)


# ---------------------------------------------------------------- the loop


def test_the_averages_are_put_away_even_where_the_evaluation_fails(workspace: Path) -> None:
    trainer = make_trainer(TrainConfig(eval_every=1), OptimConfig(ema_decay=0.9, lr=0.5))
    trainer.fit([numbers(2)] * 2, workspace, Journal(workspace, 5).write, save_checkpoint)
    trained = trainer.model.weight.item() if isinstance(trainer.model, Line) else 0.0

    def broken(_: nn.Module) -> Measurement:
        raise OSError("the disk is gone")

    trainer.evaluate = broken
    with pytest.raises(OSError, match="gone"):
        trainer.measure()
    assert trainer.model.get_parameter("weight").item() == trained


def test_the_carry_of_one_step_reaches_the_next(workspace: Path) -> None:
    trainer, batches = make_trainer(TrainConfig(steps=3), OptimConfig(lr=1e-12), Memory()), segments(3)
    trainer.fit(batches, workspace, Journal(workspace, 3).write, save_checkpoint)
    inputs, targets = (torch.cat([getattr(b, part) for b in batches], dim=1) for part in ("inputs", "targets"))
    whole = Batch(inputs, targets, torch.arange(4))
    torch.testing.assert_close(trainer.carries[0], trainer.model(whole).carry)


def test_what_the_loop_takes_from_the_data_is_what_it_needs(workspace: Path) -> None:
    taken = iter([numbers(2)] * 9)
    make_trainer(TrainConfig(steps=3, accumulate=2)).fit(taken, workspace, Journal(workspace, 3).write, save_checkpoint)
    assert len([*taken]) == 3


def test_training_stops_when_patience_ends(small: Config) -> None:
    folder = commands.fit(changed(small, train__steps=500, train__patience=2, optim__lr=1e-30, optim__ema_decay=0.0))
    assert [line["step"] for line in read_journal(folder) if line["split"] == "val"] == [10, 20, 30]
    assert load_checkpoint(folder / "best.pt")["trainer"]["step"] == 10


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
    trainer.fit([numbers(2)] * 3, workspace, Journal(workspace, 2).write, save_checkpoint)
    assert trainer.model.training


# ---------------------------------------------------------------- memory


def out_of_memory(trainer: Trainer, most_rows: int, message: str = "CUDA out of memory. Tried to allocate") -> None:
    """Let the backward pass of more than so many rows fail half-way, after some gradients were added up."""
    forward = trainer.forward

    def forward_of_few_rows(batch: Batch, carry: Carry) -> StepOutput:
        output = forward(batch, carry)
        if len(batch.index) > most_rows:
            output.loss.backward()
            raise torch.OutOfMemoryError(message)
        return output

    trainer.forward = forward_of_few_rows


@pytest.mark.parametrize(("rows", "parts"), [(4, 2), (2, 4), (1, 8)])
def test_when_memory_runs_out_fewer_rows_at_a_time_give_the_same_update(
    rows: int, parts: int, caplog: pytest.LogCaptureFixture
) -> None:
    config = TrainConfig(accumulate=2, tbptt=2)
    torch.manual_seed(0)
    whole = make_trainer(config, UNCLIPPED, Memory())
    small = make_trainer(config, UNCLIPPED, Memory())
    small.model.load_state_dict(whole.model.state_dict())
    out_of_memory(small, rows)
    batches = segments(6, rows=8)
    for trainer in (whole, small):
        for number in (0, 2, 4):
            trainer.update((batches[number], batches[number + 1]))
    assert f"the 8 rows of a batch take turns in {parts} parts" in caplog.text
    torch.testing.assert_close(first_moments(whole), first_moments(small), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(whole.recent["loss"], small.recent["loss"], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(whole.carries[0]["state"], torch.cat([carry["state"] for carry in small.carries]))


def test_an_odd_number_of_rows_is_halved_as_well() -> None:
    whole, small = make_trainer(TrainConfig(), UNCLIPPED), make_trainer(TrainConfig(), UNCLIPPED)
    out_of_memory(small, 2, "[enforce fail] DefaultCPUAllocator: can't allocate memory")
    for trainer in (whole, small):
        trainer.update((numbers(11),))
    assert [len(part.index) for part in numbers(11).split(8)] == [2, 1, 2, 1, 2, 1, 1, 1]
    torch.testing.assert_close(first_moments(whole), first_moments(small), rtol=1e-6, atol=1e-6)


def test_inputs_in_pieces_take_turns_as_well() -> None:
    whole, pieces = (SampleConfig(pieces=value).build("train")[torch.arange(11), 0] for value in (False, True))
    for one, other in zip(whole.split(4), pieces.split(4), strict=True):
        assert torch.equal(torch.cat([other.inputs["first"], *other.inputs["rest"]], dim=1), one.inputs)
        assert torch.equal(other.index, one.index)


def test_where_one_row_is_too_much_the_run_is_saved_and_ends(workspace: Path) -> None:
    trainer = make_trainer(TrainConfig(steps=5, eval_every=2))
    trainer.fit([numbers(4)] * 3, workspace, Journal(workspace, 5).write, save_checkpoint)
    out_of_memory(trainer, 0)
    with pytest.raises(MemoryError, match="step 4 with one row at a time"):
        trainer.fit([numbers(4)] * 3, workspace, Journal(workspace, 5).write, save_checkpoint)
    assert weights_of(workspace)["trainer"]["step"] == 3


def test_an_error_that_is_not_about_memory_is_raised_as_it_is() -> None:
    with pytest.raises(RuntimeError, match="size of tensor"):
        make_trainer(TrainConfig()).update((replace(numbers(4), targets=torch.zeros(3, 1)),))


def test_recomputing_is_a_setting_of_a_run(small: Config) -> None:
    plain, saving = (commands.fit(changed(small, train__recompute=flag)) for flag in (False, True))
    assert_same(weights_of(plain)["model"], weights_of(saving)["model"])


def full_gradient(model: Memory, batches: list[Batch]) -> list[Tensor]:
    """Return the gradients of the mean loss over all segments, back through all of them."""
    carry, losses = None, []
    for batch in batches:
        output = model(batch, carry)
        carry = output.carry
        losses.append(output.loss)
    return list(torch.autograd.grad(torch.stack(losses).mean(), list(model.parameters())))


def test_back_propagation_through_the_whole_length_is_exact() -> None:
    model, batches = Memory(), segments(6)
    wanted = full_gradient(model, batches)
    trainer = make_trainer(TrainConfig(accumulate=6, tbptt=6), UNCLIPPED, model)
    trainer.backward(tuple(batches))
    torch.testing.assert_close([p.grad for p in model.parameters()], wanted, rtol=1e-6, atol=1e-7)


def test_back_propagation_ends_at_the_border_of_a_window() -> None:
    model, batches = Memory(), segments(6)
    trainer = make_trainer(TrainConfig(accumulate=6, tbptt=2), UNCLIPPED, model)
    _, carries = trainer.backward(tuple(batches))
    found = [p.grad for p in model.parameters()]
    assert not carries[0]["state"].requires_grad
    whole = full_gradient(model, batches)
    assert any(not torch.allclose(a, b, rtol=1e-3) for a, b in zip(found, whole, strict=True) if a is not None)
    model.zero_grad()
    carry: Carry = None
    for first in (0, 2, 4):  # by hand: the state enters each window as a constant
        losses = []
        for batch in batches[first : first + 2]:
            output = model(batch, carry)
            carry = output.carry
            losses.append(output.loss)
        (torch.stack(losses).sum() / 6).backward()
        carry = {"state": carry["state"].detach()}
    torch.testing.assert_close(found, [p.grad for p in model.parameters()], rtol=1e-6, atol=1e-7)


def test_a_window_must_divide_an_update() -> None:
    with pytest.raises(ValueError, match=r"train: .*tbptt 2 must divide accumulate 3"):
        configs.load(PRESET, {"train.tbptt": 2, "train.accumulate": 3})


def test_a_new_document_begins_without_the_memory_of_the_one_before() -> None:
    model, (first, second) = Memory(), segments(2)
    carry = model(first).carry
    starts = torch.tensor([True, False, True, False])
    answer = model(replace(second, starts=starts), carry)
    fresh, going_on = model(second).outputs, model(second, carry).outputs
    torch.testing.assert_close(answer.outputs, torch.where(starts[:, None], fresh, going_on), rtol=0, atol=0)
    trainer = make_trainer(TrainConfig(accumulate=2, tbptt=2), UNCLIPPED, model)
    trainer.backward((first, replace(second, starts=torch.ones(4, dtype=torch.bool))))
    alone = [torch.autograd.grad(model(batch).loss / 2, list(model.parameters())) for batch in (first, second)]
    sums = [a + b for a, b in zip(*alone, strict=True)]
    torch.testing.assert_close([p.grad for p in model.parameters()], sums, rtol=1e-6, atol=1e-7)


# ---------------------------------------------------------------- what a flag does


def test_the_compile_flag_wraps_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", nn.Sequential)
    trainer = make_trainer(TrainConfig(compile=True))
    assert isinstance(trainer.forward, nn.Sequential)
    assert trainer.forward[0] is trainer.model


# ---------------------------------------------------------------- what lies on the disk


def test_a_run_never_takes_a_folder_that_is_in_use(small: Config) -> None:
    folders = [str(commands.fit(changed(small, train__steps=1))) for _ in range(2)]
    assert folders == ["runs/sample-1", "runs/sample-2"]
    with pytest.raises(ValueError, match="not empty"):
        new_run_folder("sample", "runs/sample-1")


def test_a_run_folder_tells_how_to_repeat_it(small: Config) -> None:
    folder = commands.fit(small)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest.keys() >= {"written", "command", "seed", "code", "data", "environment"}
    assert manifest["environment"]["torch"] == torch.__version__
    assert replace(configs.load(folder / "config.yaml"), name="sample") == small


def test_weights_begin_with_those_of_another_run(small: Config, caplog: pytest.LogCaptureFixture) -> None:
    folder = commands.fit(small)
    still = changed(small, optim__lr=1e-12, train__steps=1, optim__ema_decay=0.0, optim__freeze=("blocks",))
    begun = weights_of(commands.fit(still, init_from=folder))["model"]
    state = load_checkpoint(folder / "best.pt")
    before = {**state["model"], **state["optimization"]["averages"]}
    torch.testing.assert_close(begun, before, rtol=0, atol=1e-6)
    with caplog.at_level("INFO"):
        commands.fit(changed(still, model__depth=2), init_from=folder)
    assert "began with 6 of 8 weights; at random: blocks.1.0.weight, blocks.1.0.bias" in caplog.text
    with pytest.raises(ValueError, match="no weight"):
        commands.fit(replace(small, model=SimpleNamespace(build=Line)), init_from=folder)
    # copier: endfilter
