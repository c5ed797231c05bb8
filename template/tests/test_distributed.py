# copier: filter replace("my_project", package_name)
"""Several processes train what one would have trained, and survive the loss of each other."""

import concurrent.futures
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from my_project import run as commands
from my_project.__main__ import main
from my_project.training import distributed, storage
from my_project.training.optimizer import Optimization
from my_project.training.storage import load_checkpoint, read_journal
from my_project.training.trainer import Trainer
from my_project.types import Batch, Carry, StepOutput

from . import sample

TRAIN = ["train", "--config", str(sample.PRESET), "--train.steps", "10", "--train.eval-every", "5"]
TRAIN += ["--train.log-every", "1", "--model.dropout", "0", "--optim.warmup-steps", "2", "--data.batch-size", "30"]
ENGINES = ["distributed", "sharded"]


def nothing(_: int) -> None:
    """Arrange nothing."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def child(rank: int, world: int, port: int, words: list[str], before: Callable[[int], object]) -> None:
    """Be one of the processes that torchrun would have started; never return."""
    status = 99
    try:
        said = os.open(f"stderr-{rank}.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 2)
        with open(2, "w", buffering=1, closefd=False) as sys.stderr:
            address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "tests"}
            os.environ.update(address, RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(world))
            before(rank)
            status = main(words)
    except SystemExit as stopped:
        status = int(str(stopped.code))
    except BaseException:  # noqa: BLE001 (a child must never go on as a second pytest)
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(status)


def launch(words: list[str], *, world: int = 2, before: Callable[[int], object] = nothing) -> list[int]:
    """Run a command in `world` forks at once, as torchrun would; when one has failed, end the others."""
    port, pids = free_port(), list[int]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forks of a process that might have threads
        for rank in range(world):
            pid = os.fork()
            if pid == 0:
                child(rank, world, port, words, before)
            pids.append(pid)
    found, deadline = dict[int, int](), float("inf")
    while len(found) < world:
        for pid in [pid for pid in pids if pid not in found]:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                found[pid] = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
        if any(found.values()):
            deadline = min(deadline, time.monotonic() + 3)
        time.sleep(0.005)
    return [found[pid] for pid in pids]


def said_by(rank: int) -> str:
    return Path(f"stderr-{rank}.txt").read_text()


def weights_of(path: str) -> dict[str, Tensor]:
    """Return the weights and their averages in the best checkpoint of a run."""
    state = load_checkpoint(Path(path, "best.pt"))
    averages = {f"average/{name}": value for name, value in state["optimization"]["averages"].items()}
    return {**state["model"], **averages}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process trains."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    assert main([*TRAIN, "--train.out", str(folder)]) == 0
    return folder


def test_streams_are_evaluated_as_one_process_evaluates_them() -> None:
    class Adding(torch.nn.Module):
        """Answers with the sum of all that a row has read."""

        def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
            total = batch.inputs.sum(1) + carry
            return StepOutput(total.sum(), total, {}, total)

    def evaluate_both(_: int) -> None:
        distributed.connect("cpu")
        alone, spread, told = Adding(), distributed.Spread(Adding()), torch.arange(7.0)[:, None] * torch.ones(7, 2)
        carries: list[Any] = [torch.zeros(7), torch.zeros(7)]
        for count in (7, 6, 3):  # streams that end before others leave the batch from its end
            rows = torch.arange(count)
            batch = Batch(told[:count], rows, rows, rows > count)
            outputs = [alone(batch, carries[0][:count]), spread(batch, carries[1][:count])]
            assert torch.equal(outputs[0].outputs, outputs[1].outputs)
            carries = [output.carry for output in outputs]
        raise SystemExit(0)

    assert launch([], before=evaluate_both) == [0, 0], said_by(0)


# ---------------------------------------------------------------- the same weights


@pytest.mark.parametrize("engine", ENGINES)
def test_two_processes_train_what_one_would_have_trained_and_the_same_every_time(engine: str, alone: Path) -> None:
    for out in ("first", "second"):
        words = [*TRAIN, "--train.engine", engine, "--train.out", out]
        assert launch(words) == [0, 0], said_by(0) + said_by(1)
    torch.testing.assert_close(weights_of("first"), weights_of(str(alone)), rtol=0, atol=1e-6)
    torch.testing.assert_close(weights_of("first"), weights_of("second"), rtol=0, atol=0)
    runs = [[{**line, "seconds": 0} for line in read_journal(Path(out))] for out in ("first", "second")]
    assert runs[0] == runs[1]
    losses = [[line["loss"] for line in read_journal(path)] for path in (alone, Path("first"))]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_torchrun_is_all_that_changes(alone: Path) -> None:
    assert launch([*TRAIN, "--train.out", "run"]) == [0, 0], said_by(0)
    torch.testing.assert_close(weights_of("run"), weights_of(str(alone)), rtol=0, atol=1e-6)
    assert commands.evaluate(Path("run"))["value"] == pytest.approx(commands.evaluate(alone)["value"])
    assert said_by(1) == ""
    assert {path.name for path in Path("run").iterdir()} == {path.name for path in alone.iterdir()}


@pytest.mark.parametrize("engine", ENGINES)
def test_accumulated_batches_and_uneven_shares_change_nothing(engine: str) -> None:
    words = [*TRAIN, "--train.accumulate", "2", "--data.batch-size", "25", "--data.pieces", "true"]
    assert main([*words, "--train.out", "one"]) == 0
    assert launch([*words, "--train.engine", engine, "--train.out", "two"]) == [0, 0], said_by(0)
    torch.testing.assert_close(weights_of("two"), weights_of("one"), rtol=0, atol=1e-6)


def stop_at(step: int, *, only: int = -1) -> Callable[[int], None]:
    """Let a process (or each) hear a signal in the update `step`."""

    def arrange(rank: int) -> None:
        update = Optimization.step

        def heard(self: Optimization, *arguments: Any, **options: Any) -> Any:
            if self.num_updates == step - 1 and only in (-1, rank):
                os.kill(os.getpid(), signal.SIGTERM)
            return update(self, *arguments, **options)

        setattr(Optimization, "step", heard)  # noqa: B010 (this is a process of its own)

    return arrange


@pytest.mark.parametrize(("engine", "worlds"), [("distributed", (2, 1)), ("distributed", (1, 2)), ("sharded", (2, 1))])
def test_another_number_of_processes_goes_on_from_a_checkpoint(
    engine: str, worlds: tuple[int, int], alone: Path
) -> None:
    words = [*TRAIN, "--train.engine", engine, "--train.out", "run"]
    assert launch(words, world=worlds[0], before=stop_at(7)) == [143] * worlds[0], said_by(0)
    assert launch(["train", "--resume", "run"], world=worlds[1]) == [0] * worlds[1], said_by(0)
    torch.testing.assert_close(weights_of("run"), weights_of(str(alone)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_with_dropout_that_is_stopped_goes_on_bit_by_bit(engine: str) -> None:
    words = [*TRAIN, "--model.dropout", "0.3", "--train.log-every", "4", "--train.engine", engine]
    assert launch([*words, "--train.out", "whole"]) == [0, 0], said_by(0)
    assert launch([*words, "--train.out", "parts"], before=stop_at(7)) == [143, 143], said_by(0)
    assert launch(["train", "--resume", "parts"]) == [0, 0], said_by(0)
    torch.testing.assert_close(weights_of("whole"), weights_of("parts"), rtol=0, atol=0)
    journals = [[{**line, "seconds": 0} for line in read_journal(Path(out))] for out in ("whole", "parts")]
    assert journals[0] == journals[1]


def test_a_signal_that_one_process_hears_stops_all_after_the_same_step() -> None:
    assert launch([*TRAIN, "--train.out", "run"], before=stop_at(4, only=1)) == [143, 143], said_by(0)
    assert load_checkpoint(Path("run/last.pt"))["trainer"]["step"] == 4
    assert "stopped and saved at step 4" in said_by(0)


# ---------------------------------------------------------------- what is wrong with one concerns all


def test_a_loss_that_is_not_finite_in_one_process_stops_all_and_all_rows_are_written() -> None:
    def poison(rank: int) -> None:
        backward = Trainer.backward

        def poisoned(self: Trainer, batches: tuple[Batch, ...]) -> tuple[Tensor, list[Carry]]:
            forward = self.forward

            def spoilt(batch: Batch, carry: Carry) -> StepOutput:
                output = forward(batch, carry)
                output.loss = output.loss * float("nan")
                return output

            self.forward = spoilt if self.step == 3 and rank == 1 else forward
            answer = backward(self, batches)
            self.forward = forward
            return answer

        setattr(Trainer, "backward", poisoned)  # noqa: B010

    assert launch([*TRAIN, "--train.out", "run"], before=poison) == [3, 3], said_by(0)
    bad = next(line for line in read_journal(Path("run")) if line["split"] == "nonfinite")
    assert bad["step"] == 4
    assert len({row for rows in bad["rows"] for row in rows}) == 30


def test_a_process_with_other_data_is_named() -> None:
    def change_a_byte(rank: int) -> None:
        if rank == 1:
            describe = vars(storage)["describe_run"]
            vars(storage)["describe_run"] = lambda *parts: {**describe(*parts), "data": {}}

    assert launch([*TRAIN, "--train.out", "run"], before=change_a_byte) == [4, 4]
    assert "the data of process 1 differ from those of process 0" in said_by(0)


def test_a_process_with_fewer_rows_is_named() -> None:
    def lose_rows(rank: int) -> None:
        if rank == 1:
            kind: Any = sample.SampleConfig
            build = kind.build
            kind.build = lambda self, split, **_: build(self, split, num_rows=90)

    assert launch([*TRAIN, "--train.out", "run"], before=lose_rows) == [4, 4]
    assert "the data of process 1 differ from those of process 0" in said_by(0)


def test_a_process_that_hangs_is_given_up_in_time() -> None:
    def hang(rank: int) -> None:
        distributed.TIMEOUT = timedelta(seconds=2)
        if rank == 1:
            setattr(Trainer, "update", lambda *_: time.sleep(60))  # noqa: B010

    started = time.monotonic()
    statuses = launch([*TRAIN, "--train.out", "run"], before=hang)
    assert statuses[0] not in {0, 99}, said_by(0)
    assert time.monotonic() - started < 30


def test_fewer_rows_than_processes_are_refused() -> None:
    assert launch([*TRAIN, "--data.batch-size", "1", "--train.out", "run"]) == [2, 2]
    assert "data.batch_size: got 1, want a row for each of 2 processes" in said_by(0)


def test_a_process_that_runs_out_of_memory_says_what_to_do() -> None:
    def full(_: int) -> None:
        def backward(*_: object) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory")

        setattr(Trainer, "backward", backward)  # noqa: B010

    assert launch([*TRAIN, "--train.out", "run"], before=full) == [4, 4]
    assert "out of memory in step 1 with 15 rows in a process; lower data.batch_size" in said_by(0)


# ---------------------------------------------------------------- torchrun itself


SCRIPT = """
import os, signal, sys
from {package}.__main__ import main
from {package}.training.optimizer import Optimization
update = Optimization.step
def killed(self, *arguments, **options):
    first = os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
    if first and os.environ["RANK"] == {rank!r} and self.num_updates == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return update(self, *arguments, **options)
Optimization.step = killed
sys.exit(main(sys.argv[1:]))
"""


SITE = """
import sys
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("sample_of_tests", {path!r})
sys.modules[spec.name] = module_from_spec(spec)
spec.loader.exec_module(sys.modules[spec.name])
sys.modules[spec.name].register()
"""


def environment(**more: str) -> dict[str, str]:
    """Return an environment in which every Python knows the package and the sample."""
    Path("site").mkdir()
    Path("site/sitecustomize.py").write_text(SITE.format(path=sample.__file__))
    paths = os.pathsep.join([str(Path("site").absolute()), *sys.path])
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths, **more}


def torchrun(
    *words: str, options: tuple[str, ...], env: dict[str, str], on: tuple[str, ...] = ()
) -> "subprocess.Popen[str]":
    command = [*on, sys.executable, "-m", "torch.distributed.run", *options, *words]
    return subprocess.Popen(command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.mark.parametrize(("engine", "rank"), [("distributed", "1"), ("sharded", "0")])
def test_a_killed_process_is_started_again_and_the_run_ends_with_the_same_weights(engine: str, rank: str) -> None:
    words = [*TRAIN, "--train.engine", engine]
    assert launch([*words, "--train.out", "undisturbed"]) == [0, 0], said_by(0)
    Path("script.py").write_text(SCRIPT.format(package=commands.__package__, rank=rank))
    options = ("--nproc-per-node", "2", "--max-restarts", "1", "--master-port", str(free_port()))
    ended = torchrun("script.py", *words, options=options, env=environment())
    said, _ = ended.communicate(timeout=240)
    assert ended.returncode == 0, said
    [run] = Path("runs").iterdir()
    torch.testing.assert_close(weights_of(str(run)), weights_of("undisturbed"), rtol=0, atol=0)
    steps = [line["step"] for line in read_journal(run) if line["split"] == "train"]
    assert steps == [*range(1, 11)]


def test_two_hosts_train_together(alone: Path) -> None:
    words, port = ["-m", str(commands.__package__), *TRAIN, "--train.out", "run"], str(free_port())
    options = ("--nnodes", "2", "--nproc-per-node", "1", "--master-addr", "127.0.0.1", "--master-port", port)
    env = environment()
    hosts = [torchrun(*words, options=(*options, "--node-rank", node), env=env) for node in ("0", "1")]
    said = [host.communicate(timeout=240)[0] for host in hosts]
    assert [host.returncode for host in hosts] == [0, 0], said
    torch.testing.assert_close(weights_of("run"), weights_of(str(alone)), rtol=0, atol=1e-6)


@pytest.fixture
def networks() -> Iterator[list[tuple[str, ...]]]:
    """What begins a command on one of two hosts: network namespaces with a cable between 10.77.0.1 and 10.77.0.2."""
    ip = shutil.which("ip") or "ip"
    names, ends = [f"host-{os.getpid()}-{end}" for end in "ab"], [f"v{os.getpid()}{end}" for end in "ab"]
    cable = ["link", "add", ends[0], "netns", names[0], "type", "veth", "peer", "name", ends[1], "netns", names[1]]
    steps = [["netns", "add", name] for name in names] + [cable]
    for number, (name, end) in enumerate(zip(names, ends, strict=True), start=1):
        steps += [["-n", name, *words] for words in (["addr", "add", f"10.77.0.{number}/24", "dev", end],)]
        steps += [["-n", name, "link", "set", device, "up"] for device in ("lo", end)]
    try:
        for step in steps:
            made = subprocess.run([ip, *step], capture_output=True, text=True, check=False)
            if made.returncode:
                pytest.skip(f"no network namespaces here: {made.stderr.strip()}")
        device = "GLOO_SOCKET_IFNAME"  # here both hosts have one name, from which gloo would take the address
        pairs = zip(names, ends, strict=True)
        yield [(ip, "netns", "exec", name, "env", f"{device}={end}", "DISTRIBUTED_TIMEOUT=60") for name, end in pairs]
    finally:
        for name in names:
            subprocess.run([ip, "netns", "delete", name], capture_output=True, check=False)


@pytest.mark.skipif(shutil.which("ip") is None, reason="no network namespaces here: there is no program ip")
def test_two_hosts_with_networks_of_their_own_train_together(alone: Path, networks: list[tuple[str, ...]]) -> None:
    words = ["-m", str(commands.__package__), *TRAIN, "--train.out", "run"]
    options = ("--nnodes", "2", "--nproc-per-node", "1", "--master-addr", "10.77.0.1", "--master-port", "29500")
    env = environment()
    hosts = [
        torchrun(*words, options=(*options, "--node-rank", str(node)), env=env, on=on)
        for node, on in enumerate(networks)
    ]
    said = [host.communicate(timeout=240)[0] for host in hosts]
    assert [host.returncode for host in hosts] == [0, 0], said
    torch.testing.assert_close(weights_of("run"), weights_of(str(alone)), rtol=0, atol=1e-6)


STUBS = {
    "scontrol": "echo 127.0.0.1",
    "uv": 'shift 3; exec "$PYTHON" -m torch.distributed.run "$@"',
    "srun": '"$@" & first=$!; "$@" & second=$!; wait $first && wait $second',
}


def test_the_file_for_slurm_trains_on_two_nodes_and_goes_on_when_it_is_started_again(alone: Path) -> None:
    script, port = Path(__file__).parents[1] / "cluster" / "train.sbatch", free_port()
    Path("bin").mkdir()
    for name, text in STUBS.items():
        Path("bin", name).write_text(f"#!/bin/bash\n{text}\n")
        Path("bin", name).chmod(0o755)
    Path("train.sbatch").write_text(script.read_text().replace(":29500", f":{port}"))
    slurm = {"SLURM_SUBMIT_DIR": str(Path.cwd()), "SLURM_JOB_NODELIST": "nodes", "SLURM_JOB_NUM_NODES": "2"}
    slurm |= {"SLURM_JOB_ID": "7", "SLURM_GPUS_ON_NODE": "1", "PYTHON": sys.executable}
    env = environment(PATH=f"{Path('bin').absolute()}:{os.environ['PATH']}", **slurm)
    command = ["bash", "train.sbatch", *TRAIN[1:], "--train.out", "run"]
    for _ in range(2):
        ended = subprocess.run(command, env=env, text=True, capture_output=True, timeout=240, check=False)
        assert ended.returncode == 0, ended.stderr
        torch.testing.assert_close(weights_of("run"), weights_of(str(alone)), rtol=0, atol=1e-6)


# ---------------------------------------------------------------- checkpoints in pieces


def test_a_death_while_pieces_are_written_leaves_the_checkpoint_before() -> None:
    def die_in_the_third_save(_: int) -> None:
        from torch.distributed.checkpoint import state_dict_saver as saver  # noqa: PLC0415

        save, calls = saver.async_save, list[int]()

        def deadly(*arguments: Any, **options: Any) -> Any:
            future = save(*arguments, **options)
            calls.append(1)
            if len(calls) == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            return future

        setattr(saver, "async_save", deadly)  # noqa: B010

    words = [*TRAIN, "--train.engine", "sharded"]
    assert launch([*words, "--train.out", "whole"]) == [0, 0], said_by(0)
    assert launch([*words, "--train.out", "run"], before=die_in_the_third_save) == [-9, -9], said_by(0)
    assert Path("run/last.pt").readlink().name == "step-00000005"
    assert launch(["train", "--resume", "run"]) == [0, 0], said_by(0)
    torch.testing.assert_close(weights_of("run"), weights_of("whole"), rtol=0, atol=0)


def test_a_folder_that_is_not_whole_is_refused_and_the_one_before_taken_if_asked() -> None:
    words = [*TRAIN, "--train.engine", "sharded", "--train.out", "run"]
    assert launch(words) == [0, 0], said_by(0)
    Path("run/last.pt/.metadata").unlink()
    assert launch(["train", "--resume", "run"]) == [4, 4]
    assert "run/last.pt is not a whole folder" in said_by(0)
    assert launch(["train", "--resume", "run/previous.pt"]) == [0, 0], said_by(0)
    assert sorted(path.name for path in Path("run").glob("step-*")) == ["step-00000005", "step-00000010"]


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_piece_is_named_and_the_checkpoint_before_taken_if_asked(damage: str) -> None:
    words = [*TRAIN, "--train.engine", "sharded", "--train.out", "run"]
    assert launch(words) == [0, 0], said_by(0)
    piece = max(Path("run/last.pt").glob("__1_*.distcp"), key=lambda path: path.stat().st_size)
    content = bytearray(piece.read_bytes())
    content[content.index(b"PK", content.index(b"data/0")) - 1] ^= 16  # the last byte of a tensor
    piece.write_bytes(content[: len(content) // 2] if damage == "cut" else content)
    assert launch(["train", "--resume", "run"]) == [4, 4]
    assert "run/last.pt is damaged" in said_by(0)
    assert "train --resume run/previous.pt" in said_by(0)
    assert launch(["train", "--resume", "run/previous.pt"]) == [0, 0], said_by(0)


class Spiteful:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("executed",)


def test_a_list_of_pieces_is_never_run_as_code() -> None:
    words = [*TRAIN, "--train.engine", "sharded", "--train.out", "run"]
    assert launch(words) == [0, 0], said_by(0)
    pieces = pickle.loads(Path("run/last.pt/.metadata").read_bytes())  # noqa: S301 (we have just made it)
    pieces.planner_data = Spiteful()
    Path("run/last.pt/.metadata").write_bytes(pickle.dumps(pieces))
    assert launch(["train", "--resume", "run"]) == [4, 4]
    assert "run/last.pt is damaged" in said_by(0)
    assert not Path("executed").exists()


def test_a_checkpoint_in_pieces_is_the_newest_as_soon_as_it_is_whole() -> None:
    def die_between_saves(_: int) -> None:
        def deadly(self: Any, batches: tuple[Batch, ...]) -> Any:
            if self.step == 8:  # the checkpoint of step 5 has been begun, the next one is that of step 10
                concurrent.futures.wait([self.written[0]] if self.written else [])
                deadline = time.monotonic() + 20
                while Path("run/last.pt").readlink().name != "step-00000005" and time.monotonic() < deadline:
                    time.sleep(0.01)
                os.kill(os.getpid(), signal.SIGKILL)
            return backward(self, batches)

        backward = Trainer.backward
        setattr(Trainer, "backward", deadly)  # noqa: B010

    words = [*TRAIN, "--train.engine", "sharded", "--train.out", "run"]
    assert launch(words, before=die_between_saves) == [-9, -9], said_by(0)
    assert Path("run/last.pt").readlink().name == "step-00000005"


def test_what_is_carried_goes_back_to_the_process_it_came_from() -> None:
    shutil.rmtree("run", ignore_errors=True)

    def carry_a_number(rank: int) -> None:
        backward = Trainer.backward

        def carrying(self: Trainer, batches: tuple[Batch, ...]) -> tuple[Tensor, list[Carry]]:
            loss, _ = backward(self, batches)
            before = self.carries[0] or {"state": torch.zeros(15)}
            assert self.step == 0 or int(before["state"][0]) == rank * self.step
            return loss, [{"state": before["state"] + rank}]

        setattr(Trainer, "backward", carrying)  # noqa: B010

    def carry_and_stop(rank: int) -> None:
        carry_a_number(rank)
        stop_at(6)(rank)

    assert launch([*TRAIN, "--train.out", "run"], before=carry_and_stop) == [143, 143], said_by(0)
    assert launch(["train", "--resume", "run"], before=carry_a_number) == [0, 0], said_by(1)
    assert launch(["train", "--resume", "run", "--train.steps", "12"], world=3) == [2, 2, 2]
    assert "what 2 processes carry cannot be given to 3" in said_by(0)
    assert not dist.is_initialized()
    # copier: endfilter
