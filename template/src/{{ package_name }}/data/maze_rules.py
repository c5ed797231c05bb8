"""Mazes, many at once: dig, measure, judge and recognise them; cells are [L, N] or [N, L], borders are walls."""

from functools import cache

import numpy as np
from torch import Tensor

from .puzzles import GOLDEN, OPEN, Made, draws, mixed

WALL, START, GOAL, WAY = 1, 2, 3, 4  # beside OPEN, a free cell; an answer makes each of these WALL or WAY
FAR = np.int16(2**13)  # the distance of what cannot be reached


@cache
def layout(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rooms' cells [R], the walls' between two rooms [W] and the two rooms of each wall [W, 2].

    Rooms lie at odd rows and columns.
    """
    row, column = np.divmod(np.arange(size * size), size)
    inner = (row % (size - 1) > 0) & (column % (size - 1) > 0)
    rooms = np.flatnonzero(row % 2 * column % 2 * inner)
    walls = np.flatnonzero((row + column) % 2 * inner)
    step = np.where(row[walls] % 2, 1, size)  # a wall in a row of rooms stands between left and right
    return rooms, walls, np.searchsorted(rooms, np.stack([walls - step, walls + step], axis=1))


@cache
def symmetries(size: int) -> np.ndarray:
    """Return for each turn and reflection of the square where every cell comes from [8, L]."""
    turned = [np.rot90(np.arange(size * size).reshape(size, size), quarter) for quarter in range(4)]
    return np.stack([cells.ravel() for grid in turned for cells in (grid, grid.T)])


def carve(orders: np.ndarray, openings: int, size: int) -> np.ndarray:
    """Open walls in random orders [W, N]: a spanning tree of the rooms (Kruskal 1956), some more; free cells [L, N]."""
    rooms, walls, sides = layout(size)
    every = np.arange(orders.shape[1])
    free = np.zeros((size * size, every.size), bool)
    free[rooms] = True
    parts = np.arange(rooms.size)[:, None].repeat(every.size, axis=1)  # rooms that are joined have one number
    for wall in orders:
        one, other = (parts[sides[wall, side], every] for side in (0, 1))
        free[walls[wall], every] = one != other
        parts = np.where(parts == other, one, parts)
    spare = np.zeros(every.size, int)
    for wall in orders[::-1]:  # the last ones that would have closed a ring
        more = ~free[walls[wall], every] & (spare < openings)
        free[walls[wall], every] |= more
        spare += more
    return free


def distances(free: np.ndarray, start: np.ndarray, size: int) -> np.ndarray:
    """Return the number of steps from a cell [N] of each grid of free cells [L, N] to all of them [L, N]."""
    found, every = np.full(free.shape, FAR), np.arange(free.shape[1])
    found[start, every] = 0
    front = (found == 0).reshape(size, size, -1)
    for step in range(1, free.shape[0]):
        near = np.zeros_like(front)
        inner = front[:-2, 1:-1] | front[2:, 1:-1] | front[1:-1, :-2] | front[1:-1, 2:]
        near[1:-1, 1:-1] = inner
        near &= (free & (found == FAR)).reshape(near.shape)
        if not near.any():
            break
        found[near.reshape(free.shape)] = step
        front = near
    return found


def solve(free: np.ndarray, start: np.ndarray, goal: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells of all shortest ways in grids of free cells [L, N] -> [L, N], and whether there is one [N].

    A way of D steps is the only one if no more than D + 1 cells lie on shortest ways.
    """
    steps = distances(free, start, size)
    length = steps[goal, np.arange(goal.size)]
    ways = free & (steps + distances(free, goal, size) == length)
    return ways, (length < FAR) & (ways.sum(0) == length + 1)


def make(bits: Tensor, size: int, openings: int) -> Made:
    """Make mazes from random numbers [B]: start and goal are rooms `size - 1` steps apart or more.

    Left out are those with no such goal, and those with several shortest ways.
    """
    rooms, walls, _ = layout(size)
    by_wall, by_start, by_goal = draws(bits, walls.size + 2 * rooms.size).split([walls.size, rooms.size, rooms.size], 1)
    free = carve(by_wall.numpy().T.argsort(axis=0, kind="stable"), openings, size)
    start = rooms[by_start.numpy().argmax(1)]
    far = distances(free, start, size)[rooms] >= size - 1
    goal = rooms[np.where(far, by_goal.numpy().T, np.iinfo(np.int64).min).argmax(0)]
    ways, single = solve(free, start, goal, size)
    tokens, every = np.where(free, OPEN, WALL), np.arange(goal.size)
    tokens[start, every], tokens[goal, every] = START, GOAL
    kept = far.any(0) & single
    mazes = tokens.T[kept]
    return mazes, solution(mazes, ways.T[kept]), orbit_keys(mazes, size)


def solution(mazes: np.ndarray, ways: np.ndarray) -> np.ndarray:
    """Fill the open cells of mazes [N, L]: WAY where a way [N, L] leads, else WALL."""
    return np.where(mazes == OPEN, np.where(ways, WAY, WALL), mazes)


def is_maze(mazes: np.ndarray, size: int) -> np.ndarray:
    """Say which cells [N, L] -> [N] have walls all around, one start and one goal."""
    grids = mazes.reshape(-1, size, size)
    shut = [(grids[:, at] == WALL).all(1) & (grids[:, :, at] == WALL).all(1) for at in (0, -1)]
    ends = [(mazes == token).sum(1) == 1 for token in (START, GOAL)]
    return np.asarray(np.logical_and.reduce([*shut, *ends, (mazes < WAY).all(1)]))


def judge(mazes: np.ndarray, solutions: np.ndarray, size: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Say what is wrong with mazes and solutions [N, L], a name to the rows [N] that have it; and their keys [N]."""
    start, goal = ((mazes == token).argmax(1) for token in (START, GOAL))
    ways, single = solve((mazes != WALL).T, start, goal, size)
    problems = {
        "is no maze": ~is_maze(mazes, size),
        "has a target that is no shortest way": (solutions != solution(mazes, ways.T)).any(1),
        "has no single shortest way": ~single,
    }
    return problems, orbit_keys(mazes, size)


def stray_cells(answers: np.ndarray, size: int) -> np.ndarray:
    """Count the cells of answers [N, L] -> [N] where no way leads on from start to goal: gaps, forks, loose ends."""
    way = answers > WALL
    grids = np.pad(way.reshape(-1, size, size), ((0, 0), (1, 1), (1, 1))).astype(int)
    near = grids[:, :-2, 1:-1] + grids[:, 2:, 1:-1] + grids[:, 1:-1, :-2] + grids[:, 1:-1, 2:]
    is_end = (answers == START) | (answers == GOAL)
    loose = near.reshape(answers.shape) != np.where(is_end, 1, 2)
    apart = distances(way.T, (answers == START).argmax(1), size).T == FAR
    return np.asarray((way & (loose | apart)).sum(1))


def orbit_keys(mazes: np.ndarray, size: int) -> np.ndarray:
    """Return a number [N] for each maze [N, L] that no symmetry changes: eight of the square, start and goal exchanged.

    It is the sum of hashes of the maze's 16 images, which are the same for all of them.
    """
    codes = mixed(np.arange(4 * size * size).reshape(-1, 4) * GOLDEN)  # [L, 4]: a number for each token at each cell
    total = np.zeros(len(mazes), np.int64)
    for places in symmetries(size):
        for tokens in (mazes, np.where(mazes >= START, START + GOAL - mazes, mazes)):
            total += mixed(codes[places, tokens].sum(1))
    return mixed(total)


def walk(mazes: np.ndarray, size: int) -> np.ndarray:
    """Answer mazes [N, L] -> [N, L]: from the start, step to the new free cell nearest to the goal, never back.

    It ends at the goal or where no new cell is free.
    """
    every, cells = np.arange(len(mazes)), np.arange(size * size)
    here, goal = (mazes == START).argmax(1), (mazes == GOAL).argmax(1)
    way = np.zeros_like(mazes, bool)
    way[every, here] = True
    to_goal = abs(cells // size - goal[:, None] // size) + abs(cells % size - goal[:, None] % size)  # [N, L]
    while True:
        around = here[:, None] + np.array([size, 1, -size, -1])  # [N, 4]: down, right, up, left
        shut = (mazes[every[:, None], around] == WALL) | way[every[:, None], around]
        cost = np.where(shut, FAR, to_goal[every[:, None], around])
        going = (here != goal) & ~shut.all(1)
        if not going.any():
            return solution(mazes, way)
        here = np.where(going, around[every, cost.argmin(1)], here)
        way[every, here] = True
