"""Reads what Weights & Biases writes offline: its own messages in the blocks of a LevelDB log."""

import struct
from importlib import import_module
from pathlib import Path
from typing import Any

START, BLOCK, HEADER = 7, 32768, 7
WHOLE, LAST = 1, 4  # kinds of a piece: a record in one, the end of one in several


def records(path: Path) -> list[Any]:
    """Return the records of a `.wandb` file."""
    make: Any = vars(import_module("wandb.proto.wandb_internal_pb2"))["Record"]
    data, place, text, found = path.read_bytes(), START, b"", list[Any]()
    while place + HEADER <= len(data):
        if BLOCK - place % BLOCK < HEADER:  # too little is left of a block for another piece
            place += BLOCK - place % BLOCK
            continue
        length, kind = struct.unpack("<HB", data[place + 4 : place + HEADER])
        place += HEADER + length
        text += data[place - length : place]
        if kind in {WHOLE, LAST}:
            found.append(make.FromString(text))
            text = b""
    return found
