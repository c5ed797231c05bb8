"""torchrun itself, and what it starts on either side: a run that is one of several processes, each with its faults.

The processes have imported everything before torchrun begins; it starts one by telling it its environment.
"""

import importlib
import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from .bench import Fault
from .hooks import on_forward, record
from .system import on_call
from .warm import install

PID = "pid-{rank}"  # a file with the number of a process
EVERYBODY = "pid-*"


class Spare:
    """A process that waits until torchrun starts it; it answers what torchrun asks of one."""

    returncode: int | None = None

    def __init__(self, pid: int, pipe: int) -> None:
        self.pid, self.pipe = pid, pipe

    def begin(self, environment: dict[str, str]) -> None:
        """Let it run."""
        os.write(self.pipe, json.dumps(environment).encode())
        os.close(self.pipe)

    def poll(self) -> int | None:
        """Return its exit status, or the negative number of a signal; None while it runs."""
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if ended else None
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Wait until it has ended; raises TimeoutExpired."""
        deadline = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("a spare", timeout)
            time.sleep(0.005)
        return status


def fork_spares(count: int) -> list[Spare]:
    """Return processes that wait; in each of them nothing, once torchrun has started it."""
    pipes, spares = [os.pipe() for _ in range(count)], list[Spare]()
    for reading, writing in pipes:
        if not (pid := os.fork()):
            os.setsid()
            for _, other in pipes:
                os.close(other)
            with os.fdopen(reading, "rb") as pipe:
                environment = pipe.read()
            if not environment:  # torchrun has ended
                os._exit(0)
            os.environ.update(json.loads(environment))
            return []
        os.close(reading)
        spares.append(Spare(pid, writing))
    return spares


def main(module: ModuleType, output: str, request: list[Any]) -> int | None:
    """Be torchrun, and write down how every process that it started has ended; or be such a process."""
    world, restarts, address, words = request
    spares = fork_spares(world * (1 + restarts))
    if not spares:
        return be_one_of_several(module, output, words)
    handler: Any = importlib.import_module("torch.distributed.elastic.multiprocessing.subprocess_handler")
    run: Any = importlib.import_module("torch.distributed.run")
    waiting = iter(spares)

    def start(_: Any, __: tuple[str, ...], environment: dict[str, str]) -> Spare:
        spare = next(waiting)
        spare.begin(environment)
        return spare

    handler.SubprocessHandler._popen = start  # noqa: SLF001 (where torchrun would start Python)
    try:
        run.main([f"--nproc-per-node={world}", f"--max-restarts={restarts}", *address, "-m", __name__])
    finally:
        started = len(spares) - len([*waiting])
        statuses = [spare.poll() for spare in spares[:started]]
        Path(f"{output}.statuses").write_text(json.dumps(statuses), encoding="utf-8")
    return None


def this() -> tuple[int, int]:
    """Return which process this is, and in which attempt of torchrun."""
    return int(os.environ["RANK"]), int(os.environ["TORCHELASTIC_RESTART_COUNT"])


def be_one_of_several(module: ModuleType, output: str, words: list[str]) -> int | None:
    """Say who this is, install what is meant for it, run the side's command line."""
    rank, attempt = this()
    request = json.loads(Path(f"{output}.json").read_text("utf-8"))
    Path(PID.format(rank=rank)).write_text(str(os.getpid()), encoding="utf-8")
    own = f"{output}-{rank}-{attempt}"
    os.dup2(os.open(f"{own}.err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    install(request["faults"])
    if request["losses"]:
        record(f"{own}.losses")
    status: int | None = module.run(words)
    return status


def only(rank: int, faults: list[Fault], attempt: int = 0) -> None:
    """Put faults into one process of one attempt."""
    if this() == (rank, attempt):
        install(faults)


def move(folder: str) -> None:
    """Let relative paths begin in another folder, as on a host with a disk of its own."""
    os.chdir(folder)


def kill_all(here: Path) -> None:
    """Kill torchrun, the other processes and this one; the others have said in a folder who they are."""
    others = {int(path.read_text("utf-8")) for path in here.glob(EVERYBODY)} - {os.getpid()}
    for pid in (os.getppid(), *others, os.getpid()):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def kill_all_in_step(after: int) -> None:
    """Kill everything in a step."""
    here = Path.cwd()
    on_forward(after, lambda *_: kill_all(here))


def kill_all_at_call(after: int, number: int) -> None:
    """Kill everything before the OS call of that number on a checkpoint."""
    here = Path.cwd()
    on_call(after, lambda found, *_: kill_all(here) if found == number else None)
