"""Sudoku written down anew, in the plainest way: the tests trust no rule of the package."""

from collections.abc import Iterator
from functools import cache
from itertools import permutations, product
from operator import eq

import numpy as np

BOXES = {4: (2, 2), 6: (2, 3), 9: (3, 3)}  # rows and columns


@cache
def peers(size: int) -> list[set[int]]:
    """Return for each cell the others in its row, column and box."""
    high, wide = BOXES[size]
    places = [(row, column, (row // high, column // wide)) for row, column in product(range(size), repeat=2)]
    return [
        {other for other, there in enumerate(places) if here != there and any(map(eq, here, there))} for here in places
    ]


def is_solved(solution: list[int], size: int) -> bool:
    return all(solution[cell] not in {0, *(solution[peer] for peer in near)} for cell, near in enumerate(peers(size)))


def count_solutions(puzzle: list[int], size: int) -> int:
    """Count a puzzle's solutions up to 2 by backtracking: try every digit where the fewest fit."""
    choices = {
        cell: set(range(1, size + 1)) - {puzzle[peer] for peer in peers(size)[cell]}
        for cell, digit in enumerate(puzzle)
        if not digit
    }
    if not choices:
        return 1
    cell, total = min(choices, key=lambda cell: len(choices[cell])), 0
    for digit in choices[cell]:
        total += count_solutions([*puzzle[:cell], digit, *puzzle[cell + 1 :]], size)
        if total > 1:
            break
    return min(total, 2)


def line_orders(high: int, size: int) -> list[tuple[int, ...]]:
    """Return every order of lines that keeps bands of `high` lines together."""
    bands = [tuple(range(first, first + high)) for first in range(0, size, high)]
    within = [list(permutations(band)) for band in bands]
    return [sum(lines, ()) for order in permutations(within) for lines in product(*order)]


@cache
def cell_orders(size: int) -> np.ndarray:
    """Return where the cells come from [G, L] under each symmetry of Sudoku but the digits' names."""
    (high, wide), cells = BOXES[size], np.arange(size * size).reshape(size, size)
    images = [cells[np.ix_(r, c)] for r in line_orders(high, size) for c in line_orders(wide, size)]
    return np.stack([cells.ravel() for image in images for cells in ([image, image.T] if high == wide else [image])])


def turns(size: int) -> np.ndarray:
    """Return where the cells come from [8, L] under the square's turns and reflections, transposition among them."""
    square = np.arange(size**2).reshape(size, size)
    turned = [np.rot90(square, quarter) for quarter in range(4)]
    return np.stack([cells.ravel() for grid in turned for cells in (grid, grid.T)])


def renamed(puzzles: np.ndarray) -> np.ndarray:
    """Name the digits of puzzles [N, L] anew, in the order of their first appearance."""
    every, names, number = np.arange(len(puzzles)), np.zeros((len(puzzles), 10), int), np.ones(len(puzzles), int)
    for digits in puzzles.T:
        first = (digits > 0) & (names[every, digits] == 0)
        names[every[first], digits[first]] = number[first]
        number += first
    return np.take_along_axis(names, puzzles, axis=1)


def canonical(puzzle: np.ndarray, orders: np.ndarray) -> bytes:
    """Return the least of a puzzle's [L] images under given orders of cells [G, L] and all names of digits."""
    images = renamed(puzzle[orders])
    return bytes(images[np.lexsort(images.T[::-1])[0]].tolist())


def full_grids(size: int, start: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """Go through every full grid that begins with given digits."""
    if len(start) == size**2:
        yield start
        return
    near = {start[peer] for peer in peers(size)[len(start)] if peer < len(start)}
    for digit in sorted(set(range(1, size + 1)) - near):
        yield from full_grids(size, (*start, digit))


@cache
def every_4x4() -> tuple[np.ndarray, np.ndarray]:
    """Return all 4x4 puzzles with one solution, of two grids that no symmetry joins: solutions and givens [16, N]."""
    grids = np.array(list(full_grids(4)))
    assert len(grids) == 288
    names = [canonical(grid, cell_orders(4)) for grid in grids]
    assert sorted(map(names.count, set(names))) == [96, 192]
    sets, parts = np.arange(2**16), []  # a set of cells is a number of 16 bits
    for grid in (grids[names.index(name)] for name in set(names)):
        differ = (grids != grid) @ (1 << np.arange(16))  # given cells tell another grid if they meet those that differ
        alone = np.logical_and.reduce([sets & others > 0 for others in differ if others])
        parts.append((np.repeat(grid[:, None], alone.sum(), axis=1), (sets[alone] >> np.arange(16)[:, None] & 1) > 0))
    solutions, given = (np.concatenate(part, axis=1) for part in zip(*parts, strict=True))
    return solutions, given
