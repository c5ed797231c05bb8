"""Files and their checksums: read, compared, flushed to the disk."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

Record = dict[str, Any]
METADATA = "metadata.json"  # of a promoted version


def read(path: Path) -> Record:
    """Return what a JSON file holds."""
    return dict(json.loads(path.read_text("utf-8")))


def sha256(path: Path) -> str:
    """Return the checksum of a file of any size."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    if os.name == "posix" or path.is_file():
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


def of_checkpoint(path: Path, checksum: str, command: str) -> list[str]:
    """Return a line where a file about a checkpoint is not there, is damaged, or is about another checkpoint."""
    run = path.parents[path.parent.name == "export"]
    try:
        said = read(path).get("checkpoint_sha256")
    except (OSError, ValueError, TypeError):
        return [f"{path} is {'damaged' if path.exists() else 'not there'}; run: {command} {run}"]
    return [] if said == checksum else [f"{path} is about another checkpoint; run: {command} {run}"]


def differs(path: Path, expected: str) -> list[str]:
    """Return a line where a file is gone, or its SHA-256 is another."""
    if not path.is_file():
        return [f"{path} is gone"]
    found = sha256(path)
    return [] if found == expected else [f"{path} is damaged: SHA-256 is {found[:12]}..., was {expected[:12]}..."]
