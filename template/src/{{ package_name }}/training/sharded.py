"""The distributed loop with the weights themselves divided among the processes: FSDP2, and checkpoints in pieces.

A checkpoint is a folder that every process writes its own piece into, while training goes on; `last.pt` and
`previous.pt` are links to the two newest whole ones. `best.pt` is an ordinary file with all the weights.
"""

import shutil
import sys
from concurrent.futures import Future
from pathlib import Path
from threading import Lock
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.checkpoint import state_dict_loader, state_dict_saver
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor

from . import distributed
from .pieces import PieceReader
from .storage import link, load_checkpoint


class Trainer(distributed.Trainer):
    """A distributed Trainer whose weights, gradients and averages are divided among the processes."""

    written: tuple[Future[Any], Path] | None = None  # the checkpoint that is being written

    def prepare(self, model: nn.Module) -> nn.Module:
        """Divide the weights, block by block, so that one block at a time is whole."""
        mesh = init_device_mesh(self.kind, (self.world,))
        lists = [module for module in model.to(self.kind).modules() if isinstance(module, nn.ModuleList)]
        for module in (*(block for blocks in lists for block in blocks), model):
            fully_shard(module, mesh=mesh, reshard_after_forward=True)
        self.publishing = Lock()
        self.writers: Any = dist.new_group(backend="gloo")  # on the group of the training both would wait for ever
        return model

    def wrap(self) -> nn.Module:
        """Return the model: it averages gradients itself."""
        return self.model

    def average_gradients(self, *, now: bool) -> None:
        """Let the next backward pass average gradients, or keep them to itself."""
        assert isinstance(self.model, FSDPModule)
        self.model.set_requires_gradient_sync(now)

    def agree(self) -> None:
        """Give all processes the means of what each has measured; a norm of divided gradients is whole already."""
        self.recent.update({name: [whole(value) for value in values] for name, values in self.recent.items()})
        super().agree()

    def pieces(self) -> dict[str, Any]:
        """Return what the processes hold in pieces."""
        tensors = {key: value for key, value in self.optimization.state_dict().items() if isinstance(value, dict)}
        return {"model": get_model_state_dict(self.model), "optimization": tensors}

    def save(self, *, best: bool = False) -> None:
        """Begin to write a checkpoint; it becomes last.pt as soon as it is whole."""
        if sys.exception() is not None:
            return
        if not whole(torch.nn.utils.get_total_norm(self.model.parameters())).isfinite():
            raise FloatingPointError(f"a weight is no longer finite in step {self.step}; last.pt is from before")
        self.agree()
        target = self.folder / f"step-{self.step:08}"
        if self.saved != self.step:
            self.complete()
            self.carries_of_all = [None] * self.world
            if self.carries != [None]:
                dist.all_gather_object(self.carries_of_all, self.carries[0])
            if self.main:
                shutil.rmtree(target, ignore_errors=True)
                target.mkdir()
                self.save_checkpoint(target / "state.pt", self.whole_state({}, {}))
            dist.barrier()
            future = state_dict_saver.async_save(self.pieces(), checkpoint_id=target, process_group=self.writers)
            assert isinstance(future, Future)
            self.written, self.saved = (future, target), self.step
            future.add_done_callback(self.publish)
        if best:
            options = StateDictOptions(full_state_dict=True, cpu_offload=True)
            weights = get_model_state_dict(self.model, options=options)
            averages = {name: whole(value).cpu() for name, value in self.optimization.averages.items()}
            if self.main:
                self.save_checkpoint(target / "best.pt", self.whole_state(weights, averages))
                link(target / "best.pt", self.folder / "best.pt")

    def whole_state(self, weights: dict[str, Any], averages: dict[str, Any]) -> dict[str, Any]:
        """Return the state with these weights and averages, and without AdamW's moments."""
        state = self.state_dict()
        own = {key: value for key, value in state["optimization"].items() if not isinstance(value, dict)}
        return {**state, "model": weights, "optimization": {**own, "averages": averages}}

    def complete(self) -> None:
        """Wait until the checkpoint that is being written is whole and is last.pt."""
        if self.written:
            future, _ = self.written
            future.result()
            dist.barrier()
            self.publish(future)
            with self.publishing:
                self.written = None

    def publish(self, future: Future[Any]) -> None:
        """Call what has been written last.pt; the thread that wrote it does so, or whoever waited for it."""
        with self.publishing:
            if not self.main or not self.written or self.written[0] is not future or future.exception():
                return
            _, target = self.written
            last, before = target.with_name("last.pt"), target.with_name("previous.pt")
            if last.is_symlink() and last.readlink() != Path(target.name):
                point(before, last.readlink())
            point(last, Path(target.name))
            kept = {link.readlink().name for link in (last, before) if link.is_symlink()}
            for old in target.parent.glob("step-*"):
                if old.name not in kept:
                    shutil.rmtree(old)

    def close(self) -> None:
        """Finish the last checkpoint, then leave the others."""
        self.complete()
        super().close()

    @staticmethod
    def read(path: Path) -> dict[str, Any]:
        """Read what is not divided; `load_state_dict` reads the pieces."""
        if not (path / ".metadata").is_file():
            other = "other runs go on with --train.engine auto"
            raise OSError(f"{path} is not a whole folder of this engine; {other}{hint(path)}")
        return {**load_checkpoint(path / "state.pt"), "path": path}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where a checkpoint was written, by any number of processes."""
        pieces = self.pieces()
        try:
            state_dict_loader.load(pieces, storage_reader=PieceReader(state["path"]))
        except (Exception, CheckpointException) as error:
            first = next(iter(error.failures.values()))[0] if isinstance(error, CheckpointException) else error
            raise OSError(f"{state['path']} is damaged ({first}){hint(state['path'])}") from error
        optimization = {**state["optimization"], **pieces["optimization"]}
        super().load_state_dict({**state, "model": pieces["model"], "optimization": optimization})


def hint(path: Path) -> str:
    """Say how to go on without a checkpoint that cannot be read."""
    before = path.with_name("previous.pt")
    return f"; go on from the one before: train --resume {before}" if before.exists() and before != path else ""


def whole(value: torch.Tensor) -> torch.Tensor:
    """Return all of a tensor [...] that may be divided among the processes."""
    return value.full_tensor() if isinstance(value, DTensor) else value


def point(name: Path, target: Path) -> None:
    """Let a link point to another folder, in one move."""
    temporary = name.with_suffix(".link")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target, target_is_directory=True)
    temporary.replace(name)
