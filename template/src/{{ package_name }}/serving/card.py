"""Model card and data card of a run: figures from its files, and what a person says of it in configs/card.yaml.

The sections are those of Mitchell et al. (2019), Model Cards for Model Reporting, and Gebru et al. (2021), Datasheets
for Datasets.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import yaml

from ..config import Config, to_dict
from ..data.loader import read_arrays, read_manifest
from ..training.storage import write_json
from .files import Record, of_checkpoint, read, sha256

WORDS = Path("configs/card.yaml")
SECTIONS = ("intended_use", "out_of_scope", "limitations", "ethical_considerations", "contact")
WANTED = ("intended_use", "limitations")  # without them nothing is promoted
EMPTY = re.compile(r"\W*(none|no|n/?a|nil|unknown|nothing|todo|tbd|tba|later|fill)?\W*", re.IGNORECASE)
CARDS = ("model_card.md", "data_card.md")
MOST_ROWS, FEW = 40, 20  # of a table; validation rows of a class, by which little can be said
FILES = jinja2.FileSystemLoader(Path(__file__).parent)
PAGES = jinja2.Environment(
    "[%", "%]", "[[", "]]", "[#", "#]", autoescape=jinja2.select_autoescape(), loader=FILES, trim_blocks=True
)


def read_words(path: Path) -> dict[str, str]:
    """Return what a person says, by section; ValueError where the file is not one of that form."""
    if not path.is_file():
        raise ValueError(f"{path} is not there; want a YAML file with {', '.join(SECTIONS)}")
    try:
        values = yaml.safe_load(path.read_text("utf-8")) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict) or (strange := values.keys() - {*SECTIONS}):
        found = f"found {', '.join(map(str, strange))}" if isinstance(values, dict) else f"found {values!r}"
        raise ValueError(f"{path}: {found}; want {', '.join(SECTIONS)}")
    return {name: text(values.get(name)) for name in SECTIONS}


def text(value: Any) -> str:
    """Return a section as Markdown: a sentence, or one for each line of a list; nothing where a person said nothing."""
    lines = [str(line).strip() for line in (value if isinstance(value, list) else [value]) if line is not None]
    lines = [line for line in lines if not EMPTY.fullmatch(line) and not line.startswith("[fill")]
    return "\n".join(f"- {line}" for line in lines) if len(lines) > 1 else "".join(lines)


def problems(path: Path) -> list[str]:
    """Return a line where there are sections that a person must write and has not."""
    words = read_words(path)
    empty = [name for name in WANTED if not words[name]]
    return [f"{path} says nothing of {', '.join(empty)}; say it in a sentence"] if empty else []


def write(config: Config, checkpoint: Path, path: Path) -> list[Path]:
    """Write both cards of a run, and the figures that they show as card.json; return the paths of the cards."""
    folder, words = checkpoint.parent, read_words(path)
    facts = {"name": config.name, "model": model_facts(config, checkpoint), "data": data_facts(config)}
    write_json(folder / "card.json", facts)
    for name in CARDS:
        page = PAGES.get_template(name).render(facts, words=words)
        part = folder / f"{name}.tmp"
        part.write_text(re.sub(r"\n{3,}", "\n\n", page), encoding="utf-8")
        part.replace(folder / name)
    return [folder / name for name in CARDS]


def model_facts(config: Config, checkpoint: Path) -> Record:
    """Return what the files of a run say of its model; an empty part where a file is not there."""
    run, checksum = checkpoint.parent, sha256(checkpoint)
    if lines := of_checkpoint(run / "evaluation.json", checksum, "evaluate"):
        raise ValueError(lines[0])
    record, made = read(run / "evaluation.json"), read(run / "manifest.json")
    reference = about(run / "export/reference.json", checksum)  # `export` replaces the whole folder at once
    exported = read(run / "export/export.json") if reference else {}
    return {
        "run": {name: made[name] for name in ("written", "seed", "code")},
        "environment": {name: made["environment"][name] for name in ("python", "torch")},
        "settings": [row for name in ("model", "optim", "train") for row in flat(to_dict(config)[name], f"{name}.")],
        "kind": config.model.kind,
        "task": config.data.task,
        "target": config.evaluation.target,
        "evaluation": {name: value for name, value in record.items() if name != "metrics"},
        "figures": scalars(record["metrics"]),
        "tables": tables(record["metrics"]),
        "final": scalars(about(run / "final.json", checksum).get("metrics", {})),
        "groups": groups_of(run, checkpoint, checksum),
        "export": [row for row in flat(exported) if row[0] != "written" and row[1] != ""],
        "reference": scalars(reference),
    }


def groups_of(run: Path, checkpoint: Path, checksum: str) -> list[Record]:
    """Return the figures by group that lie in a run: those of the report, and those of `groups`, the latest way."""
    listed = list(about(run / "analysis.json", checksum).get("groups") or ())
    path = run / "groups.json"  # which does not say of which checkpoint it is
    if not path.is_file() or path.stat().st_mtime < checkpoint.stat().st_mtime:
        return listed
    own = read(path)
    return [one for one in listed if one["by"] != own["by"]] + [own]


def data_facts(config: Config) -> Record:
    """Return what the manifest says of the data, and how many rows each class has; the test split stays closed."""
    manifest = read_manifest(config.data.root)
    said = {name: value for name, value in manifest.items() if isinstance(value, str)}
    parts = {name: manifest.get(name, {}) for name in ("rows", "files", "arrays", "split")}
    columns = [column for column in manifest.get("columns", ()) if isinstance(column, dict)]
    counted = {**balance(config), "groups": count_groups(config.data.root, manifest)}
    parts["split"] = [*flat(parts["split"])]
    return {"said": said, **parts, "columns": columns, **counted, "limits": limits(parts["rows"], counted)}


def limits(rows: Record, counted: Record) -> list[str]:
    """Return what the size and the balance of the data say of how far figures reach."""
    lines = [f"Every figure of the validation split rests on {rows['val']} rows."] if "val" in rows else []
    if train := counted["classes"].get("train"):
        least, most = min(train, key=train.__getitem__), max(train, key=train.__getitem__)
        lines.append(f"The training split has {train[most]} rows of {most}, the most, and {train[least]} of {least}.")
    few = [label for label, count in counted["classes"].get("val", {}).items() if count < FEW]
    return lines + [f"Fewer than {FEW} validation rows, by which little can be said: {', '.join(few)}."] * bool(few)


def balance(config: Config) -> Record:
    """Return the rows of each class in the training and validation splits, or the quartiles of numbers."""
    counted: Record = {"classes": {}, "quartiles": {}}
    for split in ("train", "val"):
        targets = getattr(config.data.build(split), "targets", None)
        if targets is None or targets.ndim != 1 or not len(targets):
            continue
        values, labels = targets.numpy(), getattr(config.data, "labels", ())
        if targets.is_floating_point():
            counted["quartiles"][split] = np.nanquantile(values, (0, 0.25, 0.5, 0.75, 1)).tolist()
        elif labels:
            counts = np.bincount(values[values >= 0], minlength=len(labels)).tolist()
            counted["classes"][split] = dict(zip(labels, counts, strict=True))
    return counted


def count_groups(root: Any, manifest: Record) -> Record:
    """Return how many groups the training and validation splits have, where rows belong to groups."""
    if "groups" not in manifest.get("arrays", {}) or not isinstance(root, Path):
        return {}
    arrays = dict[str, np.ndarray]()
    for name in manifest["files"]:
        if name.endswith(".npz") and not name.endswith("_test.npz"):
            arrays |= read_arrays(root, name)
        elif name in {"train_groups.npy", "val_groups.npy"}:
            arrays[name.removesuffix(".npy")] = np.load(root / name, mmap_mode="r", allow_pickle=False)
    found = {split: arrays[f"{split}_groups"] for split in ("train", "val") if f"{split}_groups" in arrays}
    return {split: len(np.unique(values)) for split, values in found.items()}


def scalars(values: Record) -> Record:
    """Return the numbers and words among some values."""
    return {name: value for name, value in values.items() if isinstance(value, int | float | str) and name != "written"}


def tables(metrics: Record) -> dict[str, list[Record]]:
    """Return the tables among the figures of an evaluation, with a row for each class, horizon or the like."""
    lists = {name: rows for name, rows in metrics.items() if isinstance(rows, list) and name != "worst"}
    plain = {name: [scalars(row) for row in rows if isinstance(row, dict)] for name, rows in lists.items()}
    shown = {name: rows for name, rows in plain.items() if rows and rows[0] and len(rows) <= MOST_ROWS}
    return {name: [{key: row.get(key) for key in rows[0]} for row in rows] for name, rows in shown.items()}


def flat(values: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each number, word or nothing that lies in nested values, by its dotted name."""
    if isinstance(values, dict):
        for key, value in values.items():
            yield from flat(value, f"{name}{key}.")
    elif not isinstance(values, list):
        yield name.removesuffix("."), values
    elif all(isinstance(value, int | float | str) for value in values):
        yield name.removesuffix("."), ", ".join(map(figure, values))


def about(path: Path, checksum: str) -> Record:
    """Return what a JSON file holds about a checkpoint, nothing where it is not there or is about another."""
    return {} if of_checkpoint(path, checksum, "") else read(path)


def figure(value: Any) -> str:
    """Return a value as a cell of a table has it: four digits that count, whole numbers whole, no bars."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")


def row(values: Iterable[Any]) -> str:
    """Return a row of a table."""
    return f"| {' | '.join(map(figure, values))} |"


PAGES.filters |= {"figure": figure, "row": row}
