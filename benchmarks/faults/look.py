"""What lies on the disk after a run, looked at and damaged; each function runs in a child of its own."""

import os
import random
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.format_utils import dcp_to_torch_save

SUFFIXES = {".pt", ".ckpt"}
NOT_STATE = {"config", "hyper_parameters", "callbacks", "loops", "hparams_name"}  # paths, times and names differ
BESIDE = ("state.pt", "meta.pt")  # in a checkpoint that is a folder: ours, Lightning's
STEPS = {"step", "global_step"}

Found = dict[str, Any]


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Return every value of a nested state by its path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in NOT_STATE:
                yield from leaves(inner, f"{path}/{key}")
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from leaves(inner, f"{path}/{number}")
    else:
        yield path, value


def read(path: Path) -> dict[str, Any]:
    """Read a checkpoint the way both sides can; raises whatever is wrong with it."""
    return read_pieces(path) if path.is_dir() else read_file(path)


def read_pieces(path: Path) -> dict[str, Any]:
    """Read a checkpoint that is a folder: what processes wrote in pieces, and what one of them wrote beside those."""
    if not (path / ".metadata").exists():
        raise OSError("not whole: it has no .metadata")
    with tempfile.TemporaryDirectory() as name:
        try:
            dcp_to_torch_save(path, whole := Path(name) / "whole.pt")
        except CheckpointException as error:  # which is no Exception
            raise OSError(f"damaged: {str(error).strip().rpartition(chr(10))[2]}") from error
        pieces = read_file(whole)
    state = read_file(next(file for name in BESIDE if (file := path / name).exists()))
    return {**state, **{name: {**(state.get(name) or {}), **parts} for name, parts in pieces.items()}}


def read_file(path: Path) -> dict[str, Any]:
    """Read a checkpoint that is a file."""
    with zipfile.ZipFile(path) as archive:
        if broken := archive.testzip():
            raise OSError(f"checksum of {broken}")
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def step_of(state: dict[str, Any]) -> int:
    """Return the step in which a checkpoint was written."""
    return next(
        int(value)
        for path, value in leaves(state)
        if path.split("/")[1:] in (["trainer", "step"], ["step"]) or path.endswith("/global_step")
    )


def checkpoints(folder: str) -> dict[str, Found]:
    """Return for each checkpoint of a run its step and whether all of it is finite, or why it cannot be read."""
    found: dict[str, Found] = {}
    for path in sorted(Path(folder).glob("*")):
        if path.suffix in SUFFIXES:
            found[path.name] = judge(path)
    return found


def judge(path: Path) -> Found:
    """Return a checkpoint's step and whether all of it is finite, or why it cannot be read."""
    try:
        state = read(path)
        finite = all(value.isfinite().all() for _, value in leaves(state) if isinstance(value, torch.Tensor))
        return {"step": step_of(state), "finite": bool(finite)}
    except Exception as error:  # noqa: BLE001 (whatever it is, the checkpoint cannot be read)
        return {"error": f"{type(error).__name__}: {error}".splitlines()[0][:80]}


def newest(folder: str) -> int:
    """Return the step of the newest whole checkpoint that lies in a run's folder under any name, -1 without one."""
    return max((int(judge(path).get("step", -1)) for path in Path(folder).glob("*")), default=-1)


def compare(first: str, second: str) -> list[str]:
    """Return the paths at which two checkpoints' states are not bitwise equal, or why they cannot be compared."""
    try:
        states = [dict(leaves(read(Path(path)))) for path in (first, second)]
    except Exception as error:  # noqa: BLE001 (whatever it is, the checkpoint cannot be read)
        return [f"{type(error).__name__}"]
    names = [name for name in {**states[0], **states[1]} if not same(*(state.get(name) for state in states))]
    return [name for name in names if not name.endswith(("seconds", "version"))]


def distance(first: str, second: str) -> float:
    """Return the largest difference between the weights of two checkpoints."""
    parts = ({"model", "state_dict"} & (states := read(Path(first))).keys()).pop(), states
    other = read(Path(second))[parts[0]]
    return max(float((value - other[name]).abs().max()) for name, value in parts[1][parts[0]].items())


def same(first: Any, second: Any) -> bool:
    """Whether two values are the same, bit by bit."""
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        return first.dtype == second.dtype and torch.equal(first, second)
    return bool(type(first) is type(second) and first == second)


def edit(path: str, drop: str = "", name: str = "", value: Any = None) -> None:
    """Write a checkpoint again without one of its parts, or with another value in one."""
    state = read(Path(path))
    if drop:
        del state[drop]
    if name:
        state[name] = value
    torch.save(state, path)


class Touch:
    """An object whose unpickling makes a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("executed",)


def damage(path: str, how: str) -> None:
    """Make a checkpoint `truncated`, `empty`, `foreign`, `malicious`, or flip one bit of its largest tensor."""
    file = Path(path)
    content = bytearray(file.read_bytes())
    if how == "malicious":
        edit(path, name="carry", value=Touch())
        return
    if how == "flipped":
        with zipfile.ZipFile(file) as archive:
            largest = max(archive.infolist(), key=lambda entry: entry.file_size)
            start = content.index(archive.read(largest))
        content[start + largest.file_size // 2] ^= 1
    ends: dict[str, bytes | bytearray] = {
        "truncated": content[: len(content) // 2],
        "empty": b"",
        "foreign": random.Random(0).randbytes(4096),
    }
    file.write_bytes(ends.get(how, content))


def remove(folder: str) -> None:
    """Remove a run's folder."""
    shutil.rmtree(folder)


def change_digits(folder: str) -> None:
    """Turn every training image around, in the data file of a folder."""
    path = Path(folder) / "digits.npz"
    arrays = dict(np.load(path))
    arrays["train_inputs"] = arrays["train_inputs"][:, ::-1].copy()
    np.savez_compressed(path, allow_pickle=False, **arrays)
