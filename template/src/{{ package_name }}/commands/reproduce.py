"""A finished run once more, from its folder alone: equal, within a tolerance, or what moved first and why."""

import json
import logging
import math
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from torch import Tensor

from .. import run as commands
from ..config import Config, differences, from_dict, load
from ..data.loader import read_manifest
from ..evaluation.checklist import write_checklist
from ..training import storage
from ..training.track_source import describe_source, git, sha256

HELP = "train a finished run again and compare every figure; exit 1 where one has moved"
DIGEST = 64  # letters of a SHA-256
BEFORE = ("settings", "data")  # causes that make training again pointless
MAY_DIFFER = ("train.out", "train.device", "data.workers", "data.folder", "evaluation.")  # in a run that went on

logger = logging.getLogger(__name__)
Record = dict[str, Any]
Causes = list[tuple[str, str]]  # what kind, and what exactly


def add_arguments(parser: ArgumentParser) -> bool:
    """Say what the command takes; it does not take the options of a run."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder, runs/<preset>-<n>")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the new run (runs/<preset>-again-<n>)")
    parser.add_argument("--tolerance", type=float, default=1e-3, metavar="X", help="for all figures (%(default)s)")
    parser.add_argument("--checklist", action="store_true", help="write checklist.md of both runs as well")
    return False


def main(run: Path, *, out: Path | None, tolerance: float, checklist: bool) -> Record:
    """Train a run again; return what came of it, or write that and raise SystemExit(1) where a figure moved."""
    if not 0 <= tolerance < math.inf:
        raise ValueError(f"--tolerance: got {tolerance}, want 0 or more")
    folder = commands.checkpoint_path(run, "last.pt").parent
    state, manifest = open_finished(folder)
    config, given = load(folder / "config.yaml"), words_of(manifest)
    causes = find_causes(folder, config, state, manifest)
    for kind, what in causes:
        logger.warning("%s: %s", kind, what)
    if pointless := [f"{kind}: {what}" for kind, what in causes if kind in BEFORE]:
        logger.error("%s cannot be the same again: %s", folder, "; ".join(pointless))
        raise SystemExit(1)
    new = storage.new_run_folder(f"{config.name}-again", str(out or ""))
    commands.fit(load(folder / "config.yaml", {"train.out": str(new)}), **given)
    commands.evaluate(new)
    commands.report(new)
    record = {"run": str(folder), "again": str(new), "tolerance": tolerance, **compare(folder, new, tolerance)}
    record |= {"causes": [f"{kind}: {what}" for kind, what in causes], "cause": first_cause(record, causes)}
    storage.write_json(new / "reproduction.json", record)
    if checklist:
        logger.info("checklist: %s", write_checklist(folder, new, record))
    return conclude(record)


def open_finished(folder: Path) -> tuple[Record, Record]:
    """Return a run's last checkpoint and manifest; ValueError where it cannot be made again by one command."""
    path, sources = folder / "last.pt", read_sources(folder)
    if path.is_dir() or any(source.get("processes", 1) > 1 for source in sources):
        raise ValueError(f"{folder} was trained by several processes; reproduce makes runs of one process again")
    commands.checkpoint_path(folder, "best.pt")
    state = storage.load_checkpoint(path)
    config, trainer = from_dict(state["config"]), state["trainer"]
    stopped = 0 < config.train.patience <= trainer["waited"]
    if trainer["step"] < config.train.steps and not stopped:
        steps = f"{trainer['step']} of {config.train.steps}"
        raise ValueError(f"{folder} stopped at step {steps}; finish it first: train --resume {folder}")
    if len(sources) > 1:
        logger.info("%s was resumed %d times; an exact resume changes nothing", folder, len(sources) - 1)
    return state, json.loads((folder / "manifest.json").read_text("utf-8"))


def read_sources(folder: Path) -> list[Record]:
    """Return what source.json says of the processes that trained a run; nothing for an older run."""
    path = folder / "source.json"
    return list(json.loads(path.read_text("utf-8"))["processes"]) if path.exists() else []


def words_of(manifest: Record) -> Record:
    """Return the options of a run that its config does not hold, from the command that began it."""
    words, found = [part for word in manifest.get("command", ()) for part in word.split("=", 1)], Record()
    if "--overfit-batches" in words:
        found["overfit_batches"] = int(words[words.index("--overfit-batches") + 1])
    if "--init-from" in words:
        found["init_from"] = Path(words[words.index("--init-from") + 1])
        if not found["init_from"].exists():
            raise ValueError(
                f"the run began with the weights of {found['init_from']}, which is not there; bring it back"
            )
        logger.info("beginning with the weights of %s, as they are now", found["init_from"])
    return found


def find_causes(folder: Path, config: Config, state: Record, manifest: Record) -> Causes:
    """Return what differs between then and now, the likeliest cause first."""
    changed = differences(from_dict(state["config"]), config)
    settings = [
        f"{n} is {b!r} in config.yaml, was {a!r}" for n, (a, b) in changed.items() if not n.startswith(MAY_DIFFER)
    ]
    if not settings and manifest.get("seed", config.train.seed) != config.train.seed:
        settings = [f"train.seed is {config.train.seed} in config.yaml, was {manifest['seed']}"]
    found = [("settings", what) for what in settings]
    found += [("data", what) for what in changed_data(manifest.get("data", {}).get("files", {}), config.data.root)]
    if any(kind == "data" for kind, _ in found):
        return found
    now = storage.describe_run(read_manifest(config.data.root), config.train.seed)
    found += [("code", what) for what in changed_code(folder, manifest.get("code", {}), now["code"])]
    then, env = manifest.get("environment", {}), now["environment"]
    found += [("library", what) for what in changed_libraries(then, env)]
    source, here = (read_sources(folder) or [{}])[0], describe_source()[0]
    machine = {**{n: env[n] for n in ("platform", "gpu", "cuda", "num_threads")}, "cpu": here["cpu"]}
    pairs = {n: ({**then, **source}.get(n, b), b) for n, b in machine.items()}
    found += [("hardware", f"{n} is {b}, was {a}") for n, (a, b) in pairs.items() if a != b]
    old, new = source.get("flags", here["flags"]), here["flags"]
    return found + [("flags", f"{n} is {new.get(n)}, was {old.get(n)}") for n in old | new if old.get(n) != new.get(n)]


def changed_data(then: Record, root: Any) -> Iterator[str]:
    """Name the files of the data that are gone, changed or new."""
    try:
        now = read_manifest(root)["files"]
    except OSError:
        now = {}
    for name, old in then.items():
        path, new = root / name, now.get(name)
        there = not isinstance(path, Path) or not now or path.exists() or len(str(old)) != DIGEST
        if new is None or not there:
            yield f"{path} is gone"
        else:
            found = sha256(path.read_bytes()) if isinstance(path, Path) and len(str(old)) == DIGEST else new
            if found != old:
                yield f"{path} has changed: SHA-256 {str(found)[:12]}, was {str(old)[:12]}"
    yield from (f"{root / name} is new" for name in now.keys() - then.keys() if then)


def changed_code(folder: Path, then: Record, now: Record) -> Iterator[str]:
    """Say which files of the package have changed, where git knows."""
    if not then or then.get("sha256") == now["sha256"]:
        return
    commit = then.get("commit", "")
    names = git("diff", "--name-only", "-z", "--relative", commit, "--", ".").split("\0")[:-1] if commit else []
    said = f"{', '.join(names)} changed since commit {commit[:12]}" if names else "the package's files have changed"
    diff = folder / "source.diff"
    had = f"; the run had changes that no commit has{f', see {diff}' if diff.exists() and diff.stat().st_size else ''}"
    yield said + had * bool(then.get("changed"))


def changed_libraries(then: Record, now: Record) -> Iterator[str]:
    """Name the versions that differ, torch and Python first."""
    yield from (f"{n} is {now[n]}, was {then[n]}" for n in ("torch", "python") if then.get(n, now[n]) != now[n])
    old, new = (dict(line.rsplit(" ", 1) for line in each.get("packages", ())) for each in (then, now))
    for name in sorted(old | new) if old else ():
        if old.get(name) != new.get(name) and name != "torch":
            yield f"{name} is {new.get(name, 'gone')}, was {old.get(name, 'not there')}"


def compare(old: Path, new: Path, tolerance: float) -> Record:
    """Return whether two runs are equal, by every figure of theirs and the weights of their checkpoints."""
    moved = [each for each in figures_that_moved(old, new) if each]
    far = [each for each in moved if not close(each["was"], each["is"], tolerance)]
    weights = {name: weights_moved(old / name, new / name) for name in ("last.pt", "best.pt")}
    apart = max(weights.values()) > tolerance
    equal = not moved and not any(weights.values())
    result = "equal" if equal else "moved" if far or apart or not tolerance else "within tolerance"
    first = next(iter(far or ([] if apart else moved)), None)
    return {"result": result, "moved": first, "num_moved": len(moved), "weights": weights}


def figures_that_moved(old: Path, new: Path) -> Iterator[Record]:
    """Name each figure of the journal, in its order, and of the evaluation that is not the same bit by bit."""
    pairs = [*zip_longest(*map(storage.read_journal, (old, new)), fillvalue=Record())]
    paths = [folder / "evaluation.json" for folder in (old, new)]
    if all(path.exists() for path in paths):
        told = [json.loads(path.read_text("utf-8")) for path in paths]
        if told[0].get("split") == "val":
            pairs.append(({**told[0]["metrics"], "split": "evaluation"}, {**told[1]["metrics"], "split": "evaluation"}))
    for a, b in pairs:
        place = {name: (a or b).get(name) for name in ("step", "split")}
        for name in [*dict.fromkeys([*a, *b])]:
            if name != "seconds" and json.dumps(a.get(name)) != json.dumps(b.get(name)):
                yield {**place, "name": name, "was": a.get(name), "is": b.get(name)}


def close(a: Any, b: Any, tolerance: float) -> bool:
    """Return whether figures, or tables of them, are as near as wanted."""
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        return all(close(value, b[name], tolerance) for name, value in a.items())
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return all(close(*pair, tolerance) for pair in zip(a, b, strict=True))
    if isinstance(a, float) and isinstance(b, int | float):
        return math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)
    return bool(a == b)


def weights_moved(old: Path, new: Path) -> float:
    """Return the largest difference of any weight of two checkpoints; 0 where all are the same bit by bit."""
    states = [storage.load_checkpoint(path) for path in (old, new)]
    flat: list[dict[str, Tensor]] = [
        {
            f"{part}.{n}": v
            for part, each in (("", s["model"]), ("mean", s["optimization"]["averages"]))
            for n, v in each.items()
        }
        for s in states
    ]
    return max((float((a.double() - flat[1][name].double()).abs().max()) for name, a in flat[0].items()), default=0.0)


def first_cause(record: Record, causes: Causes) -> str:
    """Return why a figure may have moved: the first cause, or that there is none to be seen."""
    if record["result"] == "equal":
        return ""
    unknown = "nothing has changed that a run notes; on a GPU, --train.deterministic makes runs repeat exactly"
    return f"{causes[0][0]}: {causes[0][1]}" if causes else unknown


def conclude(record: Record) -> Record:
    """Say how it ended; SystemExit(1) where a figure moved."""
    moved = record["moved"]
    where = f"the weights, by {max(record['weights'].values()):.4g}"
    if moved:
        where = f"{moved['split']} {moved['name']} at step {moved['step']} was {moved['was']}, is {moved['is']}"
    if record["result"] == "moved":
        logger.error("moved: first %s; cause: %s", where, record["cause"])
        sys.stdout.write(json.dumps(record, indent=2) + "\n")
        raise SystemExit(1)
    logger.info("%s%s", record["result"], f"; first {where}; cause: {record['cause']}" if record["cause"] else "")
    return record
