"""Which method is better, and how sure that is: runs on the same rows, those that differ only in the seed as one."""

import json
import logging
import math
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from .. import run
from ..config import Config, differences
from ..data.loader import Dataset, read_arrays, read_manifest
from ..evaluation.comparison import Method, compare_methods, table, write_comparison
from ..evaluation.row_statistics import Scores, add_up
from ..types import Split

HELP = "compare runs: intervals, paired tests, several seeds of a method as one"
ALIKE = ("train.seed", "train.out", "train.device", "train.log_every", "train.monitor_layers", "train.engine")
SAME = (*ALIKE, "train.compile", "data.workers", "data.folder", "evaluation.")  # may differ within a method
STARTS = ("--init-from", "--overfit-batches")  # what a run began with, which its config does not hold
MOST_OPTIONS, CODE = 3, 7  # in a method's name: differing options; letters of a checksum

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run that was opened and measured."""

    path: str
    folder: Path
    config: Config
    manifest: dict[str, Any]
    start: tuple[str, ...]
    scores: Scores


def add_arguments(parser: ArgumentParser) -> bool:
    """Say what the command takes."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folders; the others are compared to the first")
    parser.add_argument("--split", choices=("val", "train"), default="val", help="rows to measure on; test is sealed")
    parser.add_argument(
        "--size",
        type=float,
        metavar="X",
        help="a difference worth seeing, in the figure's unit (a hundredth)",
    )
    parser.add_argument("--any-code", action="store_true", help="runs of other code are one method as well")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write (the folder of the first run)")
    return False


def main(runs: list[str], *, split: Split, size: float | None, any_code: bool, out: Path | None) -> dict[str, Any]:
    """Compare runs; write comparison.json and comparison.html and return what they say."""
    if size is not None and not 0 < size < math.inf:
        raise ValueError(f"--size: got {size}, want a finite difference above 0")
    for part in (out, *out.parents) if out else ():
        if part.exists() and not part.is_dir():
            raise ValueError(f"--out: {part} is a file, want a folder")
    for path in runs:
        read_record(path)  # before anything is measured
    opened = list[Run]()
    for number, path in enumerate(runs, start=1):
        opened.append(one := measure(path, split))
        refuse(opened[0], one)
        logger.info("%d of %d  %s: %s %.4f", number, len(runs), path, one.scores.primary, one.scores.value)
    methods = group(opened, any_code=any_code)
    if len(methods) == 1:
        raise ValueError(f"got seeds of one method only ({len(runs)}); name runs of another one as well")
    record = compare_methods(methods, split, size)
    page = write_comparison(out or opened[0].folder, record)
    for line in lay_out(table(record)):
        logger.info("%s", line)
    for sentence in record["sentences"]:
        logger.info("%s", sentence)
    logger.info("page: %s", page)
    return record


def measure(path: str, split: Split) -> Run:
    """Open a run and score its best weights, row by row; ValueError where its task has no scores."""
    config, model, checkpoint = run.open_run(Path(path))
    file = f"{config.data.task}_scores"
    try:
        module = import_module(f"..evaluation.{file}", __package__)
    except ModuleNotFoundError as error:
        raise ValueError(f"{path}: want evaluation/{file}.py, with what the figure is made of ({error})") from error
    manifest = read_record(path)
    words = [part for word in manifest["command"] for part in word.split("=", 1)]
    start = tuple(f"{a} {b}" for a, b in pairwise(words) if a in STARTS)
    scores = module.scores(model, data := config.data.build(split))
    groups = groups_of(config.data.root, data, split)
    if groups is not None and len(groups) == len(scores.totals):  # pieces are rows, not stretches or queries
        scores = add_up(scores, groups)
    parts = {"config": config, "manifest": manifest, "start": start, "scores": scores}
    return Run(path=path, folder=checkpoint.parent, **parts)


def groups_of(root: Any, data: Dataset, split: Split) -> np.ndarray | None:
    """Return the group [N] of each row of a split, where its folder has groups; rows of a group are not independent."""
    key, found = f"{split}_groups", None
    for name in read_manifest(root).get("files", ()):
        if name == f"{key}.npy":
            found = np.load(root / name, mmap_mode="r", allow_pickle=False)
        elif name.endswith(".npz") and not name.endswith("_test.npz"):
            found = read_arrays(root, name).get(key, found)
    if found is None or hasattr(data, "searches") or (rows := numbers_of(data, len(found))) is None:
        return None
    return np.asarray(found[rows])


def numbers_of(data: Dataset, count: int) -> np.ndarray | None:
    """Return the places [N] that the rows of a data set have among `count` rows of a file; None: it has others."""
    if hasattr(data, "whole"):  # it takes some rows of another one
        return None if (rows := numbers_of(data.whole, count)) is None else rows[data.rows.numpy()]
    own = getattr(data, "numbers", None)
    return own if own is not None or len(data) != count else np.arange(count)


def read_record(path: str) -> dict[str, Any]:
    """Return the manifest beside the best weights of a run; ValueError where there is none."""
    file = run.checkpoint_path(Path(path), "best.pt").with_name("manifest.json")
    try:
        return dict(json.loads(file.read_text("utf-8")))
    except (FileNotFoundError, ValueError) as error:
        want = "want a run folder with the manifest that `train` wrote, which says of what code and data it is"
        raise ValueError(f"{path}: {file} is not there or damaged ({error}); {want}") from error


def refuse(first: Run, other: Run) -> None:
    """Raise ValueError unless two runs answered the same rows of the same data in the same task."""
    sides = [(one.config.data.task, one.scores.primary) for one in (first, other)]
    if sides[0] != sides[1]:
        (task, primary), (theirs, another) = sides
        raise ValueError(f"{first.path} is {task} by {primary}, {other.path} {theirs} by {another}: want one task")
    files = [one.manifest["data"]["files"] for one in (first, other)]
    if changed := sorted(name for name in files[0] | files[1] if files[0].get(name) != files[1].get(name)):
        raise ValueError(f"{first.path} and {other.path} have other data: {', '.join(changed)}; want runs of the same")
    ours, theirs = first.scores, other.scores
    if ours.truth != theirs.truth or not np.array_equal(ours.counts, theirs.counts):
        raise ValueError(f"{first.path} and {other.path} were measured on other rows; want the same options of data")


def group(opened: list[Run], *, any_code: bool) -> list[Method]:
    """Return methods in the order of their first runs: runs that differ in nothing but the seed, each seed once."""
    groups = list[list[Run]]()
    for one in opened:
        fitting = (g for g in groups if alike(g[0], one, any_code=any_code) and seed(one) not in map(seed, g))
        if own := next(fitting, None):
            own.append(one)
        else:
            groups.append([one])
    names = list[str]()
    for place, runs in enumerate(groups):
        names.append(name(runs[0], [earlier[0] for earlier in groups[:place]], names))
    return [
        Method(name=title, runs=[one.path for one in g], seeds=[*map(seed, g)], scores=[one.scores for one in g])
        for title, g in zip(names, groups, strict=True)
    ]


def seed(one: Run) -> int:
    """Return the seed of a run."""
    return one.config.train.seed


def alike(one: Run, other: Run, *, any_code: bool) -> bool:
    """Whether two runs are of one method: the same options that matter, the same code and beginning."""
    same_code = any_code or one.manifest["code"]["sha256"] == other.manifest["code"]["sha256"]
    return same_code and one.start == other.start and not [*changes(one, other)]


def changes(one: Run, other: Run) -> Iterator[str]:
    """Yield the options that matter and are not equal, with the values of the second run."""
    for option, (_, value) in differences(one.config, other.config).items():
        if not option.startswith(SAME):
            yield f"{option} {'none' if value is None else value}"


def name(one: Run, earlier: list[Run], taken: list[str]) -> str:
    """Return a name for the method of a run: its preset's, with what is different from the first of that name."""
    title, code = one.config.name, one.manifest["code"]["sha256"][:CODE]
    if before := next((other for other in earlier if other.config.name == title), None):
        options = [*changes(before, one)]
        more = [f"and {len(options) - MOST_OPTIONS} more"] if len(options) > MOST_OPTIONS else []
        other_code = [] if before.manifest["code"]["sha256"].startswith(code) else [f"code {code}"]
        other_start = [word.removeprefix("--") for word in one.start if one.start != before.start]
        said = ", ".join([*options[:MOST_OPTIONS], *more, *other_code, *other_start])
        title += f" ({said})" if said else ""
    if title not in taken:
        return title
    return next(f"{title} ({n})" for n in range(2, len(taken) + 3) if f"{title} ({n})" not in taken)


def lay_out(rows: list[list[str]]) -> list[str]:
    """Return the rows of a table as lines, in columns: names to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
