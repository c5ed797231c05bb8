"""The files of one promoted version: what is copied of a run and of its data, metadata.json, and every checksum."""

import shutil
import tomllib
from importlib import metadata
from pathlib import Path

from torch import nn

from ..config import Config
from ..data.loader import DataConfig
from ..training import storage
from . import card
from .files import METADATA, Record, differs, flush, of_checkpoint, read, sha256
from .stored import Stored, innermost, parts

REPORTED = ("evaluation.json", "final.json", "groups.json", "analysis.json")
WRITTEN_ANEW = (*REPORTED, "card.json", *card.CARDS)  # by `evaluate`, `report`, `card`; no answer reads them
KEPT = ("config.yaml", "manifest.json", *REPORTED)


def fill(part: Path, opened: tuple[Config, nn.Module, Path], words: Path, about: Record) -> str:
    """Write all files of a version; return the checksum of its metadata.json, which has those of the others."""
    config, _, checkpoint = opened
    run = checkpoint.parent
    part.mkdir()
    shutil.copy2(checkpoint, part / "best.pt")
    for name in KEPT:
        if (run / name).is_file():
            shutil.copy2(run / name, part / name)
    shutil.copytree(run / "export", part / "export")
    if getattr(innermost(config.data), "folder", ""):  # else the data lie in the package, or are made
        keep_data(innermost(config.data), part / "data")
    card.write(config, part / "best.pt", words)
    files = {str(path.relative_to(part)): sha256(path) for path in sorted(part.rglob("*")) if path.is_file()}
    if any(of_checkpoint(part / name, files["best.pt"], "") for name in ("evaluation.json", "export/reference.json")):
        raise OSError(f"{run} changed while it was copied; is it still being trained?")
    storage.write_json(part / METADATA, {**about, **describe(part), "files": files})
    for path in [*part.rglob("*"), part]:
        flush(path)
    return sha256(part / METADATA)


def describe(part: Path) -> Record:
    """Return what metadata.json says of a run: data and their checksums, figures, code, licences."""
    run, record = read(part / "manifest.json"), read(part / "evaluation.json")
    figures = {name: record[name] for name in ("split", "primary", "value", "higher_is_better", "gap", "baselines")}
    return {
        "checkpoint_sha256": record["checkpoint_sha256"],
        "data": run["data"],
        "metrics": figures,
        "code": run["code"],
        "environment": {name: run["environment"][name] for name in ("python", "torch")},
        "licence": {"data": run["data"]["licence"], "project": project_licence()},
        "seed": run["seed"],
    }


def project_licence() -> str:
    """Return the licence that the project states, in pyproject.toml or as it was installed."""
    path = Path(__file__).parents[3] / "pyproject.toml"
    if path.is_file():
        return str(tomllib.loads(path.read_text("utf-8"))["project"].get("license", "proprietary"))
    try:
        return str(metadata.metadata(__package__.partition(".")[0])["License-Expression"] or "proprietary")
    except metadata.PackageNotFoundError:
        return "not stated"


def keep_data(data: DataConfig, target: Path) -> None:
    """Copy what answers need of a data folder: manifest, licence, the files that the task names; no test split."""
    stored = Stored(data)
    task = parts(stored)
    names = task.files(stored) if hasattr(task, "files") else []
    licences = [path.name for path in data.root.glob("LICEN*")]
    for name in ("manifest.json", *licences, *names):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(data.root / name, target / name)


def damage(folder: Path, expected: str) -> list[str]:
    """Return a line for each file of a version that is gone or has another checksum than when it was promoted."""
    about = folder / METADATA
    if lines := differs(about, expected):
        return lines
    files = read(about)["files"]
    return [line for name, one in files.items() if name not in WRITTEN_ANEW for line in differs(folder / name, one)]
