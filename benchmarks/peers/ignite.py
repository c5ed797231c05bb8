"""Ignite's engine around a step."""

from ignite.engine import Engine
from torch import Tensor
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR

from benchmarks.peers import jobs, loaders
from benchmarks.peers.jobs import Data, Net


def engine(net: Net, data: Data) -> None:
    """Train in an Engine, without handlers."""
    optimizer = jobs.adamw(net)
    schedule = LambdaLR(optimizer, jobs.lr_scale)

    def step(_: Engine, batch: loaders.Named) -> Tensor:
        loss = F.cross_entropy(net(batch["inputs"]), batch["targets"])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        return loss.detach()

    net.train()
    Engine(step).run(loaders.endless(data), max_epochs=1, epoch_length=jobs.NUM_STEPS)
