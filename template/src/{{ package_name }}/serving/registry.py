"""Models that were promoted: plain files in `models/<name>/<version>/`; current.json says which version is in use."""

import json
import logging
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

from torch import nn

from ..config import Config
from ..run import open_run
from ..training import storage
from . import card, gates
from .files import METADATA, Record, differs, flush, read
from .stored import settle
from .version import damage, fill

MODELS = Path("models")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

logger = logging.getLogger(__name__)


def promote(
    run: Path, name: str = "", *, words: Path = card.WORDS, even_if_worse: bool = False, root: Path = MODELS
) -> Record:
    """Make a run the current version of a name, its preset's if none is given; SystemExit(1) where a gate is missed."""
    opened = open_model(run)
    home = home_of(name or opened[0].name, root)
    logger.info("looking at %s", opened[2])
    for line in damaged(home):
        logger.warning("%s; nothing is compared with it", line)
    lines = gates.failures(*opened, words) + worse(home, opened[2], let=even_if_worse)
    gates.refuse(lines)
    home.mkdir(parents=True, exist_ok=True)
    with storage.locked(home):
        gates.refuse(worse(home, opened[2], let=even_if_worse))  # another promotion may have come first
        history = read_current(home)["history"] if (home / "current.json").exists() else []
        number = unused(home, history)
        folder, about = home / str(number), {"name": home.name, "version": number, "run": str(opened[2].parent)}
        part = home / f"{number}.part"
        try:
            logger.info("writing %s", folder)
            compared = gates.compared(opened[2], current(home))
            checksum = fill(part, opened, words, {**about, "compared": compared})
            part.replace(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        event = {"what": "promoted", "version": number, "run": about["run"], "worse": compared.get("worse", False)}
        write_current(home, history, {**event, "metadata_sha256": checksum})
    return {"name": home.name, "version": number, "path": str(folder)}


def rollback(name: str, why: str = "", *, root: Path = MODELS) -> Record:
    """Make the version before the current one, which was current before it, the current one again."""
    home = home_of(name, root)
    read_current(home)  # before there is a lock
    with storage.locked(home):
        history = read_current(home)["history"]
        *_, before, last = [0, *standing(history)]
        if not before:
            raise ValueError(f"{home}: version {last} is the first that stands; there is none before it to go back to")
        if lines := damage(home / str(before), checksum_of(history, before)):
            raise OSError(f"{'; '.join(lines)}; restore it, version {last} stays current")
        write_current(home, history, {"what": "rolled back", "version": before, "from": last, "why": why})
    return {"name": name, "version": before, "from": last, "path": str(home / str(before))}


def resolve(path: Path) -> Path:
    """Return the folder that models/NAME or models/NAME/VERSION names, with every file whole; others as they are."""
    folder = path.parent if path.is_file() else path
    if (folder / "current.json").is_file():
        folder = folder / str(read_current(folder)["version"])
    if not ((home := folder.parent) / "current.json").is_file():
        return path
    history = read_current(home)["history"]
    if folder.name not in {str(event["version"]) for event in history}:
        raise ValueError(f"{folder} was never promoted; want one that `models list` names")
    if lines := damage(folder, checksum_of(history, int(folder.name))):
        raise OSError(f"{'; '.join(lines)}; restore it, or go back: models rollback {home.name}")
    return path if path.is_file() else folder


def open_model(path: Path) -> tuple[Config, nn.Module, Path]:
    """Open a run, its checkpoint, or what was promoted, as `open_run` does; a version reads the data that lie in it."""
    config, model, checkpoint = open_run(resolve(path))
    return settle(config, checkpoint), model, checkpoint


def versions(name: str, root: Path = MODELS) -> list[Record]:
    """Return what there is to know of each version of a name, the oldest first; every file is read."""
    home = home_of(name, root)
    history = read_current(home)["history"]
    stack, found = standing(history), list[Record]()
    for event in (each for each in history if each["what"] == "promoted"):
        folder = home / str(number := event["version"])
        lines = damage(folder, event["metadata_sha256"])
        about = {} if lines else read(folder / METADATA)
        state = "current" if number == stack[-1] else "earlier" if number in stack else "rolled back"
        found.append(
            {
                "name": name,
                "version": number,
                "state": state,
                "damaged": lines,
                **{key: about.get("metrics", {}).get(key) for key in ("primary", "value")},
                **{key: event[key] for key in ("when", "run", "worse")},
                "bytes": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
            }
        )
    return found


def names(root: Path = MODELS) -> list[str]:
    """Return the names under which something was promoted."""
    return sorted(path.parent.name for path in root.glob("*/current.json"))


def home_of(name: str, root: Path) -> Path:
    """Return the folder of a name; ValueError where it is none."""
    if not NAME.fullmatch(name):
        raise ValueError(f"--name: got {name!r}, want letters, digits, '.', '_' and '-', as in mlp")
    return root / name


def read_current(home: Path) -> Record:
    """Return what current.json says; ValueError where nothing was promoted, OSError where it is damaged."""
    path = home / "current.json"
    if not path.is_file():
        known = ", ".join(names(home.parent)) or "none"
        raise ValueError(f"{home}: nothing was promoted under that name; there are: {known}")
    try:
        values: Record = json.loads(path.read_text("utf-8"))
        if values["version"] != standing(values["history"])[-1]:
            raise ValueError(f"version {values['version']} is not what its history ends with")
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise OSError(f"{path} is damaged ({error!r}); restore the file") from error
    return values


def write_current(home: Path, history: list[Record], event: Record) -> None:
    """Say in one move which version is current, and since when; whoever reads sees the old file or the new one."""
    event = {"when": datetime.now(UTC).isoformat(timespec="seconds"), **event}
    storage.write_json(home / "next.json", {"version": event["version"], "history": [*history, event]})
    flush(home)  # the version's folder has its name
    flush(home / "next.json")
    (home / "next.json").replace(home / "current.json")
    flush(home)


def standing(history: list[Record]) -> list[int]:
    """Return the versions that stand, the current one last: a promotion adds one, a rollback takes the last away."""
    stack = list[int]()
    for event in history:
        stack = [*stack, event["version"]] if event["what"] == "promoted" else stack[:-1]
    return stack


def checksum_of(history: list[Record], number: int) -> str:
    """Return the checksum that a version's metadata.json had when it was promoted."""
    return str(next(e["metadata_sha256"] for e in history if e["what"] == "promoted" and e["version"] == number))


def unused(home: Path, history: list[Record]) -> int:
    """Return the number after all that were ever given, and take away the parts that killed promotions left."""
    for part in home.glob("*.part"):
        shutil.rmtree(part, ignore_errors=True)
    there = [int(path.name) for path in home.iterdir() if path.name.isdecimal()]
    return 1 + max([*there, *(event["version"] for event in history)], default=0)


def current(home: Path) -> Path | None:
    """Return the folder of the current version of a name, None where there is none that can be compared with."""
    there = (home / "current.json").exists() and not damaged(home)
    return home / str(read_current(home)["version"]) if there else None


def damaged(home: Path) -> list[str]:
    """Return a line where the metadata of the current version are not what they were."""
    if not (home / "current.json").exists():
        return []
    now = read_current(home)
    return differs(home / str(now["version"]) / METADATA, checksum_of(now["history"], now["version"]))


def worse(home: Path, checkpoint: Path, *, let: bool) -> list[str]:
    """Return a line where the current version is better on the same data, unless that is let pass."""
    found = gates.compared(checkpoint, current(home))
    return [] if let or not found.get("worse") else [f"{found['line']}; --even-if-worse lets it pass"]
