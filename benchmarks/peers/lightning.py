"""Lightning with its features off and by default, and Fabric."""

from typing import Any

from lightning import LightningModule, Trainer
from lightning.fabric import Fabric
from torch import Tensor
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR

from benchmarks.peers import jobs, loaders
from benchmarks.peers.jobs import Data, Net


class Module(LightningModule):
    """A job as Lightning wants it."""

    def __init__(self, net: Net, *, logs: bool) -> None:
        super().__init__()
        self.net, self.logs = net, logs

    def training_step(self, batch: loaders.Named, _: int) -> Tensor:
        """Return the loss []."""
        loss = F.cross_entropy(self.net(batch["inputs"]), batch["targets"])
        if self.logs:
            self.log("loss", loss)
        return loss

    def configure_optimizers(self) -> Any:
        """Return the job's optimizer and schedule."""
        optimizer = jobs.adamw(self.net)
        schedule = {"scheduler": LambdaLR(optimizer, jobs.lr_scale), "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": schedule}


def off(net: Net, data: Data) -> None:
    """Train with everything off that can be."""
    trainer = Trainer(max_steps=jobs.NUM_STEPS, accelerator="cpu", devices=1, barebones=True)
    trainer.fit(Module(net, logs=False), loaders.endless(data))


def defaults(net: Net, data: Data) -> None:
    """Train as Lightning does if one asks for nothing, and log the loss."""
    trainer = Trainer(max_steps=jobs.NUM_STEPS, accelerator="cpu", devices=1)
    trainer.fit(Module(net, logs=True), loaders.epochs(data))


def fabric(net: Net, data: Data) -> None:
    """Train in a loop of one's own with Fabric around its parts."""
    fabric = Fabric(accelerator="cpu", devices=1)
    model, optimizer = fabric.setup(net, jobs.adamw(net))
    schedule = LambdaLR(optimizer, jobs.lr_scale)
    loader: Any = fabric.setup_dataloaders(loaders.endless(data))
    model.train()
    for batch in loader:
        fabric.backward(F.cross_entropy(model(batch["inputs"]), batch["targets"]))
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
