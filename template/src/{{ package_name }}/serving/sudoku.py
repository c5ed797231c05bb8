"""Sudoku as rows: the cells of a board as characters, which may not break the rules yet."""

from typing import Any

from pydantic import BaseModel, Field

from ..data.sudoku_rules import layout
from .rows import make, text_of
from .stored import Stored


def row(data: Stored) -> type[BaseModel]:
    """Return what one input is: a board, row by row, and whether its steps are wanted."""
    symbols, size = data.symbols, data.size

    def whole(text: str) -> str:
        """Return the cells without what stands between them, `.` where one is open; refuse what is no board."""
        cells = "".join(text.split()).replace("0", symbols[0])
        if len(cells) != size**2 or not {*cells} <= {*symbols}:
            raise ValueError(f"got {text[:90]!r}, want {size**2} of {symbols}, row by row")
        return lawful(cells, size)

    return make(
        {"puzzle": symbols[1] + symbols[0] * (size**2 - 1), "steps": False},
        puzzle=text_of(whole, f"{size**2} of {symbols}, row by row; {symbols[0]} or 0 is open"),
        steps=(bool, Field(default=False, strict=True, description="also answer what the model said at each step")),
    )


def lawful(cells: str, size: int) -> str:
    """Refuse a board in which a row, column or box has a digit twice."""
    for number, unit in enumerate(layout(size)[0].tolist()):
        given: list[Any] = [cells[cell] for cell in unit if cells[cell].isdigit()]
        if twice := next((digit for digit in given if given.count(digit) > 1), None):
            where = f"{('row', 'column', 'box')[number // size]} {number % size + 1}"
            raise ValueError(f"{where} has {twice} twice, want each digit once in every row, column and box")
    return cells
