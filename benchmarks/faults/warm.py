"""A process that has imported what one side needs, and forks a child for every run that it is asked for.

It reads a request a line and answers with a line. Only a child leaves `serve`: it then becomes the run.
"""

import gc
import importlib
import json
import os
import signal
import sys
import tempfile
import threading
import time
from contextlib import suppress
from typing import IO, Any

from .expect import IMPOSSIBLE

Request = dict[str, Any]
SEVERAL = tuple(f"torch.distributed.{name}" for name in ("run", "fsdp", "checkpoint", "checkpoint.format_utils"))
NEEDED = ("torch._dynamo", "torch.utils.tensorboard", *SEVERAL)  # by runs of both sides


def serve(requests: IO[str], replies: IO[str]) -> Request | None:
    """Answer until there are no more requests; in a child return the request that it was made for."""
    started: set[int] = set()
    for line in requests:
        request = json.loads(line)
        if request["do"] == "start":
            pid = os.fork()
            if not pid:
                replies.close()
                return dict(request)
            started.add(pid)
            answer: Request = {"pid": pid}
        else:
            started.discard(request["pid"])
            answer = {"status": wait(request["pid"], request["timeout"])}
        replies.write(json.dumps(answer) + "\n")
        replies.flush()
    for pid in started:
        kill_group(pid)
    return None


def wait(pid: int, timeout: float) -> int | None:
    """Return the status of a child, the number of a signal as a negative one; None if it had to be killed."""
    deadline = time.monotonic() + timeout
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended or time.monotonic() > deadline:
            break
        time.sleep(0.005)
    kill_group(pid)
    if not ended:
        os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) if ended else None


def kill_group(pid: int) -> None:
    """Kill what a run started, and the run itself if it is still there."""
    with suppress(ProcessLookupError):  # all of it has ended
        os.killpg(pid, signal.SIGKILL)


def become(request: Request) -> None:
    """Turn a child into a run: a session, a folder, an environment and files for its output of its own."""
    os.setsid()
    os.chdir(request["folder"])
    os.environ.update(request["environment"])
    tempfile.tempdir = None
    streams = {0: os.devnull, 1: f"{request['output']}.out", 2: f"{request['output']}.err"}
    for number, path in streams.items():
        descriptor = os.open(path, os.O_RDONLY if not number else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(descriptor, number)
        os.close(descriptor)


def revive() -> None:
    """Undo what Python 3.11 does in a child: it takes threads that have not begun for threads that have ended."""
    for thread in [*threading._dangling]:  # type: ignore[attr-defined]  # noqa: SLF001
        if not thread.ident:
            vars(thread).update(_is_stopped=False)


def install(faults: list[tuple[str, dict[str, Any]]]) -> None:
    """Put faults into this process; raises OSError where that is not possible."""
    for name, arguments in faults:
        module, _, function = name.rpartition(".")
        getattr(importlib.import_module(f".{module}", __package__), function)(**arguments)


def main(side: str) -> int | None:
    """Warm up, serve, and in a child run what was asked for."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    os.register_at_fork(after_in_child=revive)
    module = importlib.import_module(f".{side}", __package__)
    for name in NEEDED:
        importlib.import_module(name)
    module.warm()
    gc.collect()
    gc.freeze()
    replies.write("{}\n")
    replies.flush()
    if not (request := serve(sys.stdin, replies)):
        return None
    become(request)
    try:
        install(request["faults"])
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return IMPOSSIBLE
    if request["entry"] == "torchrun":
        several = importlib.import_module(".torchrun", __package__)
        several_status: int | None = several.main(module, request["output"], request["words"])
        return several_status
    if request["entry"] == "run":
        status: int | None = module.run(request["words"])
        return status
    look = importlib.import_module(".look", __package__)
    sys.stdout.write(json.dumps(getattr(look, request["entry"])(*request["words"])))
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
