# copier: filter replace("my_project", package_name)
"""Mazes have one shortest way each, no symmetry leads from split to split, and everything follows from the seed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from my_project.data.loader import read_manifest
from my_project.data.maze import MazeConfig
from my_project.data.maze_rules import orbit_keys
from my_project.types import Split

SPLITS: tuple[Split, ...] = ("train", "val", "test")
CONFIGS = [
    MazeConfig(size=7, openings=1, num_train=100, num_val=60, num_test=45),  # nearly all there are
    MazeConfig(),
    MazeConfig(size=15, openings=9, num_train=60, num_val=20, num_test=20),
    MazeConfig(size=9, openings=0, num_train=60, num_val=20, num_test=20),
]
NAMES = [f"{config.size}-{config.openings}" for config in CONFIGS]
# Beginnings of the SHA-256 of what training may see, by kind; no library's version may change them.
GOLDEN = {"7-1": "ed2a5902", "11-4": "5faba8c7", "15-9": "0d52bc20", "9-0": "2571922e"}
of_each_kind = pytest.mark.parametrize("config", CONFIGS, ids=NAMES)


def shortest_ways(maze: list[int], size: int) -> tuple[int, int, set[int]]:
    """Return how many shortest ways a maze has, their steps, and the cells of one, layer by layer from the start."""
    start, goal = maze.index(2), maze.index(3)
    ways, came, layer, steps = {start: 1}, {start: start}, {start: 1}, 0
    while goal not in ways:
        near: dict[int, int] = {}
        for cell, num in layer.items():
            for other in (cell - size, cell - 1, cell + 1, cell + size):
                if maze[other] != 1 and other not in ways:
                    near[other] = near.get(other, 0) + num
                    came[other] = cell
        ways, layer, steps = {**ways, **near}, near, steps + 1
    path = [goal]
    while path[-1] != start:
        path.append(came[path[-1]])
    return ways[goal], steps, set(path)


def drawn(maze: torch.Tensor) -> str:
    return "\n".join("".join(MazeConfig.symbols[cell] for cell in row) for row in maze.view(11, 11).tolist())


def images(grid: np.ndarray) -> list[np.ndarray]:
    """Return a square in its eight turns and reflections."""
    return [image for quarter in range(4) for image in (np.rot90(grid, quarter), np.rot90(grid, quarter).T)]


def canonical(maze: np.ndarray, size: int) -> bytes:
    """Return the least of a maze's [L] images under the square's symmetries and the exchange of start and goal."""
    exchanged = np.array([0, 1, 3, 2])[maze]
    return min(bytes(image.ravel().tolist()) for way in (maze, exchanged) for image in images(way.reshape(size, size)))


def way(target: list[int]) -> set[int]:
    return {cell for cell, label in enumerate(target) if label > 1}


@of_each_kind
def test_every_maze_has_one_shortest_way_and_it_is_the_target(config: MazeConfig) -> None:
    for split in SPLITS:
        data = config.build(split, num_rows=100)
        for maze, target in zip(data.inputs.tolist(), data.targets.tolist(), strict=True):
            number, steps, path = shortest_ways(maze, config.size)
            assert number == 1
            assert steps >= config.size - 1
            assert path == way(target)
        assert ((data.inputs == data.targets) | (data.inputs == 0)).all()
        assert torch.equal(config.hardness(data.inputs, data.targets) + 1, (data.targets > 1).sum(1))


@of_each_kind
def test_every_room_is_reached_and_the_openings_are_as_many_as_set(config: MazeConfig) -> None:
    rooms = (config.size // 2) ** 2
    for maze in config.build("train", num_rows=50).inputs.view(-1, config.size, config.size):
        free = maze != 1
        assert not free[[0, -1]].any()
        assert not free[:, [0, -1]].any()
        assert free[1::2, 1::2].all()
        assert free.sum() == rooms + rooms - 1 + config.openings
        reached = torch.zeros_like(free)
        reached[1, 1] = True
        for _ in range(config.size**2):
            spread = reached.clone()
            spread[1:] |= reached[:-1]
            spread[:-1] |= reached[1:]
            spread[:, 1:] |= reached[:, :-1]
            spread[:, :-1] |= reached[:, 1:]
            reached = spread & free
        assert torch.equal(reached, free)


@of_each_kind
def test_no_symmetry_leads_from_split_to_split(config: MazeConfig) -> None:
    found = {split: {canonical(row, config.size) for row in config.build(split).inputs.numpy()} for split in SPLITS}
    assert [len(found[split]) for split in SPLITS] == [config.num_train, config.num_val, config.num_test]
    assert not found["train"] & (found["val"] | found["test"])
    assert not found["val"] & found["test"]


@of_each_kind
def test_mazes_that_any_symmetry_joins_have_one_key(config: MazeConfig) -> None:
    for maze in config.build("val", num_rows=10).inputs.numpy():
        ways = (maze, np.array([0, 1, 3, 2])[maze])
        rows = [image.ravel() for way in ways for image in images(way.reshape(config.size, config.size))]
        assert len(set(orbit_keys(np.stack(rows), config.size).tolist())) == 1


def test_mazes_that_no_symmetry_joins_have_keys_of_their_own() -> None:
    mazes = MazeConfig(size=7, openings=0, num_train=200, num_val=80, num_test=80).build("train").inputs.numpy()
    changed = np.where(np.arange(49) == 9, 1 - mazes, mazes)[(mazes[:, 9] < 2)]  # the cell between two rooms
    keys = orbit_keys(np.concatenate([mazes, changed]), 7).tolist()
    names = [canonical(maze, 7) for maze in (*mazes, *changed)]
    assert len(set(keys)) == len(set(names)) > 200


@of_each_kind
def test_a_moved_maze_has_the_moved_way(config: MazeConfig) -> None:
    batch = config.build("train", augment=True)[torch.arange(40), 5]
    for maze, target in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        assert shortest_ways(maze, config.size)[2] == way(target)


def test_every_turn_and_reflection_is_drawn_equally_often() -> None:
    cells, numbers = torch.arange(81).expand(16_000, -1), torch.arange(16_000)
    batches = MazeConfig(size=9).build("train", augment=True)
    assert batches.move is not None
    places = batches.move(cells, cells, numbers * 0x61C8864680B583EB ^ numbers >> 5)[0]
    found, counts = places.unique(dim=0, return_counts=True)
    assert {tuple(row) for row in found.tolist()} == {
        tuple(image.ravel()) for image in images(np.arange(81).reshape(9, 9))
    }
    assert ((counts - 2000).abs() < 5 * 2000**0.5).all()


def test_training_mazes_move_and_others_stay() -> None:
    index = torch.arange(100)
    plain, mobile = MazeConfig().build("train"), MazeConfig().build("train", augment=True)
    assert torch.equal(plain[index, 1].inputs, plain.inputs[:100])
    assert 5 < (mobile[index, 1].inputs == plain.inputs[:100]).all(dim=1).sum() < 22  # one in eight
    assert 5 < (mobile[index, 1].inputs == mobile[index, 2].inputs).all(dim=1).sum() < 22


@of_each_kind
def test_a_row_is_moved_by_its_number_and_the_seed_whatever_batch_it_comes_in(config: MazeConfig) -> None:
    data, index = config.build("train", augment=True), torch.randperm(40, generator=torch.Generator().manual_seed(0))
    whole = data[index, 7]
    for parts in (index.split(16), [index[rank::3] for rank in range(3)]):
        apart = [data[part, 7] for part in parts]
        place = torch.cat([batch.index for batch in apart]).argsort()[index]  # of each row of the whole among the parts
        assert torch.equal(torch.cat([batch.inputs for batch in apart])[place], whole.inputs)
        assert torch.equal(torch.cat([batch.targets for batch in apart])[place], whole.targets)


def test_a_maze_that_is_filled_is_right_and_no_maze_of_any_split() -> None:
    config = MazeConfig(openings=2, reveal=0.5)
    batch = config.build("train", augment=True)[torch.arange(500), 3]
    assert ((batch.inputs == batch.targets) | (batch.inputs == 0)).all()
    free = (batch.inputs != 1).sum(1)
    plain = (config.build("train").inputs != 1).sum(1).unique()
    assert len(plain) == 1  # all mazes of some settings have as many free cells
    moved = MazeConfig(openings=2).build("train", augment=True)[torch.arange(500), 3].inputs
    untouched = (batch.inputs == moved).all(1)
    assert 0 < untouched.sum() < 100
    assert ((free < plain) | (batch.inputs == 4).any(1))[~untouched].all()


def test_mazes_are_those_of_before() -> None:
    sums = [read_manifest(config.root)["files"]["puzzles.npz"][:8] for config in CONFIGS]
    assert dict(zip(NAMES, sums, strict=True)) == GOLDEN


def test_a_split_does_not_depend_on_the_size_of_the_others() -> None:
    more = MazeConfig(num_train=300, num_val=400, num_test=20)
    for split in SPLITS:
        one, other = MazeConfig().build(split), more.build(split)
        num = min(len(one), len(other))
        assert torch.equal(one.inputs[:num], other.inputs[:num])


def test_another_seed_makes_other_mazes() -> None:
    assert not torch.equal(MazeConfig().build("test").inputs, MazeConfig(seed=1).build("test").inputs)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": 8}, "size 8: want an odd number from 7 to 15"),
        ({"size": 5}, "greater than or equal to 7"),
        ({"size": 17}, "less than or equal to 15"),
        ({"openings": 9}, "openings 9: want 8 at most in a maze of size 11"),
        ({"num_test": 0}, "greater than 0"),
    ],
)
def test_settings_out_of_range_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MazeConfig(**values)


def test_more_mazes_than_there_are_are_refused_with_the_number_there_is() -> None:
    config = MazeConfig(size=7, openings=1, num_train=110, num_val=20, num_test=20)
    with pytest.raises(ValueError, match="too few different puzzles: found 109 of 110 for train; want fewer rows"):
        config.build("val")


def test_the_baseline_steps_nearest_to_the_goal_and_never_back(workspace: Path) -> None:
    lines = ["#######", "#S....#", "#.###.#", "#.###.#", "#.###.#", "#..##G#", "#######"]
    (workspace / "maze.txt").write_text("\n".join(lines))
    (answer,) = CONFIGS[0].baselines(CONFIGS[0].read(workspace / "maze.txt")).values()
    steps = [[1, 1], [2, 1], [3, 1], [4, 1], [5, 1], [5, 2]]
    assert (answer.view(7, 7) > 1).nonzero().tolist() == [*steps[:5], steps[5], [5, 5]]
    assert answer.view(7, 7)[1, 2:6].tolist() == [1, 1, 1, 1]  # what it never enters is walled up


@pytest.mark.parametrize(
    ("answer", "violations"),
    [
        ("#Soooo# #####o# #####o# #####o# #####G#", 0),
        ("#So#oo# #####o# #####o# #####o# #####G#", 7),  # a gap: a loose end, and six cells that the start never meets
        ("#Soooo# #o###o# #####o# #####o# #####G#", 2),  # a fork at the start, and its loose end
        ("#Soooo# #####o# #oo##o# #oo##o# #####G#", 4),  # a ring of its own
    ],
)
def test_an_answer_breaks_the_rules_where_its_way_does_not_lead_on(answer: str, violations: int) -> None:
    cells = "#######" + answer.replace(" ", "") + "#######"
    tokens = torch.tensor([[MazeConfig.symbols.index(cell) for cell in cells]])
    assert MazeConfig(size=7, openings=0).violations(tokens).tolist() == [violations]


def test_a_users_file_is_read(workspace: Path) -> None:
    mazes = MazeConfig().build("val", num_rows=3).inputs
    (workspace / "mazes.txt").write_text("\n\n".join(map(drawn, mazes)) + "\n", "utf-8")
    assert torch.equal(MazeConfig().read(workspace / "mazes.txt"), mazes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("S", "."), "maze 1 has not walls all around, one start S and one goal G"),
        (("G", "."), "maze 1 has not walls"),
        (("G", "S"), "maze 1 has not walls"),
        (("#", "."), "maze 1 has not walls"),
        (("#", "x"), "found 121 cells of #.GSx, want 11 by 11 mazes of .#SG"),
        (("\n", "#\n"), "found 122 cells"),
    ],
)
def test_a_file_that_is_no_maze_is_refused(change: tuple[str, str], message: str, workspace: Path) -> None:
    text = drawn(MazeConfig().build("val").inputs[0])
    (workspace / "maze.txt").write_text(text.replace(*change, 1), "utf-8")
    with pytest.raises(ValueError, match=r"maze\.txt: ") as refused:
        MazeConfig().read(workspace / "maze.txt")
    assert message in str(refused.value)


def test_a_missing_file_is_refused(workspace: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.txt: found 0 cells"):
        MazeConfig().read(workspace / "none.txt")
    # copier: endfilter
