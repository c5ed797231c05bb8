"""What is left of old tasks after new ones: trains one set of classes after the other, without and with replay."""

import logging
from argparse import ArgumentParser
from itertools import chain
from pathlib import Path
from typing import Any

from .. import run as commands
from ..config import DEFAULT_PRESET, Config, from_dict, load, to_dict
from ..training.storage import new_run_folder, write_json

HELP = "train sets of classes one after the other; measure what is forgotten, with and without replay"

logger = logging.getLogger(__name__)
Matrix = list[list[float]]  # value on task j after training on task i


def add_arguments(parser: ArgumentParser) -> bool:
    """Say what the command takes, and that it takes the options of a run as well."""
    parser.add_argument("preset", nargs="?", default=DEFAULT_PRESET, metavar="PRESET", help="the run (%(default)s)")
    parser.add_argument("--tasks", default="", metavar="CLASSES", help="as in 0-4,5-9 (the classes in two halves)")
    parser.add_argument(
        "--share", type=float, default=0.5, metavar="X", help="of the rows of a batch that are old (0.5)"
    )
    parser.add_argument("--memory", type=int, default=200, metavar="N", help="old rows that are remembered (200)")
    parser.add_argument("--out", default="", metavar="DIR", help="the folder of the runs")
    return True


def main(
    preset: str, *, tasks: str, out: str, overrides: dict[str, Any] | None = None, **replay: Any
) -> dict[str, Any]:
    """Train all tasks twice; return both matrices, mean values and backward transfers, and write forgetting.json."""
    config = load(preset, overrides)
    if not (labels := getattr(config.data, "labels", ())):
        raise ValueError(f"{preset}: its data have no classes; forgetting is measured between sets of classes")
    half = len(labels) // 2
    parts = parse_tasks(tasks or f"0-{half - 1},{half}-{len(labels) - 1}", len(labels))
    folder, found = new_run_folder("forgetting", out), dict[str, Any]()
    first = train(config, folder / "task-1", parts[:1], {}, None)
    for name, mixture in {"plain": {}, "replay": replay}.items():
        runs = [first]
        for number in range(2, len(parts) + 1):
            runs.append(train(config, folder / f"{name}-{number}", parts[:number], mixture, runs[-1]))
        found[name] = summary([measure(config, run, parts) for run in runs])
        logger.info("%s: mean %.4f, backward transfer %.4f", name, *list(found[name].values())[1:])
    figures = {"tasks": parts, **replay, **found}
    write_json(folder / "forgetting.json", figures)
    return {"folder": str(folder), **figures}


def parse_tasks(text: str, count: int) -> list[list[int]]:
    """Read sets of classes such as 0-4,5-9; ValueError unless there are two or more that share none."""
    try:
        ends = [[int(end) for end in part.split("-")] for part in text.split(",")]
    except ValueError:
        ends = []
    tasks = [list(range(part[0], part[-1] + 1)) for part in ends]
    classes = [*chain(*tasks)]
    if not tasks[1:] or not all(tasks) or len({*classes}) < len(classes) or not {*classes} <= {*range(count)}:
        raise ValueError(f"--tasks: got {text}, want sets of classes 0 to {count - 1} that share none, as in 0-4,5-9")
    return tasks


def only(config: Config, classes: list[int]) -> dict[str, Any]:
    """Return the data section of a config with some of its classes only."""
    base = to_dict(config)["data"]
    common = {name: base[name] for name in ("batch_size", "workers")}
    return {"kind": "resampled", "base": base, "classes": classes, **common}


def train(config: Config, out: Path, tasks: list[list[int]], replay: dict[str, Any], before: Path | None) -> Path:
    """Fit the last of some tasks, from the weights of a run where there is one; return the run folder."""
    data = only(config, tasks[-1])
    if replay and before:
        common = {name: data[name] for name in ("batch_size", "workers")}
        data = {"kind": "replay", "base": data, "old": only(config, [*chain(*tasks[:-1])]), **common, **replay}
    values = to_dict(config)
    section = {**values["train"], "out": str(out)}
    return commands.fit(from_dict({**values, "data": data, "train": section}), init_from=before)


def measure(config: Config, run: Path, tasks: list[list[int]]) -> list[float]:
    """Return the primary figure of a run on the validation rows of every task."""
    _, model, _ = commands.open_run(run)
    datas = [from_dict({**to_dict(config), "data": only(config, classes)}).data.build("val") for classes in tasks]
    return [commands.task(config).measure(model, data).value for data in datas]


def summary(values: Matrix) -> dict[str, Any]:
    """Return the matrix R, the mean of its last line, and backward transfer.

    Lopez-Paz and Ranzato (2017, equations 2 and 3): the mean over i < T of R[T, i] - R[i, i]; below 0 it is forgetting.
    """
    last, old = values[-1], range(len(values) - 1)
    transfer = sum(last[i] - values[i][i] for i in old) / len(old)
    return {"values": values, "mean": sum(last) / len(last), "backward_transfer": transfer}
