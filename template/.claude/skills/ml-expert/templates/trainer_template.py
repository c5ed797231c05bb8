# copier: filter replace("my_project", package_name)
"""A training loop to begin with: the project's own, which also writes into the journal how large the weights are.

Copy it to `training/NAME.py` of the package, and train with `--train.engine NAME`. `update` is one change of the
weights; `backward` adds up the gradients; `measure` evaluates. What is not overridden stays exact on resume.
"""

import torch

from my_project.training import trainer
from my_project.types import Batch


class Trainer(trainer.Trainer):
    """Trains as the project does, and measures one thing more at each update."""

    def update(self, batches: tuple[Batch, ...]) -> None:
        """Change the weights once; the journal gets the mean of what is put into `recent` since its last line."""
        super().update(batches)
        with torch.no_grad():
            squares = torch.stack([parameter.square().sum() for parameter in self.model.parameters()])
        self.recent["weight_norm"].append(squares.sum().sqrt())
        # copier: endfilter
