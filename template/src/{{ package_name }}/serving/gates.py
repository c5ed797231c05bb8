"""What a run must hold before it is promoted, a line for each thing that it does not."""

import logging
import math
from pathlib import Path

from torch import nn

from ..config import Config
from ..data.loader import read_manifest
from . import card
from .files import METADATA, Record, of_checkpoint, read, sha256

logger = logging.getLogger(__name__)


def failures(config: Config, model: nn.Module, checkpoint: Path, words: Path) -> list[str]:
    """Return a line for each gate that a run misses by itself: figures, export, reference, card."""
    run, checksum = checkpoint.parent, sha256(checkpoint)
    lines = of_checkpoint(run / "evaluation.json", checksum, "evaluate")
    if not lines:
        record = read(run / "evaluation.json")
        if not math.isfinite(record["value"]):
            lines.append(f"{record['primary']} is {record['value']}, which no gate can be held against")
        lines += config.evaluation.failures(record, model, config.data.build("val"))
    lines += of_export(run, checksum) + changed(config, read(run / "manifest.json")["data"])
    return lines + [f"card: {line}" for line in card.problems(words)]


def of_export(run: Path, checksum: str) -> list[str]:
    """Return a line for each check that an export missed, or one where it is not there or of another checkpoint.

    `export` replaces the whole folder at once, so what is said of its reference holds for all of it.
    """
    if not (folder := run / "export").is_dir():
        return [f"{folder} is not there; run: export {run}"]
    if lines := of_checkpoint(folder / "reference.json", checksum, "export"):
        return lines
    try:
        return [f"export: {line}" for line in read(folder / "export.json").get("failures", ())]
    except (OSError, ValueError):
        return [f"{folder / 'export.json'} is not there or damaged; run: export {run}"]


def changed(config: Config, then: Record) -> list[str]:
    """Return a line where the data are no longer those that the run was trained with."""
    now = read_manifest(config.data.root)["files"]
    names = [name for name in {**then["files"], **now} if then["files"].get(name) != now.get(name)]
    return [f"data have changed since the run was trained: {', '.join(names)}"] if names else []


def compared(checkpoint: Path, current: Path | None) -> Record:
    """Return how a run's primary figure compares with that of the current version, where both are of the same data."""
    run = checkpoint.parent
    if current is None or of_checkpoint(run / "evaluation.json", sha256(checkpoint), "evaluate"):
        return {}
    old = read(current / METADATA)
    new, data = read(run / "evaluation.json"), read(run / "manifest.json")["data"]
    found = {"version": old["version"], "value": old["metrics"]["value"]}
    same = all(old["metrics"][key] == new[key] for key in ("primary", "split", "higher_is_better"))
    if not same or old["data"]["files"] != data["files"]:
        logger.warning("not compared with version %d: that was measured on other data", old["version"])
        return {**found, "same_data": False}
    sign = 1 if new["higher_is_better"] else -1
    worse = not sign * new["value"] >= sign * found["value"]
    line = f"{new['primary']} {new['value']:.4f} is worse than {found['value']:.4f} of version {old['version']}"
    return {**found, "same_data": True, "worse": worse, "line": line}


def refuse(lines: list[str]) -> None:
    """Say each line and end with status 1; do nothing where there is none."""
    if lines:
        logger.error("gate: %s", "\ngate: ".join(lines))
        raise SystemExit(1)
