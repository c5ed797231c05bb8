"""DataLoaders in the order of the job: fast ones, which every peer is given, and torch's default."""

from collections.abc import Iterator
from itertools import count
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, TensorDataset

from benchmarks.peers import jobs
from benchmarks.peers.jobs import Data

Named = dict[str, Tensor]  # inputs [B, ...] and targets [B]


class Batches(Dataset[Named]):
    """Rows taken a whole batch at a time."""

    def __init__(self, data: Data) -> None:
        self.data = data

    def __getitems__(self, rows: Tensor) -> Named:
        """Take the rows of these numbers [B]."""
        inputs, targets = self.data
        return {"inputs": inputs.index_select(0, rows), "targets": targets.index_select(0, rows)}


class Endless(Sampler[Tensor]):
    """The row numbers [B] of batch after batch."""

    def __init__(self, data: Data) -> None:
        self.data = data

    def __iter__(self) -> Iterator[Tensor]:
        yield from jobs.batch_rows(self.data)


class Epochs(Sampler[Tensor]):
    """The row numbers [B] of an epoch's batches; each time it is asked, of the next epoch's."""

    def __init__(self, data: Data) -> None:
        self.num_rows, self.numbers = len(data.inputs), count()

    def __iter__(self) -> Iterator[Tensor]:
        yield from jobs.epoch_order(self.num_rows, next(self.numbers)).split(self.num_rows // jobs.EPOCH)

    def __len__(self) -> int:
        return jobs.EPOCH


class Rows(Sampler[int]):
    """The row numbers of an epoch, one by one; each time it is asked, of the next epoch."""

    def __init__(self, data: Data) -> None:
        self.num_rows, self.numbers = len(data.inputs), count()

    def __iter__(self) -> Iterator[int]:
        yield from jobs.epoch_order(self.num_rows, next(self.numbers)).tolist()

    def __len__(self) -> int:
        return self.num_rows


def endless(data: Data) -> DataLoader[Named]:
    """Return a loader without epochs: nothing is begun anew."""
    return whole(data, Endless(data))


def epochs(data: Data) -> DataLoader[Named]:
    """Return a loader that ends with each epoch."""
    return whole(data, Epochs(data))


def whole(data: Data, order: Any) -> DataLoader[Named]:
    """Return a loader of whole batches, which need no collating."""
    return DataLoader(Batches(data), batch_sampler=order, collate_fn=itself)


def usual(data: Data) -> DataLoader[tuple[Tensor, ...]]:
    """Return what most scripts have: rows that are collated one by one."""
    return DataLoader(TensorDataset(*data), batch_size=len(data.inputs) // jobs.EPOCH, sampler=Rows(data))


def itself(batch: Any) -> Any:
    """Return a batch as it came."""
    return batch
