# copier: filter replace("my_project", package_name)
"""The commands that look at a run before it is made: profile and lr-find."""

import json
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from my_project import config as configs
from my_project.__main__ import main
from my_project.commands import lr_find, profile
from my_project.evaluation import budgets
from my_project.training.optimizer import Optimization
from my_project.training.trainer import Trainer
from my_project.types import Batch, Carry

from .sample import NUM_ROWS, PRESET, Net, Rows, raise_at_next_batch

NAME = str(PRESET)
WHOLE = ["--data.batch-size", "320"]  # the loss of all rows falls without noise
SHORT = ["--steps", "8", "--data.batch-size", "16"]


def figures(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main([*words]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_parts_of_a_step_add_up_to_the_whole(capsys: pytest.CaptureFixture[str]) -> None:
    step = figures(capsys, "profile", NAME, *SHORT)["step_ms"]
    assert [*step] == ["data", "forward", "backward", "optimizer", "rest", "total"]
    assert all(value > 0 for value in step.values())
    assert sum(step.values()) == pytest.approx(2 * step["total"])
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("part", "owner", "name"), [("data", Rows, "__getitem__"), ("optimizer", Optimization, "step")]
)
def test_time_that_is_lost_in_a_part_is_found_there(
    part: str, owner: type, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    function = getattr(owner, name)

    def slow(*arguments: Any, **options: Any) -> Any:
        torch.rand(400, 400) @ torch.rand(400, 400) @ torch.rand(400, 400)
        return function(*arguments, **options)

    before = figures(capsys, "profile", NAME, *SHORT)["step_ms"]
    monkeypatch.setattr(owner, name, slow)
    after = figures(capsys, "profile", NAME, *SHORT)["step_ms"]
    gained = {part: after[part] - before[part] for part in ("data", "forward", "backward", "optimizer")}
    assert max(gained, key=lambda part: gained[part]) == part


def test_parameters_and_latency_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    found = figures(capsys, "profile", NAME, *SHORT, "--optim.freeze", "[blocks]")
    model = configs.load(PRESET).model.build()
    shapes = {row["name"]: tuple(row["shape"]) for row in found["parameters"]["by_name"]}
    assert shapes == {name: tuple(p.shape) for name, p in model.named_parameters()}
    assert found["parameters"]["total"] - found["parameters"]["trainable"] == 4 * 16 + 16
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p95"]
    assert 0.05 < found["training_memory_gb"] <= found["memory_gb"] < 100


def test_figures_say_for_which_batch_and_device_they_hold(capsys: pytest.CaptureFixture[str]) -> None:
    found = figures(capsys, "profile", NAME, *SHORT, "--train.device", "cpu")
    assert (found["batch"], found["device"], found["gpu"]) == ([16, 4], "cpu", "skipped: this ran on the CPU")
    assert found["token_ms"] is None
    found = figures(capsys, "profile", NAME, *SHORT, "--train.device", "cpu", "--data.pieces", "true")
    assert found["batch"] == {"first": [16, 1], "rest": [[16, 2], [16, 1]]}


def test_the_time_of_one_token_is_that_of_all_by_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[tuple[list[int], int]]()

    class Writer(torch.nn.Module):
        def generate(self, prompt: torch.Tensor, length: int) -> None:
            asked.append((list(prompt.shape), length))

    monkeypatch.setattr("time.perf_counter", lambda: 3.0 * len(asked))
    batch = Batch(torch.zeros(1, 5, dtype=torch.long), torch.zeros(1, 5), torch.arange(1))
    model = Writer()
    found = budgets.latency(model, lambda: profile.write(model, batch), profile.NUM_WRITTEN)
    assert {*map(str, asked)} == {str(([1, 1], profile.NUM_WRITTEN))}
    assert found["p50"] == pytest.approx(3000 / profile.NUM_WRITTEN)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("words", [["profile", NAME, *SHORT], ["lr-find", NAME, "--steps", "10"]])
def test_a_command_that_a_signal_stops_says_so_and_ends_with_its_status(
    words: list[str], number: int, status: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    raise_at_next_batch(number, monkeypatch)
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == status
    told = capsys.readouterr()
    assert told.err.splitlines()[-1] == "stopped by a signal at step 1, before anything was found"
    assert not told.out


def test_what_training_takes_is_measured_before_anything_is_answered(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    used = [1.0]

    def hungry(*_: Any) -> dict[str, float]:
        used.append(3.0)
        return {"p50": 1.0, "p95": 1.0}

    monkeypatch.setattr(profile, "latency", hungry)
    monkeypatch.setattr(budgets, "peak_memory", lambda _: max(used))
    found = figures(capsys, "profile", NAME, *SHORT)
    assert (found["training_memory_gb"], found["memory_gb"]) == (1.0, 3.0)


def test_a_block_on_a_gpu_counts_its_own_memory_and_gives_back_what_it_left(monkeypatch: pytest.MonkeyPatch) -> None:
    told = list[str]()
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: told.append(f"reset {device}"))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: 10**9 * len(told))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: told.append("emptied"))
    with suppress(MemoryError), budgets.gpu_memory(torch.device("cuda:1")) as taken:
        assert taken() == 1.0
        raise MemoryError
    assert told == ["reset cuda:1", "emptied"]
    with budgets.gpu_memory(torch.device("cpu")) as taken:
        assert 0.05 < taken() < 100
    assert len(told) == 2


def test_a_trace_can_be_opened_and_names_the_longest_operations(capsys: pytest.CaptureFixture[str]) -> None:
    found = figures(capsys, "profile", NAME, *SHORT, "--trace", "trace.json", "--data.pieces", "true")
    events = json.loads(Path("trace.json").read_text())["traceEvents"]
    assert any("addmm" in event.get("name", "") for event in events)
    assert found["operations"][0]["self_cpu_ms"] >= found["operations"][-1]["self_cpu_ms"] > 0


@pytest.mark.parametrize("name", ["step_ms", "latency_ms", "memory_gb", "parameters", "size_mb"])
def test_a_broken_budget_ends_with_status_1(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("tight.yaml").write_text(f"{name}: 1.0e-9\n")
    Path("wide.yaml").write_text(f"{name}: 1.0e+12\n")
    with pytest.raises(SystemExit) as ended:
        main(["profile", NAME, *SHORT, "--budgets", "tight.yaml"])
    assert ended.value.code == 1
    told = capsys.readouterr()
    assert f"over budget: {name} is " in told.err
    assert json.loads(told.out)[name]
    assert main(["profile", NAME, *SHORT, "--budgets", "wide.yaml"]) == 0


def test_the_size_on_the_disk_is_that_of_all_weights_and_buffers(capsys: pytest.CaptureFixture[str]) -> None:
    size = 4e-6 * (4 * 16 + 16 + 16 + 1 + 4 + 4)  # two layers; the mean and the deviation of the inputs; 4 bytes each
    assert figures(capsys, "profile", NAME, *SHORT)["size_mb"] == pytest.approx(size, rel=1e-12)
    Path("tight.yaml").write_text(f"size_mb: {0.99 * size}\n")
    Path("wide.yaml").write_text(f"size_mb: {1.01 * size}\n")
    with pytest.raises(SystemExit):
        main(["profile", NAME, *SHORT, "--budgets", "tight.yaml"])
    assert f"over budget: size_mb is {size:.4g}, at most {0.99 * size:.4g}" in capsys.readouterr().err
    assert main(["profile", NAME, *SHORT, "--budgets", "wide.yaml"]) == 0


def test_a_weight_with_two_names_takes_its_place_on_the_disk_once() -> None:
    first, second = torch.nn.Linear(8, 8, bias=False), torch.nn.Linear(8, 8, bias=False)
    second.weight = first.weight
    assert budgets.size_mb(torch.nn.Sequential(first, second)) == pytest.approx(4e-6 * 64)
    half = torch.nn.Linear(8, 8, bias=False).to(torch.bfloat16)
    half.register_buffer("scratch", torch.zeros(1000), persistent=False)  # no checkpoint has it
    assert budgets.size_mb(half) == pytest.approx(2e-6 * 64)


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "budgets.yaml is not there"), ("latency: 3", "latency: got 3"), ("step_ms: -1", "step_ms: got -1")],
)
def test_budgets_that_make_no_sense_are_refused(
    text: str | None, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        Path("budgets.yaml").write_text(text)
    assert main(["profile", "--budgets", "budgets.yaml"]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["profile", "--steps", "0"], ["lr-find", "--lowest", "1", "--highest", "0.1"], ["lr-find", "nix"]]
)
def test_words_that_make_no_sense_are_refused(words: list[str]) -> None:
    assert main(words) == 2


@pytest.mark.parametrize("words", [["profile", NAME, *SHORT], ["lr-find", NAME, "--steps", "10"]])
def test_the_model_has_seen_the_training_split_before(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[int]()
    monkeypatch.setattr(Net, "prepare", lambda _, dataset: seen.append(len(dataset)))
    assert main(words) == 0
    assert seen == [NUM_ROWS["train"]]


def test_the_suggested_rate_trains_better_than_a_much_smaller_or_larger_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = figures(capsys, "lr-find", NAME, "--steps", "80", *WHOLE)
    rates = [point["lr"] for point in found["curve"]]
    assert rates == sorted(rates)
    assert 1e-4 < found["lr"] < 0.1
    losses = {}
    for factor in (0.01, 1, 100):
        words = ["--train.steps", "60", "--optim.warmup-steps", "0", "--optim.lr", str(factor * found["lr"])]
        assert main(["train", "--config", NAME, *words, *WHOLE, "--train.out", f"run-{factor}"]) == 0
        record = json.loads(Path(f"run-{factor}/evaluation.json").read_text())
        losses[factor] = record["metrics"]["loss"]
    capsys.readouterr()
    assert losses[1] == min(losses.values())


def test_the_search_ends_when_the_loss_explodes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    backward = Trainer.backward

    def exploding(self: Trainer, batches: tuple[Batch, ...]) -> tuple[torch.Tensor, list[Carry]]:
        loss, carries = backward(self, batches)
        return loss * (1000 if self.step >= 30 else 1), carries

    monkeypatch.setattr(Trainer, "backward", exploding)
    assert len(figures(capsys, "lr-find", NAME, "--steps", "60")["curve"]) < 40


def test_the_steepest_fall_is_found_on_a_known_curve() -> None:
    rates = [10 ** (i / 10) for i in range(11)]
    losses = [5.0, 5.0, 4.9, 4.7, 4.0, 3.0, 2.5, 2.4, 2.6, 4.0, 9.0]
    assert lr_find.steepest(rates, losses) == rates[4]
    assert budgets.Budgets(latency_ms=1.0).step_ms is None
    # copier: endfilter
