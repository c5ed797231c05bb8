# copier: filter replace("my_project", package_name) | replace("digit.csv", example_input)
"""Make a data folder of a CSV file of your own, columns text and label: python examples/own_texts.py FILE FOLDER.

Every class is split 70 : 15 : 15, the vocabulary is fitted to the training split, and texts that read alike are kept
once. Rows that share their value of --group get into one split.
"""

import csv
import hashlib
import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np

from my_project.data.tokens import encode, fit_vocabulary, words

SEED, FRACTIONS = 2026, {"train": 0.70, "val": 0.15, "test": 0.15}
LONGEST = 256  # words of a text that are kept


def read(path: Path, columns: list[str]) -> list[list[str]]:
    """Return the cells of each named column."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = csv.DictReader(file)
        if missing := [name for name in columns if name not in (lines.fieldnames or ())]:
            raise SystemExit(
                f"{path}: there is no column {', '.join(missing)}; found {', '.join(lines.fieldnames or ())}"
            )
        rows = [[line[name] or "" for name in columns] for line in lines]
    if not rows:
        raise SystemExit(f"{path}: there is no row")
    return [list(cells) for cells in zip(*rows, strict=True)]


def split(labels: list[str], groups: list[str]) -> np.ndarray:
    """Return the number of each row's split [N]: every class in the stated fractions, a group by its first row's."""
    rng, place = np.random.default_rng(SEED), dict[str, int]()
    first = dict(zip(reversed(groups), reversed(labels), strict=True))
    for label in sorted(set(labels)):
        members = rng.permutation(sorted(group for group in first if first[group] == label)).tolist()
        edges = np.round(np.cumsum([*FRACTIONS.values()])[:-1] * len(members))
        place |= {group: int(np.searchsorted(edges, number, side="right")) for number, group in enumerate(members)}
    return np.array([place[group] for group in groups])


def first_of_each(rows: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """Return the numbers of rows [N, L] without those that equal an earlier one; training rows come first."""
    first = dict[bytes, int]()
    for row in np.argsort(splits, kind="stable").tolist():
        first.setdefault(rows[row].tobytes(), row)
    return np.array(sorted(first.values()))


def write(folder: Path, arrays: dict[str, np.ndarray], splits: np.ndarray, vocabulary: list[str]) -> dict[str, Any]:
    """Write the two data files; return what the manifest says of their schema and checksums."""
    found: dict[str, Any] = {"arrays": {}, "rows": {}, "files": {}}
    folder.mkdir(parents=True)
    for part, values in arrays.items():
        schema = {"shape": [*values.shape[1:]], "dtype": str(values.dtype), "minimum": 0, "maximum": int(values.max())}
        found["arrays"][part] = schema
    for file, names in (("texts.npz", ("train", "val")), ("texts_test.npz", ("test",))):
        rows = {name: splits == [*FRACTIONS].index(name) for name in names}
        content = {f"{name}_{part}": values[rows[name]] for name in names for part, values in arrays.items()}
        if "train" in names:
            content["vocabulary"] = np.array(vocabulary)
        np.savez_compressed(folder / file, allow_pickle=False, **content)
        found["files"][file] = hashlib.sha256((folder / file).read_bytes()).hexdigest()
        found["rows"] |= {name: int(rows[name].sum()) for name in names}
    return found


def main(arguments: list[str] | None = None) -> None:
    """Read the words of the command line, write the folder, and say which options a model needs for it."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--group", help="a column; rows with the same value stay together")
    parser.add_argument("--source", required=True, help="where the texts come from")
    parser.add_argument("--licence", required=True, help="under which they may be used; proprietary is an answer")
    given = parser.parse_args(arguments)
    if given.folder.exists():
        raise SystemExit(f"{given.folder}: it is there already; name another folder")
    texts, names, *more = read(given.file, ["text", "label", *([given.group] if given.group else [])])
    splits, labels = split(names, *(more or [[str(row) for row in range(len(names))]])), sorted(set(names))
    vocabulary = fit_vocabulary(text for text, place in zip(texts, splits, strict=True) if place == 0)
    inputs = encode(texts, vocabulary, min(LONGEST, max(len(words(text)) for text in texts)))
    targets, kept = np.array([labels.index(name) for name in names], np.int64), first_of_each(inputs, splits)
    if any((splits[kept] == place).sum() == 0 for place in range(len(FRACTIONS))):
        raise SystemExit(f"{given.file}: {len(kept)} texts are too few to have some in each split")
    manifest = {"name": given.file.stem, "source": given.source, "licence": given.licence, "labels": labels}
    manifest |= {"preprocessing": "the vocabulary is fitted to the training split alone and lies beside its rows"}
    manifest |= {"split": {"seed": SEED, "method": f"stratified by class, by {given.group or 'row'}"}}
    manifest |= write(given.folder, {"inputs": inputs[kept], "targets": targets[kept]}, splits[kept], vocabulary)
    (given.folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    options = {"data.folder": str(given.folder), "model.num_classes": len(labels), "model.vocab_size": len(vocabulary)}
    print(json.dumps({"rows": manifest["rows"], "options": options}))


if __name__ == "__main__":
    main()
    # copier: endfilter
