"""DataLoaders that fetch whole batches; their order is a function of seed, epoch and position."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from ..types import Batch, DataConfig, Dataset


class ShuffledBatches(Sampler[tuple[Tensor, int]]):
    """Row numbers and seed of batch after batch, without end; what an epoch leaves over is dropped."""

    def __init__(self, num_rows: int, batch_size: int, *, seed: int, position: int) -> None:
        if not num_rows:
            raise ValueError("the training split has no rows; add data")
        self.num_rows, self.batch_size = num_rows, min(batch_size, num_rows)
        self.seed, self.position = seed, position

    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        epoch, first = divmod(self.position, self.num_rows // self.batch_size)
        while True:
            seed = int(np.random.SeedSequence((self.seed, epoch)).generate_state(1, np.uint64)[0]) >> 1  # torch: signed
            order = torch.randperm(self.num_rows, generator=torch.Generator().manual_seed(seed))
            batches = order.split(self.batch_size)[first : self.num_rows // self.batch_size]
            yield from ((batch, seed ^ number) for number, batch in enumerate(batches, start=first + 1))
            epoch, first = epoch + 1, 0


def train_batches(dataset: Dataset, config: DataConfig, *, seed: int, position: int = 0) -> DataLoader[Batch]:
    """Return an endless, shuffled loader that begins after `position` batches over all epochs."""
    return DataLoader(
        dataset,  # type: ignore[arg-type]  # ours takes a whole batch of rows as its key
        sampler=ShuffledBatches(len(dataset), config.batch_size, seed=seed, position=position),
        batch_size=None,
        num_workers=config.workers,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # its own, so that the global one stays exact on resume
    )
