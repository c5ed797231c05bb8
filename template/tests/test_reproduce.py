# copier: filter replace("my_project", package_name)
"""A finished run is trained again: equal, near enough, or what moved first and why."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from my_project import run as commands
from my_project.__main__ import main
from my_project.config import load
from my_project.evaluation.checklist import write_checklist
from my_project.training import storage, track_source
from my_project.training.storage import read_journal
from my_project.training.trainer import Trainer

from .sample import PRESET, Net

GIT = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
SHORT = {"train.steps": 8, "train.eval_every": 4, "train.log_every": 2, "optim.warmup_steps": 2, "train.out": "run"}
RUN = Path("run")


@pytest.fixture(autouse=True)
def run(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run with its source noted, as `train` makes it."""
    monkeypatch.setattr(storage, "TRACKERS", [track_source.track])
    monkeypatch.setattr(sys, "argv", ["my_project", "train"])
    commands.train(overrides=SHORT, config=PRESET)
    return workspace / RUN


def edit(name: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a JSON file of the run."""
    values = json.loads((RUN / name).read_text())
    change(values)
    (RUN / name).write_text(json.dumps(values))


def plant(step: int = 4, factor: float = 1.1) -> dict[str, Any]:
    """Write another loss into the run's journal, and return that line."""
    lines = read_journal(RUN)
    line = next(line for line in lines if line["step"] == step and line["split"] == "train")
    line["loss"] *= factor
    (RUN / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return line


def shift(name: str, by: float) -> None:
    """Write other weights into a checkpoint of the run."""
    state = storage.load_checkpoint(RUN / name)
    (state["optimization"]["averages"] if name == "best.pt" else state["model"])["head.bias"] += by
    state.pop("format_version")
    storage.save_checkpoint(RUN / name, state)


def again(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any], str]:
    """Reproduce the run; return the status, what was written and what was said."""
    capsys.readouterr()
    try:
        status = main(["reproduce", "run", *words])
    except SystemExit as ended:
        status = int(str(ended.code))
    told = capsys.readouterr()
    return status, json.loads(told.out or "{}"), told.err


def test_a_run_from_its_folder_alone_is_equal(capsys: pytest.CaptureFixture[str]) -> None:
    status, told, _ = again(capsys, "--tolerance", "0")
    assert (status, told["result"], told["moved"], told["cause"]) == (0, "equal", None, "")
    new = Path(told["again"])
    assert new.parent == Path("runs")
    saved = json.loads((new / "reproduction.json").read_text())
    assert {**told, "written": 0} == {**saved, "written": 0}


def test_a_run_that_was_stopped_and_went_on_is_equal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(RUN)
    track_source.known.clear()
    update = Trainer.update

    def stopped(self: Trainer, batches: Any) -> None:
        update(self, batches)
        if self.step == 5:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "update", stopped)
        with pytest.raises(SystemExit):
            commands.train(overrides=SHORT, config=PRESET)
    track_source.known.clear()  # another process
    commands.train(overrides={"data.workers": 1}, resume=RUN)
    steps = [entry["step"] for entry in json.loads((RUN / "source.json").read_text())["processes"]]
    assert steps == [2, 6]
    status, told, said = again(capsys, "--tolerance", "0")
    assert (status, told["result"], told["causes"]) == (0, "equal", [])
    assert "run was resumed 1 times" in said


def test_a_run_that_went_on_to_more_steps_cannot_be_equal(capsys: pytest.CaptureFixture[str]) -> None:
    commands.fit(load(RUN / "config.yaml", {"train.steps": 12}), resume=RUN)
    status, _, said = again(capsys)
    assert status == 1
    assert "settings: train.steps is 8 in config.yaml, was 12" in said
    assert not Path("runs").exists()


def test_what_moves_first_is_named_with_both_values(capsys: pytest.CaptureFixture[str]) -> None:
    plant(step=8)
    line = plant(step=4)
    status, told, said = again(capsys)
    assert (status, told["result"], told["num_moved"]) == (1, "moved", 2)
    moved = told["moved"]
    assert (moved["step"], moved["split"], moved["name"], moved["was"]) == (4, "train", "loss", line["loss"])
    assert moved["is"] == pytest.approx(line["loss"] / 1.1)
    assert f"train loss at step 4 was {moved['was']}, is {moved['is']}" in said
    assert "nothing has changed that a run notes" in told["cause"]


def test_figures_within_the_tolerance_end_with_status_0(capsys: pytest.CaptureFixture[str]) -> None:
    plant(factor=1.0001)
    status, told, _ = again(capsys)
    assert (status, told["result"], told["moved"]["name"]) == (0, "within tolerance", "loss")
    assert again(capsys, "--tolerance", "1e-6")[0] == 1
    assert again(capsys, "--tolerance", "-1")[0] == 2


def test_another_program_moves_the_first_figure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = Net.forward
    monkeypatch.setattr(Net, "forward", lambda self, batch, carry=None: forward(self, batch.map(twice), carry))
    status, told, _ = again(capsys)
    assert (status, told["moved"]["step"], told["moved"]["split"]) == (1, 2, "train")


def twice(part: Any) -> Any:
    return part * 2 if part.is_floating_point() else part


def test_weights_that_moved_are_seen_without_any_figure(capsys: pytest.CaptureFixture[str]) -> None:
    shift("last.pt", 1e-4)
    status, told, said = again(capsys)
    assert (status, told["result"]) == (0, "within tolerance")
    assert 0 < told["weights"]["last.pt"] < 2e-4
    assert "within tolerance; first the weights, by " in said
    assert again(capsys, "--tolerance", "0")[0] == 1


@pytest.mark.parametrize("name", ["last.pt", "best.pt"])
def test_weights_that_are_far_apart_have_moved(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    plant(factor=1.0001)
    shift(name, 1000.0)
    status, told, said = again(capsys)
    assert (status, told["result"], told["num_moved"], told["moved"]) == (1, "moved", 1, None)
    assert "moved: first the weights, by 1000; cause: " in said


@pytest.mark.parametrize("name", ["last.pt", "best.pt"])
def test_a_run_without_a_checkpoint_is_refused_before_anything_is_trained(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (RUN / name).unlink()
    status, _, said = again(capsys)
    assert status == 2
    assert f"run is not a run folder with {name}" in said
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda m: m["code"].update(sha256="0"), "code: the package's files have changed"),
        (
            lambda m: m["code"].update(sha256="0", changed=True, commit=""),
            "no commit has, see run/source.diff",
        ),
        (lambda m: m["environment"].update(torch="1.0"), "library: torch is "),
        (lambda m: m["environment"].update(packages=["numpy 1.0"]), "not there"),
        (lambda m: m["environment"].update(gpu="A100"), "hardware: gpu is None, was A100"),
        (lambda m: m["environment"].update(num_threads=99), "hardware: num_threads is 1, was 99"),
        (lambda m: m.update(command=[*m["command"], "--seeds"]), "nothing has changed"),
    ],
)
def test_the_first_cause_is_named(
    change: Callable[[dict[str, Any]], object], cause: str, capsys: pytest.CaptureFixture[str]
) -> None:
    plant()
    (RUN / "source.diff").write_text("-dim = 1\n+dim = 2\n")
    edit("manifest.json", change)
    status, told, _ = again(capsys)
    assert status == 1
    assert cause in told["cause"]


def test_flags_and_the_processor_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    edit("source.json", lambda source: source["processes"][0]["flags"].update(matmul_precision="medium"))
    _, told, _ = again(capsys)
    assert told["causes"] == ["flags: matmul_precision is highest, was medium"]
    edit("source.json", lambda source: source["processes"][0].update(cpu="Z80"))
    assert again(capsys)[1]["causes"][0].startswith("hardware: cpu is ")


@pytest.mark.parametrize(
    ("name", "change", "cause"),
    [
        ("manifest.json", lambda m: m["data"]["files"].update({"sample.py": "1" * 64}), "data: "),
        ("manifest.json", lambda m: m["data"]["files"].update({"rows.npz": "1" * 64}), "rows.npz is gone"),
        ("manifest.json", lambda m: m.update(seed=3), "settings: train.seed is 0 in config.yaml, was 3"),
    ],
)
def test_what_cannot_be_equal_is_refused_before_anything_is_trained(
    name: str, change: Callable[[dict[str, Any]], object], cause: str, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(name, change)
    status, _, said = again(capsys)
    assert status == 1
    assert cause in said.splitlines()[-1]
    assert not Path("runs").exists()


def test_a_seed_that_was_edited_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    values = yaml.safe_load((RUN / "config.yaml").read_text())
    values["train"]["seed"] = 5
    (RUN / "config.yaml").write_text(yaml.safe_dump(values))
    status, _, said = again(capsys)
    assert status == 1
    assert "settings: train.seed is 5 in config.yaml, was 0" in said
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("source.json", lambda s: s["processes"][0].update(processes=2), "was trained by several processes"),
        ("manifest.json", lambda m: m.update(command=["train", "--init-from", "gone"]), "gone, which is not there"),
    ],
)
def test_runs_that_one_command_cannot_make_again_are_refused(
    name: str, change: Callable[[dict[str, Any]], object], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(name, change)
    status, _, said = again(capsys)
    assert status == 2
    assert message in said


def test_an_unfinished_run_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    state = storage.load_checkpoint(RUN / "last.pt")
    state.pop("format_version")
    storage.save_checkpoint(RUN / "last.pt", {**state, "trainer": {**state["trainer"], "step": 4}})
    status, _, said = again(capsys)
    assert status == 2
    assert "run stopped at step 4 of 8; finish it first: train --resume run" in said


@pytest.mark.parametrize("more", [["--overfit-batches", "1"], ["--init-from=run"]])
def test_options_that_no_config_holds_are_given_again(
    more: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["train", "--config", str(PRESET), "--train.steps", "4", "--train.eval-every", "2", *more]
    monkeypatch.setattr(sys, "argv", ["my_project", *words, "--train.out", "other"])
    assert main(sys.argv[1:]) == 0
    capsys.readouterr()
    assert main(["reproduce", "other", "--tolerance", "0"]) == 0
    assert json.loads(capsys.readouterr().out)["result"] == "equal"


def test_a_run_that_tells_little_is_made_again_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    (RUN / "source.json").unlink()
    (RUN / "evaluation.json").unlink()
    (RUN / "manifest.json").write_text("{}")
    status, told, _ = again(capsys)
    assert (status, told["result"], told["causes"]) == (0, "equal", [])


def test_the_checklist_is_filled_from_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    _, told, _ = again(capsys, "--checklist")
    text = (Path(told["again"]) / "checklist.md").read_text()
    manifest = json.loads((RUN / "manifest.json").read_text())
    for wanted in ("**equal**", "not opened", manifest["code"]["sha256"], manifest["data"]["name"], "Seed 0"):
        assert wanted in text
    assert "- [x] Trained again in" in text
    assert "- [ ] Test split" in text


@pytest.fixture
def package(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package in a repository of its own, all of it in a commit."""
    package = workspace / "repository/src"
    package.mkdir(parents=True)
    (package / "model.py").write_text("dim = 1\n")
    (package.parent / "notes.txt").touch()
    for words in ("init -q", "add .", "commit -q -m first", "config diff.external true", "config color.ui always"):
        subprocess.run([*GIT, *words.split()], check=True, cwd=package.parent)
    monkeypatch.setattr(track_source, "PACKAGE", package)
    return package


def test_the_source_of_a_run_has_changes_that_no_commit_has(package: Path) -> None:
    (package / "model.py").write_text("dim = 2\n")
    (package / "new file.py").write_text("depth = 2\n")
    (package / ".#model.py").symlink_to("gone")
    entry, diff = track_source.describe_source()
    assert "-dim = 1\n+dim = 2" in diff
    assert entry["diff_sha256"] == track_source.sha256(diff.encode())
    assert entry["untracked"] == {"new file.py": track_source.sha256(b"depth = 2\n")}
    assert not entry["changed_elsewhere"]
    (package / "model.py").write_text("dim = 1\n")
    subprocess.run([*GIT, "apply"], input=diff, text=True, check=True, cwd=package.parent)
    assert (package / "model.py").read_text() == "dim = 2\n"


def test_no_changes_leave_no_diff_and_those_elsewhere_are_known(package: Path, workspace: Path) -> None:
    track_source.track(workspace, {"step": 1})
    assert (workspace / "source.json").exists()
    assert not (workspace / "source.diff").exists()
    for name in ("notes.txt", "new.txt"):
        assert not track_source.describe_source()[0]["changed_elsewhere"]
        (package.parent / name).write_text("changed")
        assert track_source.describe_source()[0]["changed_elsewhere"]
        (package.parent / name).write_text("")
        (package.parent / "new.txt").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("changes", "box"),
    [
        ({}, "x"),
        ({"diff_sha256": ""}, " "),
        ({"untracked": {"new.py": "1"}}, " "),
        ({"changed_elsewhere": True}, " "),
    ],
)
def test_changes_are_ticked_only_where_the_diff_has_all_of_them(changes: dict[str, Any], box: str) -> None:
    edit("manifest.json", lambda m: m["code"].update(commit="1", changed=True))
    known = {"diff_sha256": "1", "untracked": {}, "changed_elsewhere": False, **changes}
    edit("source.json", lambda source: source["processes"][0].update(known))
    (told := Path("again")).mkdir()
    text = write_checklist(RUN, told, {"result": "equal"}).read_text()
    assert f"- [{box}] With changes that no commit has" in text


def test_the_receipt_of_another_checkpoint_is_not_this_ones() -> None:
    (again := Path("again")).mkdir()
    digest, about = track_source.sha256((RUN / "best.pt").read_bytes()), {"primary": "error", "value": 0.25}
    ours, other = {**about, "checkpoint_sha256": digest}, {"primary": "error", "value": 0.5, "checkpoint_sha256": "1"}
    for receipt, wanted in (
        (ours, "[x] Test split: opened for this checkpoint, error 0.25"),
        ({**other, "earlier": [ours]}, "[x] Test split: opened for this checkpoint, error 0.25"),
        (other, "[ ] Test split: opened for another checkpoint"),
    ):
        (RUN / "final.json").write_text(json.dumps(receipt))
        assert wanted in write_checklist(RUN, again, {"result": "equal"}).read_text()


def test_a_link_to_nothing_in_the_package_stops_no_run(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "__file__", str(package / "training/storage.py"))
    before = storage.describe_run({}, 0)["code"]["sha256"]
    (package / ".#model.py").symlink_to("gone")
    assert storage.describe_run({}, 0)["code"]["sha256"] == before


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"processes": 3}'])
def test_a_source_that_cannot_be_written_costs_a_warning(
    text: str, workspace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (workspace / "source.json").write_text(text)
    track_source.track(workspace, {"step": 1})
    assert "source.json is left out" in caplog.text
    # copier: endfilter
