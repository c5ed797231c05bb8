"""Checkpoints: written whole or not at all, read without running code, refused when damaged."""

import os
import random
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

FORMAT_VERSION = 1
PARTS = {"format_version", "config", "model", "optimization", "trainer", "scaler", "carry", "rng", "cuda_rng"}


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint beside its place, flush it to the disk, then move it there."""
    temporary = path.with_suffix(".tmp")
    try:
        with temporary.open("wb") as file:
            torch.save({"format_version": FORMAT_VERSION, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except RuntimeError as error:  # what torch makes of a full disk
        raise OSError(f"could not write {path}: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    if os.name == "posix":  # make the rename last as well
        descriptor = os.open(path.parent, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def copy_checkpoint(source: Path, target: Path) -> None:
    """Give a checkpoint a second name that stays when the first is overwritten."""
    temporary = target.with_suffix(".tmp")
    shutil.copyfile(source, temporary)
    temporary.replace(target)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint to the CPU: tensors and plain values only, no pickled code is run.

    Raises OSError for a missing or damaged file, ValueError for another format.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 (whatever a foreign file makes torch raise, it is damaged)
        broken = f"{type(error).__name__}: {error}".splitlines()[0]
    if broken:
        raise OSError(f"{path} is damaged or no checkpoint ({broken}); previous.pt and best.pt stand beside last.pt")
    missing, version = sorted(PARTS - state.keys()), state.get("format_version")
    if version != FORMAT_VERSION or missing:
        raise ValueError(f"{path}: format version {version}, want {FORMAT_VERSION}; parts that it lacks: {missing}")
    return state


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch on every device."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 (libraries may draw from the global generator)
    torch.manual_seed(seed)
