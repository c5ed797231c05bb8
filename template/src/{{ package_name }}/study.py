"""Runs that belong together, in one folder: what they are, which are done, how they go on after an interruption."""

import errno
import json
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from math import isfinite
from pathlib import Path
from typing import Any
from uuid import uuid4

from . import run as commands
from .config import Config, from_dict, to_dict
from .data.loader import read_manifest
from .training import storage
from .training.device import signals

RECORD, DONE, LOCKS = "study.json", "done.json", "locks"  # what the study is; a run's figures; a folder a run
KEPT = ("primary", "value", "higher_is_better", "train_value", "gap", "baselines")  # of a run's evaluation
THERE = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)  # why a folder cannot take a place that is taken
TAKEN = (errno.EAGAIN, errno.EACCES)  # why a lock cannot be had that another process has
PAUSE = 0.5  # seconds between two looks at what another process has

logger = logging.getLogger(__name__)
Record = dict[str, Any]


def open_study(command: str, configs: dict[str, Config], *, out: str = "", **options: Any) -> Path:
    """Return the folder of a study of runs by name: its unfinished one, else a new one, with the record written.

    A study is finished once `<command>.json` is there. ValueError where `out` holds another one; nothing is touched.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        raise ValueError(
            f"{command}: its runs train one after the other; start it without torchrun, as often as you like"
        )
    if own := next((config.train.out for config in configs.values() if config.train.out), ""):
        raise ValueError(f"train.out: got '{own}', but a study names its runs itself; name its folder by --out")
    record = describe(command, configs, options)
    name = next(iter(configs.values())).name
    for folder in [Path(out)] if out else (Path(f"runs/{name}-{command}-{number}") for number in count(1)):
        known = folder / RECORD
        if not known.exists() and publish(folder, record):
            logger.info("a study of %d runs: writing to %s", len(configs), folder)
            return folder
        if not known.exists() and out:
            raise ValueError(f"--out: {folder} is there and holds no study; name another folder")
        changed = differences(read_record(known), record) if known.exists() else ["no study"]
        if changed and out:
            raise ValueError(f"--out: {folder} holds another study: {'; '.join(changed[:3])}; name another folder")
        if not changed and (out or not (folder / f"{command}.json").exists()):
            logger.info("going on with the study in %s", folder)
            return folder
    raise AssertionError("numbers have no end")


def describe(command: str, configs: dict[str, Config], options: Record) -> Record:
    """Return what a study is: its command, options, code, and the config and the data of each run."""
    code = storage.describe_run({}, 0)["code"]["sha256"]
    data = {name: checksums(config.data) for name, config in configs.items()}
    plain = {name: to_dict(config) for name, config in configs.items()}
    record: Record = json.loads(json.dumps({"command": command, **options, "runs": plain, "data": data, "code": code}))
    return record


def checksums(data: Any) -> Any:
    """Return the checksums of the files of data, which then keep no more of them in memory than before."""
    found = read_manifest(data.root).get("files")
    while data is not None:
        if hasattr(type(data), "release"):
            data.release()
        data = getattr(data, "__dict__", {}).get("base")
    return found


def publish(folder: Path, record: Record) -> bool:
    """Make a folder with its record in one move; return False where somebody else's is there already."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{uuid4().hex}")  # two machines may have a process of the same number
    temporary.mkdir()
    try:
        storage.write_json(temporary / RECORD, record)
        temporary.rename(folder)
    except OSError as error:
        if error.errno not in THERE:
            raise
        return False
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return True


def read_record(path: Path) -> Record:
    """Return the record of a study; OSError names it where it is damaged."""
    try:
        record: Record = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise OSError(f"{path} is damaged ({error}); delete {path.parent}, or name another folder") from error
    return record


def differences(old: Record, new: Record) -> list[str]:
    """Return a line for each value that two records do not share."""
    sides = [flatten({**record, "written": ""}) for record in (old, new)]
    names = [name for name in sides[0] | sides[1] if sides[0].get(name) != sides[1].get(name)]
    return [f"{name}: it has {sides[0].get(name)!r:.60}, given {sides[1].get(name)!r:.60}" for name in names]


def flatten(values: Any, name: str = "") -> Record:
    """Return the leaves of nested mappings by their dotted names."""
    if not isinstance(values, dict):
        return {name: values}
    parts = (flatten(value, f"{name}.{key}" if name else key) for key, value in values.items())
    return {key: value for part in parts for key, value in part.items()}


def complete(folder: Path, configs: dict[str, Config], *, last: bool = False) -> dict[str, Record]:
    """Bring every run of a study to its end; return their figures by name. A signal: SystemExit, all saved.

    What is measured is the best weights of each run, or with `last` its last ones, which no measured row picked.

    What another process is at is left to it, and waited for once nothing else is to be done. A run that broke off
    because its loss was not finite has `failed` instead of a value.
    """
    found, told = dict[str, Record](), set[str]()
    with signals() as heard:
        while len(found) < len(configs):
            for name in [name for name in configs if name not in found]:
                record = finish(folder, name, configs[name], heard, last=last)
                if record is not None:
                    found[name] = record
                    say(name, record, f"{len(found)} of {len(configs)}")
                stop(folder, heard)
            if waiting := sorted(configs.keys() - found.keys() - told):
                told.update(waiting)
                logger.info("waiting for another process: %s", ", ".join(waiting))
            if len(found) < len(configs):
                time.sleep(PAUSE)
    return {name: found[name] for name in configs}


def say(run: str, record: Record, count: str) -> None:
    """Tell of a run that is done."""
    figure = f"{record['primary']} {record['value']:.4f}" if "value" in record else record["failed"]
    logger.info("%s: %s (%s)", run.replace("-", " "), figure, count)


def stop(folder: Path, heard: list[int]) -> None:
    """End with the exit status of a signal, if one came, and say how to go on."""
    if heard:
        logger.warning("stopped; the same command goes on with %s", folder)
        raise SystemExit(heard[0])


def finish(folder: Path, name: str, config: Config, heard: list[int], *, last: bool) -> Record | None:
    """Return the figures of a run, which is begun, or gone on with, unless it is done; None: another process has it."""
    path, run = folder / name / DONE, folder / name
    (place := folder / LOCKS / name).mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        if not done(path) and not lock(stack, place):
            return None
        if not done(path):  # nobody finished it in between
            try:
                with quiet():
                    storage.write_json(path, fit(run, config, last=last))
            except SystemExit as ended:
                heard.append(int(str(ended.code)))
                return None
        return read_record(path)


def done(path: Path) -> bool:
    """Say whether a run's figures are there, and whole."""
    try:
        return bool(json.loads(path.read_text("utf-8")))
    except (FileNotFoundError, ValueError):
        return False


def lock(stack: ExitStack, folder: Path) -> bool:
    """Hold a folder as long as the stack; return False where another process has it, OSError where nothing can."""
    try:
        stack.enter_context(storage.locked(folder))
    except OSError as error:
        reason = error.__context__ if error.errno is None else None  # why there is no lock, though there is the file
        if isinstance(reason, OSError) and reason.errno in TAKEN:
            return False
        raise OSError(f"{folder}: {reason or error}; a study needs files and locks there") from error
    return True


def fit(run: Path, config: Config, *, last: bool) -> Record:
    """Train a run to its end and measure its best weights, or its last; only the holder of its lock may."""
    going = (run / "last.pt").exists()
    if not going:
        shutil.rmtree(run, ignore_errors=True)  # it died before its first checkpoint
    elif (steps := storage.load_checkpoint(run / "last.pt")["config"]["train"]["steps"]) != config.train.steps:
        wanted = config.train.steps
        raise ValueError(f"{run} was trained for {steps} steps, the study wants {wanted}; delete the folder {run}")
    plain = to_dict(config)
    try:
        commands.fit(from_dict({**plain, "train": {**plain["train"], "out": str(run)}}), resume=run if going else None)
    except FloatingPointError as error:
        logger.warning("%s: %s", run, error)
        return {"failed": str(error)}
    if last:  # from here on they are its best, for whatever opens the run
        storage.link(run / "last.pt", run / "best.pt")
    record = commands.evaluate(run)
    if not isfinite(record["value"]):
        return {"failed": f"{run}: {record['primary']} is {record['value']}"}
    return {key: record[key] for key in KEPT}


def refuse_failed(folder: Path, records: dict[str, Record]) -> None:
    """Raise FloatingPointError where a run has no figures, and say how to try it again."""
    if failed := [name for name, record in records.items() if "failed" in record]:
        run, reason = folder / failed[0], records[failed[0]]["failed"]
        raise FloatingPointError(f"{run}: {reason}; delete the folder {run} to train it again, or give other options")


@contextmanager
def quiet() -> Iterator[None]:
    """Leave to the study what is said of its runs, warnings aside, unless somebody wants to read it all."""
    loggers = [logging.getLogger(f"{__package__}.{name}") for name in ("run", "training", "evaluation")]
    levels = [each.level for each in loggers]
    if not logger.isEnabledFor(logging.DEBUG):
        for each in loggers:
            each.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)


def conclude(folder: Path, command: str, values: Record, beside: dict[str, Record] | None = None) -> None:
    """Write files and the result of a study, which finishes it; of several processes, one after the other."""
    with ExitStack() as stack:
        while not lock(stack, folder):
            time.sleep(PAUSE)
        for name, record in {**(beside or {}), f"{command}.json": values}.items():
            storage.write_json(folder / name, record)
