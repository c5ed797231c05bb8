"""How a run stands, read from its folder alone: of a checkpoint the step and no tensor; torch is not needed."""

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import yaml

Record = dict[str, Any]
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where it was built
NUMBER = (float, int)
MARKS = {"step": int, "split": str, "seconds": float}  # of each line
NEEDED: dict[str, dict[str, Any]] = {  # what a file must hold for those who read it
    "config.yaml": {"train.steps": int, "train.patience": int, "data.kind": str},
    "manifest.json": {"written": str},
    "evaluation.json": {
        "primary": str,
        "higher_is_better": bool,
        "value": float | int,
        "gap": float | int,
        "baselines": dict,
    },
}


def look(folder: Path) -> Record:
    """Return what the files of a run hold, and its state: finished, stopped, failed (not finite) or damaged, and why.

    A run that trains looks like one that was stopped; who asks must know of it otherwise, as by its lock.
    """
    found: Record = {"state": "damaged", "why": "", "lines": [], **{name: {} for name in NEEDED}}
    for name in NEEDED:
        try:
            found[name] = whole(folder / name)
            problem = "" if found[name] or name == "evaluation.json" else f"{name} is not there"
        except ValueError as error:
            problem = str(error)
        found["why"] = found["why"] or problem
    saved = -1
    try:
        found["lines"] = journal(folder)
        saved = saved_step(folder / "last.pt")
    except ValueError as error:
        found["why"] = found["why"] or str(error)
    lines, train = found["lines"], found["config.yaml"].get("train", {})
    found |= {"step": lines[-1]["step"] if lines else 0, "steps": train.get("steps")}
    if found["why"]:
        return found
    if lines and lines[-1]["split"] == "nonfinite":  # with `nonfinite: skip` other lines follow
        return found | {"state": "failed", "why": lines[-1]["what"]}
    out_of_patience = 0 < train["patience"] <= since_best(lines, found["evaluation.json"])
    done = found["step"] >= train["steps"] or out_of_patience
    return found | {"state": "finished" if done and saved >= found["step"] else "stopped"}


def whole(path: Path) -> Record:
    """Read a file of a run folder, all that others ask of it; ValueError if it lacks some of that."""
    values = read(path)
    for key, kind in NEEDED[path.name].items() if values else ():
        part: Any = values
        for name in key.split("."):
            part = part.get(name) if isinstance(part, dict) else None
        if not isinstance(part, kind):
            raise ValueError(f"{path.name} is damaged")
    return values


def saved_step(last: Path) -> int:
    """Return the step of a checkpoint, or of one in pieces, from its list of contents alone; ValueError if it has none.

    When the files were written says less: a resume writes the journal anew, and copies do not keep times.
    """
    path = last / "state.pt" if last.is_dir() else last
    name = path.relative_to(last.parent).as_posix()
    if not zipfile.is_zipfile(path):  # looks at the end of the file
        raise ValueError(f"{name} is cut off" if path.exists() else f"{name} is not there")
    try:
        with zipfile.ZipFile(path) as archive:
            (contents,) = (each for each in archive.namelist() if each.endswith("/data.pkl"))
            return int(Contents(io.BytesIO(archive.read(contents))).load()["trainer"]["step"])
    except Exception:  # noqa: BLE001 (whatever a damaged pickle raises)
        raise ValueError(f"{name} is damaged") from None


class Blank(dict[Any, Any]):
    """Stands for whatever a checkpoint holds but plain values."""

    def __init__(self, *_: Any) -> None:
        super().__init__()


class Contents(pickle.Unpickler):
    """Reads the plain values of a checkpoint: no tensor, and nothing that it asks for is imported or called."""

    def find_class(self, *_: Any) -> type[Blank]:
        """Return a blank, whatever was asked for."""
        return Blank

    def persistent_load(self, _: Any) -> Blank:
        """Return a blank for the numbers of a tensor."""
        return Blank()


def read(path: Path) -> Record:
    """Read a JSON or YAML file of a run folder; an empty mapping if it is not there, ValueError if it is damaged."""
    try:
        text = path.read_text("utf-8")
        values = yaml.load(text, LOADER) if path.suffix == ".yaml" else json.loads(text)  # noqa: S506 (a safe one)
    except FileNotFoundError:
        return {}
    except (ValueError, yaml.YAMLError):
        values = None
    if not isinstance(values, dict):
        raise ValueError(f"{path.name} is damaged")
    return values


def journal(folder: Path) -> list[Record]:
    """Return a run's measurements; a line that was cut off is left out, ValueError if others are damaged."""
    path, lines = folder / "metrics.jsonl", list[Record]()
    try:
        for text in path.read_text("utf-8").splitlines() if path.exists() else ():
            if text.endswith("}"):
                line = json.loads(text)
                lines.append(line | {name: kind(line[name]) for name, kind in MARKS.items()})
    except (ValueError, TypeError, KeyError):
        raise ValueError(f"{path.name} is damaged") from None
    return lines


def since_best(lines: list[Record], evaluation: Record) -> int:
    """Return how many evaluations in a row, at the end, brought no better primary figure."""
    best, waited, sign = None, 0, 1 if evaluation.get("higher_is_better") else -1
    name = str(evaluation.get("primary"))
    for value in (line.get(name) for line in lines if line["split"] == "val"):
        better = value is not None and (best is None or sign * value > sign * best)
        best, waited = (value, 0) if better else (best, waited + 1)
    return waited if best is not None else 0
