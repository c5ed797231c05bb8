# copier: filter replace("my_project", package_name)
"""What can go wrong while a run goes on: what happens to it, how it ends, what is left on the disk."""

import ctypes
import json
import multiprocessing.util
import os
import random
import re
import resource
import shutil
import signal
import sys
import time
import traceback
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from my_project import config as configs
from my_project import run as commands
from my_project.__main__ import main
from my_project.data import loader
from my_project.data.loader import read_manifest, train_batches
from my_project.training import storage
from my_project.training.device import choose_device
from my_project.training.optimizer import Optimization
from my_project.training.storage import (
    PARTS,
    describe_run,
    load_checkpoint,
    read_journal,
    save_checkpoint,
    write_json,
)
from my_project.training.trainer import Trainer
from my_project.types import Batch, Carry, StepOutput

from . import sample
from .sample import NUM_ROWS, PRESET, Rows

SHORT = ["--train.steps", "12", "--train.eval-every", "4", "--train.log-every", "1", "--optim.warmup-steps", "2"]
TRAIN = ["train", "--config", str(PRESET), *SHORT, "--train.out", "run"]
RUN = Path("run")
NO_STATE: dict[str, Any] = {part: {} for part in PARTS if part != "format_version"}


def in_a_process(work: Callable[[], int | None]) -> tuple[int, str]:
    """Do some work in a process of its own; return its exit status (negative: a signal) and what it wrote to stderr."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork of a process that might have threads
        pid = os.fork()
    if pid == 0:
        status = 99
        try:
            vars(multiprocessing.util)["_run_after_forkers"]()  # what a fork of multiprocessing's own would do
            said = os.open("stderr.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(said, 2)
            with open(2, "w", buffering=1, closefd=False) as sys.stderr:
                status = work() or 0
        except SystemExit as stopped:
            status = int(str(stopped.code))
        except BaseException:  # noqa: BLE001 (a child must never go on as a second pytest)
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), Path("stderr.txt").read_text()


def train(*words: str) -> tuple[int, str]:
    return in_a_process(lambda: main([*TRAIN, *words]))


def last_line(said: str) -> str:
    return said.strip().splitlines()[-1]


def kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before(patch: pytest.MonkeyPatch, owner: Any, name: str, call: int, act: Callable[[], object]) -> None:
    """Let something happen before the n-th call of a method or function."""
    method, calls = getattr(owner, name), list[int]()

    def watched(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == call:
            act()
        return method(*arguments, **options)

    patch.setattr(owner, name, watched)


def assert_same_run(first: Path, second: Path) -> None:
    """Compare what two runs wrote: every loss, and everything in their last checkpoints."""
    lines = [[{**line, "seconds": 0} for line in read_journal(folder)] for folder in (first, second)]
    assert lines[0] == lines[1]
    tensors = [[*tensors_of(load_checkpoint(folder / "last.pt"))] for folder in (first, second)]
    torch.testing.assert_close(*tensors, rtol=0, atol=0)


def tensors_of(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [tensor for part in values for tensor in tensors_of(part)]


@pytest.fixture(autouse=True)
def without_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows the training is tested elsewhere, and takes longer than these runs."""
    monkeypatch.setattr(commands, "evaluate", lambda _: {"primary": "accuracy", "value": 0.0})
    monkeypatch.setattr(commands, "report", lambda _: "report.html")


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nothing happens to."""
    folder = tmp_path_factory.mktemp("unbroken") / "run"
    assert main([*TRAIN[:-1], str(folder)]) == 0
    return folder


# ---------------------------------------------------------------- death


@pytest.mark.parametrize("step", random.Random(0).sample(range(2, 12), 3))
def test_a_run_killed_at_a_random_step_goes_on_bit_by_bit(
    step: int, unbroken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        before(patch, Optimization, "step", step, kill_self)
        assert train()[0] == -signal.SIGKILL
    assert main(["train", "--resume", "run"]) == 0
    assert_same_run(unbroken, RUN)


def test_a_death_at_any_system_call_of_a_save_leaves_a_whole_checkpoint(workspace: Path) -> None:
    def save_and_die(number: int) -> int:
        calls = list[str]()

        def deadly(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **options: Any) -> Any:
                calls.append(name)
                if len(calls) == number:
                    os._exit(77)
                return function(*arguments, **options)

            return call

        for name in ("open", "fsync", "replace", "rename", "link", "unlink", "close"):
            setattr(os, name, deadly(name, getattr(os, name)))
        save_checkpoint(path, state(2))
        return len(calls)

    def state(step: int) -> dict[str, Any]:
        return {**NO_STATE, "trainer": {"step": step}}

    path, found = workspace / "last.pt", list[int]()
    for number in range(1, 100):
        shutil.rmtree(workspace, ignore_errors=True)
        workspace.mkdir()
        os.chdir(workspace)
        save_checkpoint(path, state(0))
        save_checkpoint(path, state(1))
        status, said = in_a_process(lambda: save_and_die(number))  # noqa: B023 (called at once)
        found.append(load_checkpoint(path)["trainer"]["step"])
        assert load_checkpoint(path.with_name("previous.pt"))["trainer"]["step"] in {0, 1}
        save_checkpoint(path, state(3))  # whatever was left over is no hindrance
        assert [file.name for file in workspace.glob("*.*") if file.suffix not in {".pt", ".txt"}] == []
        if status != 77:
            break
    assert status == number - 1, said
    assert number > 6
    assert found == sorted(found)
    assert set(found) == {1, 2}


def test_a_kill_in_the_middle_of_a_write_never_spoils_the_newest_checkpoint(workspace: Path) -> None:
    state = {**NO_STATE, "model": torch.rand(200_000)}
    save_checkpoint(workspace / "last.pt", state)
    moments = random.Random(0)
    for _ in range(100):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            while True:
                save_checkpoint(workspace / "last.pt", state)
        time.sleep(moments.uniform(0.0, 0.02))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert torch.equal(load_checkpoint(workspace / "last.pt")["model"], state["model"])


def test_a_power_cut_finds_the_bytes_on_the_disk_before_their_name(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = list[str]()
    save, sync, replace = torch.save, os.fsync, Path.replace

    def note(what: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            kind = what
            if what == "fsync":
                kind += " folder" if Path(f"/proc/self/fd/{arguments[0]}").resolve().is_dir() else " file"
            order.append(kind)
            return function(*arguments)

        return call

    monkeypatch.setattr(torch, "save", note("write", save))
    monkeypatch.setattr(os, "fsync", note("fsync", sync))
    monkeypatch.setattr(Path, "replace", note("move", replace))
    save_checkpoint(workspace / "last.pt", {"model": {}})
    assert order == ["write", "fsync file", "move", "fsync folder"]


# ---------------------------------------------------------------- signals


MOMENTS: dict[str, tuple[Any, str, int]] = {
    "in a step": (Optimization, "step", 7),
    "while it evaluates": (sample, "predict", 2),
    "while it saves": (torch, "save", 3),
    "while it waits for data": (Rows, "__getitem__", 8),
    "in the first step, which may compile": (torch.nn.Linear, "forward", 1),
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGUSR1", 143)])
def test_a_signal_at_any_moment_ends_the_run_with_everything_saved(
    name: str, status: int, moment: str, unbroken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, method, call = MOMENTS[moment]
    with monkeypatch.context() as patch:
        before(patch, owner, method, call, lambda: os.kill(os.getpid(), getattr(signal, name)))
        found, said = train()
    assert found == status, said
    step = load_checkpoint(RUN / "last.pt")["trainer"]["step"]
    assert f"stopped and saved at step {step}; go on with: train --resume run" in last_line(said)
    assert main(["train", "--resume", "run"]) == 0
    assert_same_run(unbroken, RUN)


def test_a_second_signal_ends_the_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def twice() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        before(patch, Optimization, "step", 7, twice)
        assert train()[0] == 143
    assert load_checkpoint(RUN / "last.pt")["trainer"]["step"] == 4


# ---------------------------------------------------------------- numbers that are not finite


def poison(patch: pytest.MonkeyPatch, kind: str, value: float, *, steps: range) -> None:
    """Make the loss or a gradient of some updates nan or inf."""
    backward, calls = Trainer.backward, list[int]()

    def poisoned(self: Trainer, batches: tuple[Batch, ...]) -> tuple[Tensor, list[Carry]]:
        calls.append(1)
        bad, forward = len(calls) in steps, self.forward

        def spoilt(batch: Batch, carry: Carry) -> StepOutput:
            output = forward(batch, carry)
            output.loss = output.loss * value
            return output

        self.forward = spoilt if bad and kind == "loss" else forward
        answer = backward(self, batches)
        self.forward = forward
        if bad and kind == "gradient":
            grad = next(self.model.parameters()).grad
            assert grad is not None
            grad.view(-1)[0] = value
        return answer

    patch.setattr(Trainer, "backward", poisoned)


def all_finite(folder: Path) -> bool:
    states = [load_checkpoint(path) for path in folder.glob("*.pt")]
    tensors = [tensor for state in states for part in ("model", "optimization") for tensor in tensors_of(state[part])]
    return all(bool(tensor.isfinite().all()) for tensor in tensors)


@pytest.mark.parametrize("clip", ["1.0", "0"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("kind", ["loss", "gradient"])
@pytest.mark.parametrize("policy", ["stop", "skip", "raise"])
def test_what_is_not_finite_never_reaches_the_weights_on_the_disk(
    policy: str, kind: str, value: float, clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--train.nonfinite", policy, "--optim.grad-clip", clip, "--train.log-every", "4"]
    with monkeypatch.context() as patch:
        poison(patch, kind, value, steps=range(6, 7))
        status, said = train(*words)
    assert all_finite(RUN)
    if (policy, kind, clip) == ("stop", "gradient", "0"):  # nobody measures it; the next look finds what it did
        assert status == 3, said
        return
    bad = next(line for line in read_journal(RUN) if line["split"] == "nonfinite")
    assert bad["step"] == 6
    assert [len(rows) for rows in bad["rows"]] == [64]
    assert str(value) in bad["what"] or "nan" in bad["what"]
    if policy == "skip":
        assert status == 0, said
        assert "step 6 of 12  nonfinite" in said
        assert load_checkpoint(RUN / "last.pt")["trainer"]["step"] == 12
    else:
        assert status == 3
        assert last_line(said).startswith("error: step 6: loss ")
        assert "metrics.jsonl in run has its rows, last.pt the weights before it" in last_line(said)
        assert load_checkpoint(RUN / "last.pt")["trainer"]["step"] == 4


def test_a_run_that_only_skips_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        poison(patch, "loss", float("nan"), steps=range(1, 100))
        status, _ = train("--train.nonfinite", "skip", "--train.steps", "50")
    assert status == 3
    assert [line["step"] for line in read_journal(RUN) if line["split"] == "nonfinite"] == [*range(1, 12)]


# ---------------------------------------------------------------- damaged checkpoints


def spoil(path: Path, how: str) -> None:
    """Damage a checkpoint; one bit is flipped in its largest tensor, not in what pads the archive."""
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda entry: entry.file_size)
        start = content.index(archive.read(largest))
    flipped = bytearray(content)
    flipped[start + largest.file_size // 2] ^= 1
    spoilt = {"empty": b"", "truncated": content[:-100], "flipped": bytes(flipped), "foreign": b"not a checkpoint"}
    path.unlink()
    path.write_bytes(spoilt[how])


@pytest.mark.parametrize("how", ["empty", "truncated", "flipped", "foreign"])
def test_a_damaged_checkpoint_is_named_with_the_way_to_go_on(how: str, unbroken: Path) -> None:
    shutil.copytree(unbroken, RUN)
    spoil(RUN / "last.pt", how)
    status, said = in_a_process(lambda: main(["train", "--resume", "run", "--train.steps", "16"]))
    assert status == 4
    assert "run/last.pt is damaged or no checkpoint (" in last_line(said)
    assert last_line(said).endswith("go on from the one before: train --resume run/previous.pt")
    assert main(["train", "--resume", "run/previous.pt", "--train.steps", "16"]) == 0
    assert [line["step"] for line in read_journal(RUN) if line["split"] == "val"] == [4, 8, 12, 16]


def test_a_checkpoint_of_a_newer_format_or_with_missing_parts_is_refused(workspace: Path) -> None:
    torch.save({"format_version": 999}, workspace / "new.pt")
    with pytest.raises(ValueError, match="got format version 999, want 2 or older"):
        load_checkpoint(workspace / "new.pt")
    save_checkpoint(workspace / "part.pt", {"model": {}})
    with pytest.raises(ValueError, match=r"part\.pt lacks carries, .*optimization"):
        load_checkpoint(workspace / "part.pt")


def test_a_checkpoint_of_the_first_format_is_migrated() -> None:
    old = Path(__file__).with_name("checkpoint_format_1.pt")
    RUN.mkdir()
    shutil.copy(old, RUN / "best.pt")
    state = load_checkpoint(old)
    assert (state["format_version"], state["trainer"]["step"], state["carries"]) == (2, 60, [None])
    _, model, _ = commands.open_run(RUN)
    config = configs.from_dict(state["config"])
    assert sample.measure(model, config.data.build("val")).value < 1
    shutil.copy(old, RUN / "last.pt")
    configs.save(config, RUN / "config.yaml")
    write_json(RUN / "manifest.json", describe_run(read_manifest(config.data.root), 0))
    assert main(["train", "--resume", "run", "--train.steps", "64"]) == 0
    assert load_checkpoint(RUN / "last.pt")["trainer"]["step"] == 64


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("executed"),)


def test_a_malicious_pickle_is_not_executed(workspace: Path) -> None:
    torch.save({"format_version": 2, "model": Evil()}, workspace / "evil.pt")
    with pytest.raises(OSError, match="damaged or no checkpoint"):
        load_checkpoint(workspace / "evil.pt")
    assert not (workspace / "executed").exists()


# ---------------------------------------------------------------- the disk


def test_a_full_disk_ends_the_run_and_leaves_the_old_checkpoint(unbroken: Path) -> None:
    def on_a_full_disk() -> int:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        size = (RUN / "last.pt").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2))
        return main(["train", "--resume", "run", "--train.steps", "16"])

    shutil.copytree(unbroken, RUN)
    old = (RUN / "last.pt").read_bytes()
    status, said = in_a_process(on_a_full_disk)
    assert status == 4
    assert last_line(said).startswith("error: could not write run/last.pt: ")
    assert (RUN / "last.pt").read_bytes() == old
    assert not [*RUN.glob("*.tmp")]
    assert main(["train", "--resume", "run", "--train.steps", "16"]) == 0


def test_a_folder_that_cannot_be_written_is_refused_before_the_first_step(workspace: Path) -> None:
    def as_somebody_else() -> int:
        make = vars(storage)["new_run_folder"]

        def with_few_rights(*arguments: Any) -> Path:
            if os.getuid() == 0:
                os.setuid(65534)
            folder: Path = make(*arguments)
            return folder

        vars(storage)["new_run_folder"] = with_few_rights
        return main(TRAIN)

    workspace.joinpath("stderr.txt").touch(mode=0o666)
    workspace.joinpath("stderr.txt").chmod(0o666)
    workspace.chmod(0o555)
    status, said = in_a_process(as_somebody_else)
    workspace.chmod(0o755)
    assert status == 4
    assert "Permission denied: 'run'" in last_line(said)
    assert not RUN.exists()


def test_a_run_folder_that_vanishes_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        before(patch, Optimization, "step", 7, lambda: shutil.rmtree("run"))
        status, said = train()
    assert status == 4
    assert "run/" in last_line(said)


def test_a_journal_that_is_deleted_is_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        before(patch, Optimization, "step", 7, lambda: Path("run/metrics.jsonl").unlink())
        assert train()[0] == 0
    assert [line["step"] for line in read_journal(RUN) if line["split"] == "val"] == [8, 12]


def test_a_second_process_in_a_run_folder_is_refused(unbroken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    second = list[tuple[int, str]]()
    shutil.copytree(unbroken, RUN)

    def resume_in_another_process() -> None:
        second.append(in_a_process(lambda: main(["train", "--resume", "run", "--train.steps", "20"])))

    with monkeypatch.context() as patch:
        before(patch, Optimization, "step", 2, resume_in_another_process)
        assert main(["train", "--resume", "run", "--train.steps", "16"]) == 0
    assert second[0][0] == 4
    assert f"run is in use by process {os.getpid()}" in last_line(second[0][1])


# ---------------------------------------------------------------- the data


def test_a_loader_worker_that_is_killed_ends_the_run_with_everything_saved(
    unbroken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = Rows.__getitem__

    def killed_once(self: Rows, key: tuple[Tensor, int]) -> Batch:
        if torch.utils.data.get_worker_info() and fuse.exists():
            fuse.unlink()
            kill_self()
        return item(self, key)

    fuse = Path("fuse").absolute()
    fuse.touch()
    with monkeypatch.context() as patch:
        patch.setattr(loader, "TIMEOUT", 1)
        patch.setattr(Rows, "__getitem__", killed_once)
        status, said = train("--data.workers", "1")
    assert status == 4
    [error] = [line for line in said.splitlines() if line.startswith("error: ")]
    assert "no batch from data or worker after step " in error
    assert "worker" in error
    assert main(["train", "--resume", "run", "--data.workers", "0"]) == 0
    assert_same_run(unbroken, RUN)


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_corrupt_record_is_named(workers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    item = Rows.__getitem__

    def corrupt(self: Rows, key: tuple[Tensor, int]) -> Batch:
        if len(self) == NUM_ROWS["train"] and 100 in key[0]:
            raise ValueError("row 100: want 4 numbers, found 3")
        return item(self, key)

    monkeypatch.setattr(Rows, "__getitem__", corrupt)
    status, said = train("--train.steps", "40", "--data.workers", workers)
    assert status == 4
    [error] = [line for line in said.splitlines() if line.startswith("error: ")]  # a worker may say something as well
    step, _, what = error.removeprefix("error: no batch from data or worker after step ").partition(": ")
    assert what == "ValueError: row 100: want 4 numbers, found 3"
    assert load_checkpoint(RUN / "last.pt")["trainer"]["step"] == int(step)


@pytest.mark.parametrize(
    ("change", "named"),
    [("shape", "inputs='torch.float32 [3]'"), ("dtype", "inputs='torch.float64 [4]'"), ("piece", "'torch.int64 [2]'")],
)
def test_a_batch_unlike_those_before_is_named(change: str, named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    item = Rows.__getitem__

    def another(self: Rows, key: tuple[Tensor, int]) -> Batch:
        batch = item(self, key)
        if len(self) != NUM_ROWS["train"] or 100 not in key[0]:
            return batch
        if change == "piece":
            inputs = {**batch.inputs, "rest": (batch.inputs["rest"][0].long(),)}
        else:
            inputs = batch.inputs[..., :-1] if change == "shape" else batch.inputs.double()
        return Batch(inputs, batch.targets, batch.index)

    monkeypatch.setattr(Rows, "__getitem__", another)
    status, said = train("--train.steps", "40", "--data.pieces", str(change == "piece"))
    assert status == 4
    [error] = [line for line in said.splitlines() if line.startswith("error: ")]
    assert error.startswith("error: a batch is unlike those before: Batch(inputs=")
    assert named in error
    assert re.search(r"[ []100[],]", error)
    assert load_checkpoint(RUN / "last.pt")["trainer"]["step"] > 0


@pytest.mark.parametrize(("rows", "size", "found"), [(5, 1, 1), (10, 4, 4), (3, 64, 3), (1, 64, 1)])
def test_batches_of_one_short_sets_and_what_is_left_over(rows: int, size: int, found: int) -> None:
    data = configs.load(PRESET, {"data.batch_size": size}).data
    batches = iter(train_batches(Rows(torch.rand(rows, 4)), data, seed=0))
    seen = [next(batches) for _ in range(2 * (rows // min(size, rows)))]
    assert {len(batch.index) for batch in seen} == {found}


def test_a_training_split_without_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="no rows"):
        train_batches(Rows(torch.rand(0, 4)), configs.load(PRESET).data, seed=0)


def test_memory_that_runs_out_in_an_evaluation_ends_the_run_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_large(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    with monkeypatch.context() as patch:
        patch.setattr(sample, "predict", too_large)
        status, said = train()
    assert (status, last_line(said)) == (
        4,
        "error: out of memory; lower --data.batch-size, or try --train.recompute",
    )
    assert load_checkpoint(RUN / "last.pt")["trainer"]["step"] == 0


# ---------------------------------------------------------------- what a resume may find changed


def test_a_resume_names_every_option_that_differs(unbroken: Path) -> None:
    shutil.copytree(unbroken, RUN)
    words = ["--optim.lr", "0.5", "--data.batch-size", "32"]
    status, said = in_a_process(lambda: main(["train", "--resume", "run", *words]))
    assert status == 2
    assert "optim.lr: the run has 0.03, given 0.5" in last_line(said)
    assert "data.batch_size: the run has 64, given 32" in last_line(said)


def test_a_resume_with_changed_data_is_refused(unbroken: Path) -> None:
    shutil.copytree(unbroken, RUN)
    manifest = json.loads((RUN / "manifest.json").read_text())
    manifest["data"]["files"]["sample.py"] = "0" * 64
    (RUN / "manifest.json").write_text(json.dumps(manifest))
    status, said = in_a_process(lambda: main(["train", "--resume", "run", "--train.steps", "16"]))
    assert status == 2
    assert "another data file sample.py: the run has '000" in last_line(said)


def test_a_resume_with_changed_code_goes_on_and_says_so(unbroken: Path) -> None:
    shutil.copytree(unbroken, RUN)
    manifest = json.loads((RUN / "manifest.json").read_text())
    manifest["code"]["sha256"] = "0" * 64
    (RUN / "manifest.json").write_text(json.dumps(manifest))
    status, said = in_a_process(lambda: main(["train", "--resume", "run", "--train.steps", "16"]))
    assert status == 0
    assert "the code has changed since this run began" in said


def test_a_run_without_a_checkpoint_cannot_be_resumed() -> None:
    RUN.mkdir()
    status, said = in_a_process(lambda: main(["train", "--resume", "run"]))
    assert status == 2
    assert "run is not a run folder with last.pt" in last_line(said)


# ---------------------------------------------------------------- words and surroundings


@pytest.mark.parametrize("steps", ["0", "-3", "1.5", "many"])
def test_a_number_of_steps_that_makes_no_sense_is_refused(steps: str) -> None:
    status, said = in_a_process(lambda: main(["train", "--train.steps", steps]))
    assert status == 2
    assert f"error: train.steps: got '{steps}', want " in last_line(said)
    assert not Path("runs").exists()


def test_a_device_that_is_named_and_missing_is_refused_and_auto_says_what_it_took() -> None:
    missing = "mps" if torch.cuda.is_available() else "cuda"
    status, said = train("--train.device", missing)
    assert (status, last_line(said)) == (4, f"error: train.device: {missing} is not there; use auto or cpu")
    assert not RUN.exists()
    assert "training on " in train()[1]


def test_a_clock_that_jumps_changes_nothing(unbroken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jumps = iter(range(10**9, 0, -(10**6)))
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: float(next(jumps)))
        assert train()[0] == 0
    assert_same_run(unbroken, RUN)


def test_a_terminal_that_is_gone_does_not_end_the_run(unbroken: Path) -> None:
    def into_a_broken_pipe() -> int:
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "w", 1) as sys.stdout, os.fdopen(os.dup(writer), "w", 1) as sys.stderr:
            return main(TRAIN)

    in_a_process(into_a_broken_pipe)
    assert_same_run(unbroken, RUN)


TOLD: list[tuple[int, int]] = []


class Glibc:
    """Stands in for the C library and keeps what it was told."""

    def __init__(self, name: str) -> None:
        assert name == "libc.so.6"

    def mallopt(self, option: int, value: int) -> int:
        TOLD.append((option, value))
        return 1


def test_glibc_is_told_to_keep_memory_and_other_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    TOLD.clear()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)  # it may ask a library as well
    monkeypatch.setattr(ctypes, "CDLL", Glibc)
    choose_device("cpu")
    assert TOLD == [(-3, 32 * 2**20), (-1, 2**31 - 1)]

    def elsewhere(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", elsewhere)
    assert choose_device("cpu").type == "cpu"
    # copier: endfilter
