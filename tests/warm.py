"""A process that has imported the slow libraries once and forks a child for each command.

It reads one request a line on stdin, `{"module", "argv", "folder", "environment", "output",
"limit"}`, runs `python -m module argv` in a child, and answers with the child's exit status.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import torch

LIBRARIES = ["mypy.api", "pydantic", "pytest", "rich.progress", "torchmetrics"]


def preload() -> None:
    """Import what every child needs; no thread may start and no backward pass may run here."""
    for name in LIBRARIES:
        importlib.import_module(name)
    torch.set_num_threads(1)
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])  # makes torch import its compiler
    gc.collect()
    gc.freeze()


def stay_here() -> None:
    """Let Python reach nothing but this machine: no command of a project needs more."""
    connect = socket.socket.connect

    def local(self: socket.socket, address: Any) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6} and address[0] not in {"127.0.0.1", "::1", "localhost"}:
            raise ConnectionRefusedError(f"there is no network here, and {address} was wanted")
        connect(self, address)

    socket.socket.connect = local  # type: ignore[method-assign, assignment]


def run(request: dict[str, Any]) -> int:
    """Run the command in this process, its output in a file, and return its exit status."""
    with Path(request["output"]).open("wb") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    signal.alarm(request["limit"])
    stay_here()
    os.chdir(request["folder"])
    os.environ.update(request["environment"])
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = ["", *filter(None, paths)]
    sys.argv = [request["module"], *request["argv"]]
    try:
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    return 0


def fork(request: dict[str, Any]) -> int:
    """Run the command in a child and return its exit status; minus a signal's number if killed."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 70
    try:
        status = run(request)
    except BaseException:  # noqa: BLE001 - the child must never return into the loop below
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def main() -> None:
    """Answer requests until stdin closes."""
    answers = os.fdopen(os.dup(1), "w")
    preload()
    for line in sys.stdin:
        answers.write(f"{fork(json.loads(line))}\n")
        answers.flush()


if __name__ == "__main__":
    main()
