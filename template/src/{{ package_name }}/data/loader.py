"""What all data share: loaders, whose order is a function of seed, epoch and position; the manifest they must match."""

import hashlib
import io
import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from ..types import Batch

DataConfig = Any  # settings: batch_size, workers, root, labels, build(split, augment=, num_rows=), read(a user's file)
Dataset = Any  # rows, taken a whole batch at a time: inputs, targets, len(dataset), dataset[rows [B], seed] -> Batch
TIMEOUT = 120  # seconds without a batch after which its worker is dead or hangs


class ShuffledBatches(Sampler[tuple[Tensor, int]]):
    """Row numbers (of a process: [rank::world]) and seed of batch after batch; what an epoch leaves over is dropped."""

    def __init__(self, num_rows: int, batch_size: int, *, seed: int, position: int) -> None:
        if not num_rows:
            raise ValueError("the training split has no rows; add data")
        self.num_rows, self.batch_size = num_rows, min(batch_size, num_rows)
        self.seed, self.position, self.rank, self.world = seed, position, 0, 1

    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        epoch, first = divmod(self.position, length := self.num_rows // self.batch_size)
        while True:
            seed = int(np.random.SeedSequence((self.seed, epoch)).generate_state(1, np.uint64)[0]) >> 1  # torch: signed
            order = torch.randperm(self.num_rows, generator=torch.Generator().manual_seed(seed))
            batches = order[: length * self.batch_size].view(length, -1)[first:, self.rank :: self.world]
            yield from ((batch, seed ^ n) for n, batch in enumerate(batches.unbind(), start=first + 1))
            epoch, first = epoch + 1, 0


class Batches(DataLoader[Batch]):
    """A DataLoader whose data set answers whole batches: without workers it asks it straight away."""

    def __iter__(self) -> Any:
        if self.num_workers:
            return super().__iter__()
        batches = map(self.dataset.__getitem__, self.sampler)
        return map(Batch.pin_memory, batches) if self.pin_memory else batches


def train_batches(dataset: Dataset, config: DataConfig, *, seed: int, position: int = 0) -> DataLoader[Batch]:
    """Return an endless, shuffled loader that begins after `position` batches over all epochs."""
    sampler = getattr(dataset, "order", ShuffledBatches)(len(dataset), config.batch_size, seed=seed, position=position)
    workers: Any = {"num_workers": config.workers, "timeout": TIMEOUT if config.workers else 0}
    more: Any = {"pin_memory": torch.cuda.is_available(), "generator": torch.Generator()}  # its own: exact resume
    return Batches(dataset, sampler=sampler, batch_size=None, **workers, **more)


def read_manifest(root: Path) -> dict[str, Any]:
    """Return the manifest of a data folder."""
    return dict(json.loads((root / "manifest.json").read_text("utf-8")))


def read_arrays(root: Path, name: str) -> dict[str, np.ndarray]:
    """Return the arrays of one data file; raises OSError unless its SHA-256 is the manifest's."""
    path, wanted = root / name, read_manifest(root)["files"][name]
    if (found := hashlib.sha256(content := path.read_bytes()).hexdigest()) != wanted:
        raise OSError(f"{path}: SHA-256 is {found[:12]}..., the manifest says {wanted[:12]}...; restore the file")
    return dict(np.load(io.BytesIO(content), allow_pickle=False))


def verify(root: Path) -> list[str]:
    """Return one line for each way in which a data folder breaks its manifest; none if it holds."""
    try:
        manifest = read_manifest(root)
        if (licence := manifest.get("licence", "?")) != str(licence).strip() or not licence:
            raise ValueError(f"{root}: the licence is {licence!r}, want the name of one, as in 'CC BY 4.0'")
        if "layout" in manifest:  # files of another form: `layout` names the file in this folder that verifies them
            return list(import_module(f".{manifest['layout']}", __package__).verify(root))
        arrays = {key: array for name in manifest["files"] for key, array in read_arrays(root, name).items()}
        problems = [line for split in manifest["rows"] for line in check_split(split, arrays, manifest)]
    except (OSError, ValueError, KeyError, ImportError, AttributeError) as error:
        return [f"{root}: lacks {error}" if isinstance(error, KeyError) else str(error)]
    first, inputs = dict[bytes, str](), {split: arrays[f"{split}_inputs"] for split in manifest["rows"]}
    places = ((row.tobytes(), f"{split} row {n}") for split, rows in inputs.items() for n, row in enumerate(rows))
    return problems + [f"{at} is a copy of {first[row]}" for row, at in places if first.setdefault(row, at) != at]


def check_split(split: str, arrays: dict[str, np.ndarray], manifest: dict[str, Any]) -> Iterator[str]:
    """Compare one split's arrays with the manifest's schema and row counts."""
    for name, schema in manifest["arrays"].items():
        array, shape = arrays[f"{split}_{name}"], (manifest["rows"][split], *schema["shape"])
        low, high = schema["minimum"], schema["maximum"]
        checks = {
            f"{name} are {array.shape}, want {shape}": array.shape == shape,
            f"{name} are {array.dtype}, want {schema['dtype']}": array.dtype == schema["dtype"],
            f"{name} leave {low} to {high}": bool(((array >= low) & (array <= high)).all()),
        }
        yield from (f"{split}: {problem}" for problem, holds in checks.items() if not holds)
