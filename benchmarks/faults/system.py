"""Faults between the run and the operating system: its calls, its rights, its disk, its pipes."""

import ctypes
import errno
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import torch

from .hooks import on_forward

CALLS = {"os.rename", "os.link", "os.symlink", "os.remove", "os.truncate"}
NOT_CHECKPOINTS = {".json", ".jsonl", ".csv", ".yaml", ".html", ".txt"}
EVENTS = "events.out.tfevents"  # TensorBoard's files
NEW_NAMESPACE, CAPABILITIES = 0x20000, 0x20080522  # CLONE_NEWNS; version 3 of capset's header
ROOTS_RIGHTS = 0b1110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER


def on_call(after: int, action: Callable[[int, str, list[str]], object]) -> None:
    """Act before every OS call on a checkpoint once batch `after` has begun: its number, its name, its paths."""
    numbers, started, here = count(1), [False], (str(Path.cwd()), tempfile.gettempdir())
    on_forward(after, lambda *_: started.__setitem__(0, True))

    def call(name: str, *paths: object) -> None:
        full = [os.path.abspath(os.fsdecode(path)) for path in paths if isinstance(path, str | bytes | os.PathLike)]  # noqa: PTH100
        kept = [path for path in full if path.startswith(here) and is_of_a_checkpoint(Path(path))]
        if started[0] and kept and not kept[-1].endswith("lock"):
            action(next(numbers), name, kept)

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR):
            call("open", arguments[0])
        elif event in CALLS:
            call(event.removeprefix("os."), *arguments[:2])

    def synced(fd: Any, fsync: Callable[[Any], None] = os.fsync) -> None:
        descriptor = fd if isinstance(fd, int) else fd.fileno()
        call("fsync", str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(fd)

    os.fsync = synced
    sys.addaudithook(heard)


def is_of_a_checkpoint(path: Path) -> bool:
    """Whether a path may be one of a checkpoint, not of what a run measures."""
    return path.suffix not in NOT_CHECKPOINTS and not path.name.startswith(EVENTS)


def trace(after: int, path: str) -> None:
    """Write down every OS call on a checkpoint, one a line: its name and its paths."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    on_call(after, lambda _, name, paths: os.write(descriptor, f"{' '.join([name, *paths])}\n".encode()))


def die_at_call(after: int, number: int) -> None:
    """Die before the OS call of that number."""
    on_call(after, lambda found, *_: os._exit(137) if found == number else None)


def die_at_byte(after: int, size: int) -> None:
    """Die in the write that would make a file longer than `size`."""

    def act(*_: object) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    on_forward(after, act)


def signal_in_save(number: int, after: int) -> None:
    """Let the run send itself a signal in the middle of the next save: before a checkpoint is moved to its place."""
    sent: list[bool] = []

    def act(_: int, name: str, __: list[str]) -> None:
        if name == "rename" and not sent:
            sent.append(True)
            os.kill(os.getpid(), number)

    on_call(after, act)


def signal_in_compile(number: int = 0) -> None:
    """Compile without a C++ compiler; send a signal in the middle of the first time, if one is given."""
    sent = [not number]

    def backend(graph: torch.fx.GraphModule, _: Any) -> Callable[..., Any]:
        if not sent[0]:
            sent[0] = True
            os.kill(os.getpid(), number)
        return graph.forward

    torch.compile = partial(torch.compile, backend=backend)


def obey_permissions() -> None:
    """Give up root's right to write where the permissions forbid it."""
    if os.geteuid():
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header, data = (ctypes.c_uint32 * 2)(CAPABILITIES, 0), (ctypes.c_uint32 * 6)()
    if libc.capget(header, data):
        raise OSError(ctypes.get_errno(), "capget")
    for set_of_rights in (0, 1, 2):  # effective, permitted, inheritable: the low halves come first
        data[set_of_rights] &= ~ROOTS_RIGHTS
    if libc.capset(header, data):
        raise OSError(ctypes.get_errno(), "capset")


def small_disk(folder: str, size: int) -> None:
    """Put a file system of `size` bytes under a folder of this run alone; what it held at the end is copied out."""
    libc = ctypes.CDLL(None, use_errno=True)
    Path(folder).mkdir()
    target = os.fsencode(folder)
    private = 1 << 18 | 1 << 14  # MS_PRIVATE, MS_REC: no other process sees the new file system
    if (
        libc.unshare(NEW_NAMESPACE)
        or libc.mount(None, b"/", None, private, None)
        or libc.mount(b"tmpfs", target, b"tmpfs", 0, f"size={size}".encode())
    ):
        number = ctypes.get_errno()
        raise OSError(number, f"no file system of its own here: {errno.errorcode.get(number)}")
    if child := os.fork():
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        shutil.copytree(folder, f"{folder}-copy", symlinks=True)
        os._exit(status if status >= 0 else 128 - status)


def broken_pipes(numbers: list[int]) -> None:
    """Let the run write into pipes that nobody reads."""
    for number in numbers:
        reading, writing = os.pipe()
        os.close(reading)
        os.dup2(writing, number)
