"""Sudoku's rules on many grids at once: solve, fill, dig, judge, recognise; cells [L, N] hold the digits that fit."""

from functools import cache

import numpy as np
from torch import Tensor

from .puzzles import GOLDEN, Made, draws, mixed

BOXES = {4: (2, 2), 6: (2, 3), 9: (3, 3)}  # rows and columns of a box by a grid's size
ROUNDS = 4  # after which a cell's colour has heard of the whole grid
NONE = 127  # more digits than any cell has
WIDTH = 4096  # branches of a search that are followed together


@cache
def layout(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells of each row, column and box [3 * size, size], and each cell's three of these [3, L]."""
    high, wide = BOXES[size]
    row, column = np.divmod(np.arange(size * size), size)
    homes = np.stack([row, size + column, 2 * size + row // high * high + column // wide])
    return np.stack([np.flatnonzero((homes == unit).any(0)) for unit in range(3 * size)]), homes


def tally(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the digits that stand at least once, and at least twice, in each unit: [U, S, N] -> [U, N] both."""
    once, twice = np.zeros_like(cells[:, 0]), np.zeros_like(cells[:, 0])
    for cell in cells.swapaxes(0, 1):
        twice |= once & cell
        once |= cell
    return once, twice


def propagate(cells: np.ndarray, size: int) -> np.ndarray:
    """Rule out digits [L, N] until nothing follows: a cell's only digit, a digit's only cell; 0 if it cannot be."""
    units, homes = layout(size)
    while True:
        single = np.where(cells & (cells - 1), 0, cells)
        (taken, clash), (once, twice) = tally(single[units]), tally(cells[units])
        only = once & ~twice
        left = np.where(single, cells, cells & ~(taken[homes[0]] | taken[homes[1]] | taken[homes[2]]))
        hidden = left & (only[homes[0]] | only[homes[1]] | only[homes[2]])
        left = np.where(hidden, hidden, left)
        left[:, clash.any(0) | (once != (1 << size) - 1).any(0)] = 0
        if np.array_equal(left, cells):
            return left
        cells = left


def most_constrained(cells: np.ndarray, least: int = 2, most: int = 9) -> tuple[np.ndarray, np.ndarray]:
    """Return each grid's cell [N] with the fewest digits, `least` to `most`, the first of equals; is there one [N]?"""
    numbers = np.bitwise_count(cells).astype(np.int8)
    numbers[(numbers < least) | (numbers > most)] = NONE
    return (cell := numbers.argmin(0)), numbers[cell, np.arange(cells.shape[1])] < NONE


def count_solutions(cells: np.ndarray, size: int, most: int = 1) -> np.ndarray:
    """Count the choices of digits that keep the rules, up to `most`: grids [L, N] -> [N], the latest branches first."""
    owners, found = np.arange(cells.shape[1]), np.zeros(cells.shape[1], int)
    while owners.size:
        going = owners[-WIDTH:]
        useful = found[going] < most
        going, now = going[useful], propagate(cells[:, -WIDTH:][:, useful], size)
        owners, cells = owners[:-WIDTH], cells[:, :-WIDTH]
        cell, is_open = most_constrained(now)
        alive = now.any(0)
        np.add.at(found, going[alive & ~is_open], 1)
        split = alive & is_open
        going, one, cell = going[split], now[:, split], cell[split]
        at, other = (cell, np.arange(going.size)), one.copy()
        one[at] &= -one[at]  # its lowest digit, or one of the others
        other[at] &= ~one[at]
        owners, cells = np.concatenate([owners, going, going]), np.concatenate([cells, one, other], axis=1)
    return found.clip(max=most)


def fill(bits: Tensor, size: int) -> np.ndarray:
    """Return random full grids [L, N] for random numbers [N]: guess, start anew where a guess fails."""
    grids = np.zeros((size * size, len(bits)), np.int16)
    cells, owners = np.full_like(grids, (1 << size) - 1), np.arange(len(bits))
    while owners.size:
        cells = propagate(cells, size)
        cells[:, ~cells.any(0)] = (1 << size) - 1
        cell, going = most_constrained(cells)
        grids[:, owners[~going]] = cells[:, ~going]
        cells, owners, cell = cells[:, going], owners[going], cell[going]
        bits = mixed(bits[going] + GOLDEN)
        at = (cell, np.arange(owners.size))
        fits = cells[at] >> np.arange(size)[:, None] & 1  # [size, N]
        liking = np.where(fits, draws(bits, size).numpy().T, np.iinfo(np.int64).min)
        cells[at] = 1 << liking.argmax(0)
    return grids


def dig(grids: np.ndarray, orders: np.ndarray, fewest: np.ndarray, size: int) -> np.ndarray:
    """Empty full grids [L, N] cell by cell while one solution is left, down to `fewest` [N]; say what stays given."""
    given = np.ones_like(grids, bool)
    for order in orders:
        wide = np.flatnonzero(given.sum(0) > fewest)
        at = (order[wide], np.arange(wide.size))
        cells = np.where(given[:, wide], grids[:, wide], (1 << size) - 1)
        cells[at] = (1 << size) - 1 & ~grids[order[wide], wide]  # is there a solution with another digit here?
        spare = wide[count_solutions(cells.astype(np.int16), size) == 0]
        given[order[spare], spare] = False
    return given


def orbit_keys(grids: np.ndarray, given: np.ndarray, size: int) -> np.ndarray:
    """Return a number [N] for each full grid and its given cells [L, N] that no symmetry of Sudoku changes.

    Colours are refined (Weisfeiler and Leman 1968): a cell's next colour follows from its own and from the sums over
    its row, column and box and over the cells with its digit. No sum knows an order or a digit's name, and none tells
    rows from columns. Boxes that are not square are left out: transposition makes others of them.
    """
    square = BOXES[size][0] == BOXES[size][1]
    units, homes = (part[: len(part) if square else len(part) // 3 * 2] for part in layout(size))
    kinds = np.array([1, 1, 3]).repeat(size)[: len(units), None]
    colours = given.astype(np.int64)
    for _ in range(ROUNDS):
        spread = mixed(colours + GOLDEN)
        sums = mixed(spread[units].sum(1) + kinds * GOLDEN)  # [units, N]
        colours = 3 * spread + sums[homes].sum(0)
        for digit in range(size):
            has = grids == 1 << digit
            colours += has * mixed((spread * has).sum(0))
    return np.asarray(mixed(mixed(colours).sum(0)))


def broken_units(grids: np.ndarray, size: int) -> np.ndarray:
    """Count the rows, columns and boxes of digits [N, L] -> [N] that do not have each digit once."""
    seen = np.bitwise_or.reduce((1 << grids.T)[layout(size)[0]], axis=1)  # [3 * size, N]
    return np.asarray((seen != (2 << size) - 2).sum(0))


def judge(puzzles: np.ndarray, solutions: np.ndarray, size: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Say what is wrong with puzzles and solutions [N, L], a name to the rows [N] that have it; and their keys [N]."""
    given = (puzzles > 0).T
    wrong = broken_units(solutions, size) > 0
    wrong |= (given.T & (puzzles != solutions)).any(1)
    cells = np.where(given, 1 << (puzzles.T - 1).clip(0), (1 << size) - 1).astype(np.int16)
    several = count_solutions(cells, size, most=2) > 1
    keys = orbit_keys(1 << (solutions.T - 1), given, size)
    return {"has a target that is no solution": wrong, "has several solutions": several}, keys


def guess(puzzles: np.ndarray, size: int, most: int = 9) -> np.ndarray:
    """Answer puzzles [N, L] -> [N, L]: the most constrained cell gets its smallest digit, again and again.

    It never goes back; a cell that no digit fits any more, or more than `most` do, stays 0.
    """
    units, homes = layout(size)
    placed = np.where(puzzles, 1 << (puzzles - 1).clip(0), 0).T
    while True:
        seen = np.bitwise_or.reduce(placed[units], axis=1)  # [L, N] -> [3 * size, N]
        free = np.where(placed, 0, ((1 << size) - 1) & ~(seen[homes[0]] | seen[homes[1]] | seen[homes[2]]))
        cell, is_open = most_constrained(free, least=1, most=most)
        if not is_open.any():
            return np.where(placed, np.bitwise_count(placed - 1).astype(np.int64) + 1, 0).T
        at = (cell, np.arange(cell.size))
        placed[at] |= np.where(is_open, free[at] & -free[at], 0)


def make(bits: Tensor, size: int, clues: tuple[int, int], *, hard: bool) -> Made:
    """Make a puzzle with one solution for each random number [B], its number of given cells drawn from a range.

    One that cannot be emptied so far keeps more cells. Left out are those above the range and, where only hard ones
    are wanted, those that are solved by filling cells which only one digit fits.
    """
    grids, (low, high) = fill(bits, size), clues
    orders = draws(mixed(bits + 1), size * size).numpy().T.argsort(axis=0, kind="stable")
    fewest = low + (mixed(bits + 2).numpy() & 0xFFFF) % (high - low + 1)
    given = dig(grids, orders, fewest, size)
    kept = np.flatnonzero(given.sum(0) <= high)
    digits = np.bitwise_count(grids - 1).T.astype(np.int64) + 1  # [N, L]
    puzzles = digits * given.T
    if hard:
        kept = kept[(guess(puzzles[kept], size, most=1) == 0).any(1)]
    return puzzles[kept], digits[kept], orbit_keys(grids[:, kept], given[:, kept], size)
