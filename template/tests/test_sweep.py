# copier: filter replace("my_project", package_name)
"""A sweep: shared by processes, taken up again after a death, pruned, and ended with a config that trains again."""

import json
import multiprocessing
import os
import shutil
import signal
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from optuna.trial import Trial

from my_project.__main__ import main
from my_project.commands import sweep as command
from my_project.config import differences, load
from my_project.search import Sweep, check, read_search
from my_project.training import storage
from my_project.training.storage import read_journal
from my_project.training.trainer import Trainer

from .sample import PRESET

SHORT = ["--train.steps", "12", "--train.eval-every", "3", "--train.log-every", "1", "--optim.warmup-steps", "2"]
SPACE = {"optim.lr": {"low": 0.001, "high": 0.1, "log": True}, "model.dim": {"choices": [8, 16]}}
BAD = {"optim.lr": {"choices": ["0.03", "0.030", "0.0300", "1e-9"]}}  # one rate, and one that learns nothing
SHIPPED = Path(__file__).parents[1] / "configs/search.yaml"


def words(space: dict[str, Any] = SPACE, *more: str, trials: int = 4, **options: str) -> list[str]:
    """Write a search file; return the words that search it in the folder `out`."""
    Path("search.yaml").write_text(yaml.safe_dump({"preset": str(PRESET), "space": space, **options}))
    return ["sweep", "--search", "search.yaml", "--out", "out", "--trials", str(trials), *SHORT, *more]


def found(capsys: pytest.CaptureFixture[str], given: list[str]) -> dict[str, Any]:
    """Run a sweep to its end; return what it wrote."""
    assert main(given) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def apart(work: Callable[[], int]) -> multiprocessing.process.BaseProcess:
    """Begin some work in a process of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork of a process that might have threads
        process = multiprocessing.get_context("fork").Process(target=lambda: os._exit(work()), daemon=True)
        process.start()
    return process


def journals(folder: Path) -> list[list[dict[str, Any]]]:
    """What each trial has measured, in the order of the trials."""
    runs = sorted(folder.glob("trial-*"), key=lambda run: int(run.name.partition("-")[2]))
    return [[{**line, "seconds": 0} for line in read_journal(run)] for run in runs]


def test_the_best_config_gives_the_best_figure_again(capsys: pytest.CaptureFixture[str]) -> None:
    told = found(capsys, words())
    values = [row["value"] for row in told["trials"]]
    assert told["error"] == min(values) == told["best"]["value"]
    assert len({*values}) == 4
    assert [row["trial"] for row in told["trials"]] == [0, 1, 2, 3]
    best = load(Path("out/best.yaml"))
    assert {"optim.lr": best.optim.lr, "model.dim": best.model.dim} == told["best"]["options"]
    assert (best.train.steps, best.name, best.train.out) == (12, "best", "")
    again = found(capsys, ["train", "--config", "out/best.yaml"])
    assert again["error"] == told["error"]


def test_only_what_the_space_names_is_touched(capsys: pytest.CaptureFixture[str]) -> None:
    found(capsys, words(trials=2))
    common = load(PRESET, dict(zip((w[2:].replace("-", "_") for w in SHORT[::2]), SHORT[1::2], strict=True)))
    for run in Path("out").glob("trial-*"):
        changed = {*differences(common, load(run / "config.yaml"))}
        assert {"optim.lr"} <= changed <= {"optim.lr", "model.dim", "train.out"}


def test_the_same_sweep_elsewhere_is_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    first = found(capsys, words())
    shutil.move("out", "first")
    assert found(capsys, words())["trials"] == first["trials"]
    assert journals(Path("out")) == journals(Path("first"))


def test_more_trials_go_on_as_if_there_had_been_no_end(capsys: pytest.CaptureFixture[str]) -> None:
    whole = found(capsys, words(trials=12))
    shutil.move("out", "whole")
    found(capsys, words(trials=5))
    assert found(capsys, words(trials=12))["trials"] == whole["trials"]
    assert main(words(trials=3)) == 2
    assert "--trials is 12 there, 3 here" in capsys.readouterr().err
    assert whole["importance"].keys() == SPACE.keys()


def test_two_processes_share_one_study(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    given, make = words(trials=5), command.make_run

    def together(run: Path, *more: Any) -> float:
        while len([*Path("out/claims").iterdir()]) < 2:  # until the other one has a trial as well
            time.sleep(0.01)
        return make(run, *more)

    monkeypatch.setattr(command, "make_run", together)
    both = [apart(lambda: main(given)) for _ in range(2)]
    try:
        for process in both:
            process.join(60)
        assert [process.exitcode for process in both] == [0, 0]
    finally:
        for process in both:
            process.kill()
    workers = {Path(f"out/claims/{number}/lock").read_text() for number in range(5)}
    assert workers == {str(process.pid) for process in both}
    capsys.readouterr()
    told = found(capsys, given)
    assert [row["state"] for row in told["trials"]] == ["complete"] * 5
    assert [len(lines) for lines in journals(Path("out"))] == [16] * 5


def test_the_end_of_a_process_leaves_a_trial_alone_that_another_has_just_begun(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    conclude = command.conclude

    def late(sweep: Sweep, target: Path | None) -> dict[str, Any]:
        sweep.study.ask()  # a process with more --trials
        return conclude(sweep, target)

    monkeypatch.setattr(command, "conclude", late)
    told = found(capsys, words(trials=2))
    assert [row["state"] for row in told["trials"]] == ["complete"] * 2
    assert not Path("out/trial-2").exists()


def test_who_has_a_trial_writes_how_it_ended(capsys: pytest.CaptureFixture[str]) -> None:
    given, path = words(trials=1), Path("out/trial-0/trial.json")
    found(capsys, given)
    path.unlink()

    def work() -> int:
        with storage.locked(Path("out/claims/0")):
            Path("ready").touch()
            time.sleep(60)
        return 0

    process = apart(work)
    try:
        while not Path("ready").exists():
            assert process.is_alive()
            time.sleep(0.01)
        found(capsys, given)
        assert not path.exists()
    finally:
        process.kill()
        process.join()
    found(capsys, given)
    assert path.exists()


def test_a_death_before_anything_was_written_leaves_a_folder_of_use(capsys: pytest.CaptureFixture[str]) -> None:
    Path("out").mkdir()
    Path("out/sweep.tmp").touch()
    found(capsys, words(trials=1))


@pytest.mark.parametrize(
    ("owner", "name", "call"),
    [
        (Trainer, "update", 32),
        (Sweep, "suggest", 3),
        (storage, "save_checkpoint", 13),
        (Trial, "suggest_categorical", 3),
        (Trial, "report", 9),
        (command, "describe", 3),
    ],
)
def test_a_sweep_that_is_killed_goes_on_and_ends_with_the_same_table(
    owner: Any, name: str, call: int, capsys: pytest.CaptureFixture[str]
) -> None:
    given = words(trials=4)
    method, calls = getattr(owner, name), list[int]()

    def killed(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return method(*arguments, **options)

    def work() -> int:
        setattr(owner, name, killed)
        return main(given)

    process = apart(work)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert len([*Path("out").glob("claims/*")]) == 3
    told = found(capsys, given)
    shutil.move("out", "killed")
    assert told["trials"] == found(capsys, given)["trials"]
    assert journals(Path("killed")) == journals(Path("out"))


def test_a_trial_whose_process_died_goes_on_from_its_checkpoint(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given, update, calls = words(trials=3), Trainer.update, list[int]()

    def counted(self: Trainer, batches: Any) -> None:
        calls.append(self.step)
        update(self, batches)

    monkeypatch.setattr(Trainer, "update", counted)

    def work() -> int:
        monkeypatch.setattr(Trainer, "look", lambda *_, **__: os.kill(os.getpid(), 9) if len(calls) == 32 else None)
        return main(given)

    process = apart(work)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    found(capsys, given)
    assert calls == [6, 7, 8, 9, 10, 11]


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_a_run_that_falls_behind_is_pruned_and_kept(pruner: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = found(capsys, words(BAD, trials=14, pruner=pruner))
    pruned = [row for row in told["trials"] if row["state"] == "pruned"]
    assert pruned, told
    assert float(told["best"]["options"]["optim.lr"]) == 0.03
    for row in pruned:
        run = Path(f"out/trial-{row['trial']}")
        assert row["steps"] < 12
        assert storage.load_checkpoint(run / "last.pt")["trainer"]["step"] == row["steps"]
        assert (run / "best.pt").exists()
        assert "behind the other trials" in json.loads((run / "trial.json").read_text())["why"]
    if pruner == "median":
        assert {row["options"]["optim.lr"] for row in pruned} == {"1e-9"}


def test_runs_that_are_as_good_as_the_others_are_not_pruned(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words({"optim.lr": {"choices": [0.03]}}, trials=8)) == 0
    told = capsys.readouterr()
    assert {row["state"] for row in json.loads(told.out)["trials"]} == {"complete"}
    assert "importance: one option has nothing beside it" in told.err


def test_a_trial_that_was_pruned_when_its_process_died_is_pruned_again(capsys: pytest.CaptureFixture[str]) -> None:
    given = words(BAD, trials=14)

    def dying(_: Any, __: str, why: str) -> None:
        if why:
            os.kill(os.getpid(), signal.SIGKILL)

    def work() -> int:
        setattr(Trial, "set_user_attr", dying)  # noqa: B010 (of this process alone)
        return main(given)

    process = apart(work)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    told = found(capsys, given)
    shutil.move("out", "killed")
    assert told["trials"] == found(capsys, given)["trials"]
    assert [len(lines) for lines in journals(Path("killed"))] == [len(lines) for lines in journals(Path("out"))]


def test_a_trial_that_fails_is_recorded_and_the_sweep_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    told = found(capsys, words({"optim.lr": {"choices": [0.03, 1e30]}}, trials=6))
    states = {row["options"]["optim.lr"]: row["state"] for row in told["trials"]}
    assert states == {0.03: "complete", 1e30: "failed"}
    why = next(row["why"] for row in told["trials"] if row["state"] == "failed")
    assert "try a lower --optim.lr" in why


def test_a_sweep_whose_trials_all_fail_ends_with_status_3(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words({"optim.lr": {"choices": [1e30, 2e30]}}, trials=2))
    assert ended.value.code == 3
    assert "no trial came to its end" in capsys.readouterr().err


def test_a_machine_that_cannot_train_it_spends_no_trial(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(SPACE, "--train.precision", "fp16", "--train.device", "cpu")) == 2
    assert "fp16 needs cuda" in capsys.readouterr().err.splitlines()[-1]
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("text", "ends"), [("shapes do not fit,\n  [8] and [16]", False), ("CUDA error: device-side assert\n", True)]
)
def test_an_error_of_torch_fails_its_trial_alone(
    text: str, ends: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    method, calls = Trainer.update, list[int]()

    def broken(self: Trainer, batches: Any) -> None:
        calls.append(1)
        if len(calls) == 14:
            raise RuntimeError(text)
        method(self, batches)

    monkeypatch.setattr(Trainer, "update", broken)
    if ends:
        assert main(words(trials=3)) == 4
        assert "the same sweep command goes on" in capsys.readouterr().err.splitlines()[-1]
        assert len([*Path("out").glob("trial-*")]) == 2
    told = found(capsys, words(trials=3))
    assert [row["state"] for row in told["trials"]] == ["complete", "failed", "complete"]
    assert told["trials"][1]["why"] == "RuntimeError: " + " ".join(text.split())


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("where", [(Trainer, "update", 20), (command, "describe", 2)])
def test_a_signal_ends_it_with_its_status_and_the_same_command_goes_on(
    where: tuple[Any, str, int],
    number: int,
    status: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given, (owner, name, call), calls = words(), where, list[int]()
    method = getattr(owner, name)

    def stopped(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == call:
            signal.raise_signal(number)
        return method(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, stopped)
        with pytest.raises(SystemExit) as ended:
            main(given)
    assert ended.value.code == status
    assert "the same sweep command goes on" in capsys.readouterr().err.splitlines()[-1]
    told = found(capsys, given)
    assert [row["state"] for row in told["trials"]] == ["complete"] * 4


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"optim.lrr": {"low": 1, "high": 2}}, "unknown option 'optim.lrr': did you mean optim.lr?"),
        ({"optim.lr": {"low": 2.0, "high": 1.0}}, "optim.lr"),
        ({"optim.lr": {"low": 0.0, "high": 1.0, "log": True}}, "optim.lr"),
        ({"optim.lr": {"low": 0.0, "high": 1.0, "step": 0.3}}, "not divisible"),
        ({"optim.lr": {"low": "much", "high": 1.0}}, "got 'much', want a number"),
        ({"optim.lr": 0.1}, "want {low: 1, high: 8}"),
        ({"optim.lr": {"choices": []}}, "want {low: 1, high: 8}"),
        ({"model.dim": {"low": 8.0, "high": 16.5}}, "model.dim: got 16.5"),
        ({"model.dropout": {"low": 0.1, "high": 1.5}}, "model.dropout: got 1.5"),
        ({"model.dim": {"choices": [8, "wide"]}}, "model.dim: got 'wide'"),
        ({"train.out": {"choices": ["a", "b"]}}, "train.out cannot be searched"),
        ({"train.steps": {"choices": [1, 2]}}, "train.steps cannot be searched: it is given"),
        ({}, "nothing to search"),
    ],
)
def test_a_space_that_makes_no_sense_is_refused_in_one_line(
    space: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(space)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert "search.yaml" in line
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--trials", "0"], "--trials: got 0"),
        (["--search", "none.yaml"], "none.yaml is not there"),
        (["--save-as", "no/name"], "want a name of a to z"),
        (["--optim.lr", "0.1"], "optim.lr cannot be searched: it is given"),
        (["--train.seed", "7"], "train.seed is 0 there, 7 here"),
        (["--out", "used"], "used has something and no sweep"),
    ],
)
def test_words_that_make_no_sense_are_refused_in_one_line(
    more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("used/something").mkdir(parents=True)
    found(capsys, words(trials=1))
    assert main(words(SPACE, *more, trials=1)) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_another_space_is_another_sweep(capsys: pytest.CaptureFixture[str]) -> None:
    found(capsys, words(trials=1))
    assert main(words({**SPACE, "model.dim": {"choices": [8, 32]}}, trials=1)) == 2
    assert "space.model.dim is" in capsys.readouterr().err


def test_the_best_config_becomes_a_preset_once(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "PRESETS", workspace)
    assert main(words(SPACE, "--save-as", "tuned", trials=2)) == 0
    assert "--update-golden" in capsys.readouterr().err
    assert not differences(load(workspace / "tuned.yaml"), load(Path("out/best.yaml")))
    assert main(words(SPACE, "--save-as", "tuned", trials=2)) == 2
    assert "there is a preset 'tuned'" in capsys.readouterr().err


def test_the_search_that_comes_with_the_project_holds_what_it_says() -> None:
    search = read_search(SHIPPED)
    check(SHIPPED, search, {})
    lr, batch, hidden, dropout = search.space.values()
    assert (lr.low, lr.high, lr.log) == (1e-5, 1e-1, True)  # type: ignore[attr-defined]
    assert (batch.choices, hidden.choices) == ((16, 32, 64), (256, 512, 1024))  # type: ignore[attr-defined]
    assert (dropout.low, dropout.high) == (0.1, 0.5)  # type: ignore[attr-defined]
    # copier: endfilter
