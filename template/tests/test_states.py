# copier: filter replace("my_project", package_name)
"""How a run stands is read from its folder."""

import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from my_project import config as configs
from my_project import run as commands
from my_project.training import storage
from my_project.training.states import look

from .sample import PRESET

SHORT = {"train.steps": 6, "train.eval_every": 2, "train.log_every": 1, "train.out": "run", "train.device": "cpu"}


def fit(**options: object) -> Path:
    return commands.fit(configs.load(PRESET, {**SHORT, **{f"train.{key}": value for key, value in options.items()}}))


def state(run: Path) -> tuple[str, str]:
    found = look(run)
    return found["state"], found["why"]


def test_a_run_that_took_all_steps_is_finished() -> None:
    found = look(fit())
    assert (found["state"], found["step"], found["steps"]) == ("finished", 6, 6)


def test_a_run_that_did_not_is_stopped() -> None:
    run = fit()
    lines = (run / "metrics.jsonl").read_text("utf-8").splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(lines[:4]) + lines[4][:10], "utf-8")  # as a kill leaves it
    found = look(run)
    assert (found["state"], found["step"], found["steps"]) == ("stopped", 3, 6)


def refuse_to_save(monkeypatch: pytest.MonkeyPatch, last: int) -> None:
    """Let the disk be full from a step on."""
    whole = storage.save_checkpoint

    def save(path: Path, state: dict[str, Any], **options: Any) -> None:
        if state["trainer"]["step"] >= last:
            raise OSError("no space")
        whole(path, state, **options)

    monkeypatch.setattr(storage, "save_checkpoint", save)


@pytest.mark.parametrize("evaluated", [False, True])
def test_a_run_whose_last_checkpoint_could_not_be_written_is_stopped(
    evaluated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if evaluated:  # before it went on
        commands.evaluate(fit(steps=4))
        Path("run/evaluation.json").rename("evaluation.json")
        shutil.rmtree("run")
    refuse_to_save(monkeypatch, 6)
    with pytest.raises(OSError, match="no space"):
        fit()
    if evaluated:
        Path("evaluation.json").rename("run/evaluation.json")
    found = look(Path("run"))
    assert (found["lines"][-1]["split"], found["lines"][-1]["step"]) == ("val", 6)
    assert (found["state"], found["why"]) == ("stopped", "")


def test_a_run_that_lost_the_times_of_its_files_is_finished_all_the_same() -> None:
    run = fit()
    for name, when in (("last.pt", 1), ("metrics.jsonl", 2)):
        os.utime(run / name, (when, when))
    assert state(run) == ("finished", "")


def test_a_run_that_ran_out_of_patience_is_finished() -> None:
    config = configs.load(PRESET, {**SHORT, "train.steps": 90, "train.patience": 2, "optim.lr": 1e-30})
    run = commands.fit(config)
    commands.evaluate(run)
    found = look(run)
    assert (found["state"], found["step"] < 90) == ("finished", True)
    lines = (run / "metrics.jsonl").read_text("utf-8").splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(lines[:-3]), "utf-8")  # one evaluation less
    assert state(run) == ("stopped", "")


def test_a_run_whose_loss_was_not_finite_has_failed_and_says_where() -> None:
    config = configs.load(PRESET, {**SHORT, "optim.lr": 1e30, "optim.grad_clip": 0, "optim.warmup_steps": 0})
    with pytest.raises(FloatingPointError):
        commands.fit(config)
    found, why = state(Path("run"))
    assert found == "failed"
    assert "loss" in why


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("config.yaml", None, "config.yaml is not there"),
        ("config.yaml", "a: [", "config.yaml is damaged"),
        ("manifest.json", '{"seed": ', "manifest.json is damaged"),
        ("evaluation.json", "3", "evaluation.json is damaged"),
        ("last.pt", None, "last.pt is not there"),
        ("last.pt", "PK", "last.pt is cut off"),
        ("config.yaml", "train:\ndata: {kind: sample}", "config.yaml is damaged"),
        ("config.yaml", "train: {steps: many, patience: 0}\ndata: {kind: sample}", "config.yaml is damaged"),
        ("config.yaml", "train: {steps: 6, patience: 0}\ndata:", "config.yaml is damaged"),
        ("manifest.json", '{"written": null}', "manifest.json is damaged"),
        ("evaluation.json", '{"value": 1.0}', "evaluation.json is damaged"),
        ("metrics.jsonl", '\0\0\0{"step": 3}\n', "metrics.jsonl is damaged"),
        ("metrics.jsonl", '{"step": 3}\n', "metrics.jsonl is damaged"),
    ],
)
def test_what_is_damaged_is_named(name: str, content: str | None, why: str) -> None:
    run = fit()
    (run / name).unlink(missing_ok=True)
    if content is not None:
        (run / name).write_text(content, "utf-8")
    assert state(run) == ("damaged", why)


def test_a_checkpoint_that_lacks_its_end_is_cut_off_and_no_other_is() -> None:
    run = fit()
    whole = (run / "last.pt").read_bytes()
    (run / "last.pt").unlink()  # it shares its bytes with best.pt
    (run / "last.pt").write_bytes(whole[: len(whole) // 2])
    assert state(run) == ("damaged", "last.pt is cut off")
    (run / "last.pt").write_bytes(whole.replace(b"trainer", b"retrain", 1))
    assert state(run) == ("damaged", "last.pt is damaged")


def test_a_checkpoint_in_pieces_is_looked_at_as_well() -> None:
    run = fit()
    (run / "last.pt").rename(run / "state.pt")
    (run / "last.pt").mkdir()
    assert state(run) == ("damaged", "last.pt/state.pt is not there")
    (run / "state.pt").rename(run / "last.pt/state.pt")
    assert state(run) == ("finished", "")


def test_nothing_that_a_checkpoint_asks_for_is_called(workspace: Path) -> None:
    class Call:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, ("called",)

    run = fit()
    with zipfile.ZipFile(run / "last.pt", "w") as archive:
        archive.writestr("last/data.pkl", pickle.dumps({"more": Call(), "trainer": {"step": 6}}))
    assert state(run) == ("finished", "")
    assert not (workspace / "called").exists()


def test_the_journal_says_what_other_readers_hear() -> None:
    run = fit()
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert look(run)["lines"] == lines
    # copier: endfilter
