"""Tables of which a class is to be predicted: 4,331 jobs of a computing cluster lie in the package itself."""

from pathlib import Path
from typing import Literal

from pydantic import NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor

from ..types import STRICT, Split
from .columns import Table, open_table, read_table
from .loader import read_manifest


@dataclass(frozen=True, kw_only=True, config=STRICT)
class LabelledTableConfig:
    """Settings of a table with a class in each row's target."""

    task = "tabular_classification"
    kind: Literal["labelled_table"] = "labelled_table"
    folder: str = ""  # folder with <name>.npz, <name>_test.npz and manifest.json; empty: the package's own
    batch_size: PositiveInt = 64
    workers: NonNegativeInt = 0  # processes that prepare batches; 0 prepares them in the training process

    @property
    def root(self) -> Path:
        """The folder with the data files and their manifest."""
        return Path(self.folder or Path(__file__).parent / "jobs")

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes, in the order of their numbers."""
        return tuple(read_manifest(self.root)["target"]["values"])

    def build(self, split: Split, *, augment: bool = False, num_rows: int | None = None) -> Table:
        """Open one split, or its first rows, with the number of a class as target [N]."""
        table = open_table(self.root, split, num_rows)
        table.targets = table.targets.long()
        return table

    def read(self, path: Path) -> Tensor:
        """Read inputs [B, F] from a .csv file whose first line names the columns."""
        return read_table(path, read_manifest(self.root)["columns"])
