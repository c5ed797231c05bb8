"""The training loop in several processes, one for each device: torchrun starts them, DDP averages their gradients.

Every process takes its share of each batch's rows, so that the update is the same for any number of them. Dropout and
all else that is random in a step follows from seed, step and process. The first process alone writes.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..types import Batch, Carry, Measurement, StepOutput
from . import trainer
from .optimizer import OptimConfig

TIMEOUT = timedelta(seconds=float(os.environ.get("DISTRIBUTED_TIMEOUT", "600")))  # of a wait for another process


def connect(device: str) -> tuple[Any, str]:
    """Join the other processes of this attempt, or be alone without torchrun; return their store and kind of device.

    After a restart the store still holds the addresses of the dead: each attempt has a prefix of its own in it.
    """
    env = os.environ
    store: Any = dist.HashStore()  # type: ignore[attr-defined]  # here and below: torch does not list them
    rank, world = int(env.get("RANK", "0")), int(env.get("WORLD_SIZE", "1"))
    if "MASTER_ADDR" in env:
        ours = rank == 0 and env.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
        address = (env["MASTER_ADDR"], int(env["MASTER_PORT"]), world)
        store = dist.TCPStore(*address, is_master=ours, timeout=TIMEOUT)  # type: ignore[attr-defined]
    cuda = torch.cuda.is_available() and device in {"auto", "cuda"}
    if cuda:
        torch.cuda.set_device(int(env.get("LOCAL_RANK", "0")))
    prefix = f"attempt-{env.get('TORCHELASTIC_RESTART_COUNT', '0')}"
    attempt = dist.PrefixStore(prefix, store)  # type: ignore[attr-defined]
    backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
    dist.init_process_group(backend, store=attempt, rank=rank, world_size=world, timeout=TIMEOUT)
    return store, "cuda" if cuda else "cpu"


class Spread(nn.Module):
    """A model in evaluation: each process answers its share of a batch's rows, and gets the answers to all of them."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Answer a batch with outputs [B, ...]; its loss is not known, and says so by being NaN.

        Rows that go on from batch to batch are answered whole by each process: as some end before others, a share of
        the next batch is not what goes on with this process's carry.
        """
        if batch.starts is not None:
            whole: StepOutput = self.model(batch, carry)
            return whole
        rows, world = len(batch.index), dist.get_world_size()
        size = -(-rows // world)  # the last row fills up the last shares: all have to be of one size
        mine = (torch.arange(size, device=batch.index.device) + dist.get_rank() * size).clamp(max=rows - 1)
        outputs = self.model(batch.map(lambda part: part[mine]), None).outputs.contiguous()
        parts = [torch.empty_like(outputs) for _ in range(world)]
        dist.all_gather(parts, outputs)
        return StepOutput(outputs.new_full((), torch.nan), torch.cat(parts)[:rows], {})


class Trainer(trainer.Trainer):
    """A Trainer that does its share of every batch and agrees with the others on everything else."""

    def __init__(
        self,
        config: trainer.TrainConfig,
        model: nn.Module,
        optim: OptimConfig,
        evaluate: Callable[[nn.Module], Measurement],
        run: Any,
    ) -> None:
        self.store, self.kind = connect(config.device)
        self.rank, self.world = dist.get_rank(), dist.get_world_size()
        self.main = self.rank == 0
        if not self.main:
            logging.getLogger(__package__.partition(".")[0]).setLevel(logging.ERROR)
        super().__init__(config, self.prepare(model), optim, lambda model: evaluate(Spread(model)), run)
        self.parallel = self.wrap()
        self.forward = self.answer

    def prepare(self, model: nn.Module) -> nn.Module:
        """Return the model that the optimizer is made for."""
        return model

    def wrap(self) -> nn.Module:
        """Return the module that averages gradients over the processes."""
        assert isinstance(self.forward, nn.Module)
        return DistributedDataParallel(self.forward, gradient_as_bucket_view=True)

    def average_gradients(self, *, now: bool) -> None:
        """Let the next backward pass average gradients, or keep them to itself."""
        vars(self.parallel)["require_backward_grad_sync"] = now

    def share(self, make: Callable[[], Path], same: object) -> Path:
        """Return the run folder that the first process makes or finds; raises OSError if the data differ."""
        everybody: list[Any] = [None] * self.world
        dist.all_gather_object(everybody, same)
        if others := [rank for rank, theirs in enumerate(everybody) if theirs != everybody[0]]:
            raise OSError(f"the data of process {others[0]} differ from those of process 0; give all the same files")
        made: list[Any] = [None]
        if self.main:
            made = [self.find(make)]
            self.store.set("run", str(made[0]))
        dist.broadcast_object_list(made)
        return Path(made[0])

    def find(self, make: Callable[[], Path]) -> Path:
        """Return the folder that `make` makes; that of the run which a restart or the same command finds there."""
        again = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0" and self.store.check(["run"])
        folder = Path(self.store.get("run").decode() if again else self.config.out)
        there = (folder / "last.pt").exists()
        if again and there:
            return folder
        try:
            return make()
        except ValueError:  # the folder is in use: a queue may start the same command again and again
            if not there:
                raise
            return folder

    def fit(self, batches: Iterable[Batch], folder: Path, write: trainer.Write, save: trainer.Write) -> None:
        """Train on this process's rows of the batches; all processes but the first end here."""
        sampler: Any = getattr(batches, "sampler")  # noqa: B009 (only a DataLoader can be shared)
        if sampler.batch_size < self.world:
            raise ValueError(
                f"data.batch_size: got {sampler.batch_size}, want a row for each of {self.world} processes"
            )
        sampler.rank, sampler.world, self.rows_of_all = self.rank, self.world, sampler.batch_size
        try:
            dist.barrier()  # no process looks for a checkpoint after the first one has begun to write
            super().fit(batches, folder, write if self.main else lambda *_: None, save)
            self.close()
        except RuntimeError as error:
            if "gloo" not in str(error) and not isinstance(error, dist.DistError):
                raise
            raise OSError(f"another process is gone or hangs, in step {self.step + 1}: {error}") from error
        if not self.main:
            os._exit(self.heard[0] if self.heard else 0)  # at once: threads of torch that still end would abort it

    def close(self) -> None:
        """Leave the others, when all are done."""
        dist.barrier()
        dist.destroy_process_group()

    def fetch(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, ...]]:
        """Pass on batches; from now on a signal counts when all have agreed on it."""
        self.told, self.heard = self.heard, list[int]()
        return super().fetch(batches)

    def backward(self, batches: tuple[Batch, ...]) -> tuple[Tensor, list[Carry]]:
        """Add up this process's gradients, and average them over all with the last batch."""
        seed = np.random.SeedSequence((self.config.seed, self.step, self.rank)).generate_state(1, np.uint32)
        torch.manual_seed(int(seed[0]))
        self.to_come = len(batches)
        return super().backward(batches)

    def answer(self, batch: Batch, carry: Carry) -> StepOutput:
        """Answer a share of a batch; the mean over processes of its loss is the mean over all rows."""
        self.to_come -= 1
        self.average_gradients(now=self.to_come == 0)
        output: StepOutput = self.parallel(batch, carry)
        if (share := len(batch.index) * self.world / self.rows_of_all) != 1:
            output.loss = output.loss * share
        return output

    def divide(self, batches: tuple[Batch, ...]) -> None:
        """Give up: the others could not know that this process needs more turns."""
        rows = len(batches[0].index)
        raise MemoryError(f"out of memory in step {self.step + 1} with {rows} rows in a process; lower data.batch_size")

    def after_step(self) -> None:
        """Agree on whether a signal came, then log, evaluate and save when it is time."""
        status = torch.tensor(self.told[0] if self.told else 0)
        dist.all_reduce(status, dist.ReduceOp.MAX)
        if status:
            self.heard.append(int(status))
        super().after_step()

    def agree(self) -> None:
        """Give all processes the means of what each has measured; to agree twice changes nothing."""
        for name, values in self.recent.items():
            mean = torch.stack(values).double()  # in which the mean of equal numbers is that number
            dist.all_reduce(mean)
            self.recent[name] = [*(mean / self.world).to(values[0].dtype)]

    def look(self, *, log: bool) -> None:
        """Read the means over all processes, and where one is not finite the rows of all."""
        self.agree()
        if not all(bool(torch.stack(values).isfinite().all()) for values in self.recent.values()):
            everybody: list[Any] = [None] * self.world
            dist.all_gather_object(everybody, [torch.cat(group).cpu() for group in self.rows])
            self.rows = [[*parts] for parts in zip(*everybody, strict=True)]
        super().look(log=log)

    def save(self, *, best: bool = False) -> None:
        """Let the first process write; a process that fails alone leaves the last checkpoint as it is."""
        if sys.exception() is None:
            self.agree()
            self.carries_of_all: list[Carry] = [None] * self.world
            if self.carries != [None]:
                dist.all_gather_object(self.carries_of_all, self.carries[0])
            if self.main:
                super().save(best=best)
            self.saved = self.step

    def state_dict(self) -> dict[str, Any]:
        """Return everything that an exact resume needs, with the carries of all processes."""
        return {**super().state_dict(), "carries": self.carries_of_all}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where a checkpoint was written, by as many processes or, where nothing is carried, by any number."""
        count = len(state["carries"])
        if count != self.world and any(carry is not None for carry in state["carries"]):
            raise ValueError(f"what {count} processes carry cannot be given to {self.world}; start as many")
        mine = state["carries"][self.rank] if count == self.world else None
        super().load_state_dict({**state, "carries": [mine]})
