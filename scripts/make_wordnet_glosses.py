"""Write the embedded texts of the template: definitions of WordNet 3.0, as Debian's package wordnet-base holds them.

Run once, by hand, when the data or the split is to change; the same package gives the same files:

    PYTHONPATH=working uv run python scripts/make_wordnet_glosses.py wordnet-base_3.0-37_all.deb
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np

from my_project.data.tokens import encode, fit_vocabulary, words

FOLDER = Path(__file__).parents[1] / "template/src/{{ package_name }}/data/wordnet_glosses"
PACKAGE, NOUNS = "wordnet-base 1:3.0-37", "./usr/share/wordnet/data.noun"
SHA256 = "61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752"
# WordNet's files of nouns, one a subject (lexnames(5WN)): the twelve largest plain ones.
SUBJECTS = {4: "act", 5: "animal", 6: "artifact", 7: "attribute", 8: "body", 10: "communication"}
SUBJECTS |= {13: "food", 15: "location", 18: "person", 20: "plant", 26: "state", 27: "substance"}
MOST, SHORTEST, LONGEST = 1500, 20, 160  # texts of a class; characters of a text
SPLIT_SEED, FRACTIONS = 2026, {"train": 0.70, "val": 0.15, "test": 0.15}
# Definitions that say of themselves that a word is offensive, and sexual ones, are left out.
SKIP = re.compile(
    r"offens|disparag|derogat|slur\b|slang|obscen|vulgar|pejorat|contempt|negro|black person|jewish|homosex|"
    r"prostitut|sexual|genital|penis|vagina|intercourse|anus\b|rape\b|nazi",
    re.IGNORECASE,
)
Rows = list[tuple[str, int]]  # text and number of its class


def read_lines(package: Path) -> list[str]:
    """Return the lines of WordNet's nouns out of Debian's package; the licence is at their head."""
    if (found := hashlib.sha256(package.read_bytes()).hexdigest()) != SHA256:
        raise SystemExit(f"{package}: SHA-256 is {found}, want {SHA256}")
    command = ["dpkg-deb", "--fsys-tarfile", str(package)]
    archive = subprocess.run(command, check=True, capture_output=True).stdout  # noqa: S603 (a package with that checksum)
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        content = files.extractfile(NOUNS)
        assert content
        return content.read().decode().splitlines()


def read_pools(lines: list[str]) -> dict[str, list[str]]:
    """Return for each subject the definitions, as words in lower case, that no other subject has."""
    owners = dict[str, set[int]]()
    for line in lines:
        head, _, gloss = line.partition(" | ")
        fields, text = head.split(), re.split(r';\s*"', gloss)[0].strip(" ;")  # without its examples
        fits = SHORTEST <= len(text) <= LONGEST and not text.startswith('"') and not SKIP.search(gloss)
        if fits and "@i" not in fields and int(fields[1]) in SUBJECTS:  # @i: something with a name of its own
            owners.setdefault(" ".join(words(text)), set()).add(int(fields[1]))
    return {SUBJECTS[n]: sorted(text for text in owners if owners[text] == {n}) for n in SUBJECTS}


def split(pools: dict[str, list[str]]) -> dict[str, Rows]:
    """Return the rows of each split, every class in the stated fractions, in seeded order."""
    rng, parts = np.random.default_rng(SPLIT_SEED), dict[str, Rows]((name, []) for name in FRACTIONS)
    for target, pool in enumerate(pools.values()):
        order = rng.permutation(len(pool))[:MOST]
        edges = np.round(np.cumsum([*FRACTIONS.values()])[:-1] * len(order)).astype(int)
        for rows, places in zip(parts.values(), np.split(order, edges), strict=True):
            rows += [(pool[place], target) for place in places]
    return {name: [rows[place] for place in rng.permutation(len(rows))] for name, rows in parts.items()}


def main() -> None:
    """Write the arrays of all splits, the licence, and the manifest that names schema and checksums."""
    lines = read_lines(Path(sys.argv[1]))
    parts = split(read_pools(lines))
    vocabulary = fit_vocabulary(text for text, _ in parts["train"])
    length, arrays = max(len(text.split()) for rows in parts.values() for text, _ in rows), dict[str, np.ndarray]()
    seen = set[bytes]()
    for name, rows in parts.items():
        tokens = encode([text for text, _ in rows], vocabulary, length)
        # Texts that differ only in words that the training split lacks are one text to whoever reads tokens.
        first = {values.tobytes(): row for row, values in reversed([*enumerate(tokens)])}
        kept = sorted(row for key, row in first.items() if key not in seen)
        seen |= first.keys()
        arrays[f"{name}_inputs"] = tokens[kept]
        arrays[f"{name}_targets"] = np.array([target for _, target in rows], np.uint8)[kept]
    files = {
        "wordnet_glosses.npz": {key: array for key, array in arrays.items() if not key.startswith("test")},
        "wordnet_glosses_test.npz": {key: array for key, array in arrays.items() if key.startswith("test")},
    }
    files["wordnet_glosses.npz"]["vocabulary"] = np.array(vocabulary)
    FOLDER.mkdir(exist_ok=True)
    for file, content in files.items():
        np.savez_compressed(FOLDER / file, allow_pickle=False, **content)
    licence = [re.sub(r"^ +\d+ ?", "", line).rstrip() for line in lines if line.startswith("  ")]  # of numbered lines
    (FOLDER / "LICENSE").write_text("\n".join(licence) + "\n", encoding="utf-8")
    write_manifest(arrays, len(vocabulary), [*files])


def write_manifest(arrays: dict[str, np.ndarray], vocab_size: int, files: list[str]) -> None:
    """Write what the data are, where they come from, under which licence, and what was done to them."""
    manifest = {
        "name": "Definitions of WordNet 3.0",
        "source": f"WordNet 3.0, data.noun, in the form of Debian's package {PACKAGE} (SHA-256 {SHA256})",
        "creators": "Princeton University, 2006",
        "licence": "WordNet 3.0 license, in LICENSE beside this file; it has to go where the data go",
        "licence_url": "https://wordnet.princeton.edu/license-and-commercial-use",
        "attribution": "WordNet 3.0 Copyright 2006 by Princeton University. All rights reserved.",
        "changes": "definitions of nouns without their examples, as words in lower case; left out are named instances, "
        "definitions that mark a word as offensive or sexual, and those that two subjects share; a seeded sample of at "
        f"most {MOST:,} of each of twelve subjects; split; stored as tokens",
        "labels": list(SUBJECTS.values()),
        "columns": "inputs: the words of a definition as places in the vocabulary, padded with 0, 1 for a word that is "
        "not in it; targets: its subject, a place in labels",
        "arrays": {
            "inputs": {
                "shape": [*arrays["train_inputs"].shape[1:]],
                "dtype": "uint16",
                "minimum": 0,
                "maximum": vocab_size - 1,
            },
            "targets": {"shape": [], "dtype": "uint8", "minimum": 0, "maximum": len(SUBJECTS) - 1},
        },
        "preprocessing": f"the vocabulary, all {vocab_size - 2:,} words of the training split, most frequent first, is "
        "fitted to that split alone and lies beside its rows",
        "split": {"seed": SPLIT_SEED, "method": "stratified by class; no text is in two", "fractions": FRACTIONS},
        "rows": {name: len(arrays[f"{name}_targets"]) for name in FRACTIONS},
        "files": {name: hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in files},
    }
    (FOLDER / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    print(FOLDER, manifest["rows"], vocab_size)


if __name__ == "__main__":
    main()
