"""Mazes as rows: the cells of a board as characters, with walls all around, a start and a goal."""

import numpy as np
from pydantic import BaseModel, Field

from ..data.maze_rules import WAY, is_maze
from .rows import make, text_of
from .stored import Stored


def row(data: Stored) -> type[BaseModel]:
    """Return what one input is: a maze, row by row, and whether its steps are wanted."""
    symbols, size = data.symbols[:WAY], data.size

    def whole(text: str) -> str:
        """Return the cells without what stands between them; refuse what is no maze."""
        cells = "".join(text.split())
        if len(cells) != size**2 or not {*cells} <= {*symbols}:
            raise ValueError(f"got {text[:90]!r}, want {size**2} of {symbols}, row by row")
        if not is_maze(np.array([[symbols.index(cell) for cell in cells]]), size).all():
            raise ValueError("want a maze with walls # all around, one start S and one goal G")
        return cells

    return make(
        {"puzzle": example(symbols, size), "steps": False},
        puzzle=text_of(whole, f"{size**2} of {symbols}, row by row: free, wall, start, goal"),
        steps=(bool, Field(default=False, strict=True, description="also answer what the model said at each step")),
    )


def example(symbols: str, size: int) -> str:
    """Return a maze of one way, from corner to corner, between walls."""
    free, wall, start, goal = [*symbols]
    inner = [wall + free + wall * (size - 2)] * (size - 3)
    first, last = wall + start + wall * (size - 2), wall + free * (size - 3) + goal + wall
    return "".join([wall * size, first, *inner[1:], last, wall * size])
