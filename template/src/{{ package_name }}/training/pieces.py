"""Reads a checkpoint in pieces as one that somebody else may have made: checked bit by bit, and never run as code.

torch keeps the list of the pieces as a pickle, which could call anything, and does not look at the pieces' checksums.
"""

import io
import pickle
import zipfile
from dataclasses import is_dataclass
from enum import Enum
from pathlib import Path
from typing import IO, Any

import torch
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.metadata import Metadata, StorageMeta, TensorStorageMetadata

TABLES = {f"torch.distributed.checkpoint.{name}" for name in ("metadata", "filesystem")}
NAMES = {("torch", "Size"), ("torch.serialization", "_get_layout")}
PATHS = {(module, name) for module in ("pathlib", "pathlib._local") for name in ("PosixPath", "WindowsPath")}


class Unpickler(pickle.Unpickler):
    """Makes what a list of pieces is made of, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a plain class of that list; raises UnpicklingError for all else."""
        if module == "torch" or module in TABLES or (module, name) in NAMES | PATHS:
            found = super().find_class(module, name)
            plain = isinstance(found, type) and (is_dataclass(found) or issubclass(found, Enum))
            if (module, name) in NAMES | PATHS or isinstance(found, torch.dtype) or (plain and module in TABLES):
                return found
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a list of pieces")


class PieceReader(FileSystemReader):
    """A reader of pieces that trusts neither their list nor their bits."""

    def read_metadata(self, *_: Any, **__: Any) -> Metadata:
        """Read the list of the pieces; all have to be tensors, as torch would unpickle others without a check."""
        with Path(self.path, ".metadata").open("rb") as file:
            metadata = Unpickler(file).load()
        if not isinstance(metadata, Metadata):
            raise pickle.UnpicklingError(f"{type(metadata).__name__} is no list of pieces")
        if others := [k for k, v in metadata.state_dict_metadata.items() if not isinstance(v, TensorStorageMetadata)]:
            raise pickle.UnpicklingError(f"{others[0]} is no tensor")
        metadata.storage_meta = metadata.storage_meta or StorageMeta()
        metadata.storage_meta.load_id = self.load_id
        return metadata

    def _slice_file(self, file: IO[bytes], sinfo: Any) -> IO[bytes]:
        """Return the part of a file that holds a tensor; raises BadZipFile if a bit of it has changed."""
        piece = io.BytesIO(super()._slice_file(file, sinfo).read(sinfo.length))
        with zipfile.ZipFile(piece) as archive:
            if broken := archive.testzip():
                raise zipfile.BadZipFile(f"{sinfo.relative_path}: {broken} has changed")
        piece.seek(0)
        return piece
