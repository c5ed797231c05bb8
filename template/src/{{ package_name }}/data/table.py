"""Tables of which a number is to be predicted: the strength of 427 mixtures of concrete lies in the package itself."""

from pathlib import Path
from typing import Literal

from pydantic import NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor

from ..types import STRICT, Split
from .columns import Table, open_table, read_table
from .loader import read_manifest


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TableConfig:
    """Settings of a table with a number in each row's target."""

    task = "regression"
    kind: Literal["table"] = "table"
    folder: str = ""  # folder with <name>.npz, <name>_test.npz and manifest.json; empty: the package's own
    batch_size: PositiveInt = 32
    workers: NonNegativeInt = 0  # processes that prepare batches; 0 prepares them in the training process

    @property
    def root(self) -> Path:
        """The folder with the data files and their manifest."""
        return Path(self.folder or Path(__file__).parent / "concrete")

    def build(self, split: Split, *, augment: bool = False, num_rows: int | None = None) -> Table:
        """Open one split, or its first rows, with targets [N] in their own unit."""
        table = open_table(self.root, split, num_rows)
        table.targets = table.targets.float()
        return table

    def read(self, path: Path) -> Tensor:
        """Read inputs [B, F] from a .csv file whose first line names the columns."""
        return read_table(path, read_manifest(self.root)["columns"])
