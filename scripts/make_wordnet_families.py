"""Write the embedded definitions of the template from WordNet, as Debian's package holds it.

Run once, by hand, when the data or the split is to change; the same package gives the same files, byte for byte:

    uv run --no-project --with numpy python scripts/make_wordnet_families.py wordnet-base_3.0-37_all.deb
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

FOLDER = Path(__file__).parents[1] / "template/src/{{ package_name }}/data/wordnet_families"
PACKAGE = "wordnet-base 1:3.0-37"
SHA256 = "61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752"
NOUNS = "./usr/share/wordnet/data.noun"
SUBJECTS = {  # WordNet's files of nouns, the twelve largest plain ones
    4: "act",
    5: "animal",
    6: "artifact",
    7: "attribute",
    8: "body",
    10: "communication",
    13: "food",
    15: "location",
    18: "person",
    20: "plant",
    26: "state",
    27: "substance",
}
# Definitions that say of themselves that a word is offensive, and sexual and racial ones, are left out.
SKIP = re.compile(
    r"offens|disparag|derogat|slur\b|slang|obscen|vulgar|pejorat|contempt|negro|black person|jewish|homosex|"
    r"prostitut|sexual|\bsex\b|genital|penis|vagina|intercourse|anus\b|rape\b|nazi|racial|mongoloid|caucasoid",
    re.IGNORECASE,
)
SPLIT_SEED, NUM_FAMILIES, LEAST, MOST = 2026, 200, 20, 30  # members of a family
FRACTIONS = {"train": 0.60, "val": 0.20, "test": 0.20}  # of each family
SHORTEST, WIDTH, TITLE_WIDTH = 20, 120, 48  # bytes of a definition, and at most of its word


class Noun(NamedTuple):
    """One meaning of WordNet."""

    subject: int
    word: str
    text: str
    parents: list[str]
    instance: bool


def read_package(package: Path) -> tuple[dict[str, Noun], str]:
    """Every noun by its key, and the licence, which is the file's head with numbered lines."""
    if (found := hashlib.sha256(package.read_bytes()).hexdigest()) != SHA256:
        raise SystemExit(f"{package}: SHA-256 is {found}, want {SHA256}")
    unpack = ["dpkg-deb", "--fsys-tarfile", str(package)]
    content = subprocess.run(unpack, check=True, capture_output=True).stdout  # noqa: S603 (the file is the known one)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        file = archive.extractfile(NOUNS)
        assert file is not None
        lines = file.read().decode().splitlines()
    licence = [re.sub(r"^ +\d+ ?", "", line).rstrip() for line in lines if line.startswith("  ")]
    return {line.split()[0]: read_noun(line) for line in lines if not line.startswith("  ")}, "\n".join(licence) + "\n"


def read_noun(line: str) -> Noun:
    """Take a line apart as wndb(5WN) describes it."""
    head, gloss = line.split(" | ", 1)
    fields = head.split()
    first = 4 + 2 * int(fields[3], 16)  # of the pointers, behind the words
    pointers = [fields[first + 1 + 4 * n : first + 5 + 4 * n] for n in range(int(fields[first]))]
    parents = [key for symbol, key, *_ in pointers if symbol == "@"]
    text = re.split(r';\s*"', gloss)[0].strip().strip(";").strip()  # without its examples
    instance = any(symbol == "@i" for symbol, *_ in pointers)
    return Noun(int(fields[1]), fields[4].replace("_", " "), text, parents, instance)


def find_families(nouns: dict[str, Noun]) -> dict[str, list[str]]:
    """Nouns by the one that is their only parent, of the same subject; no definition occurs twice."""
    times, families = Counter(noun.text for noun in nouns.values()), defaultdict[str, list[str]](list)
    for key, noun in sorted(nouns.items()):
        fits = SHORTEST <= len(noun.text) <= WIDTH and len(noun.word) <= TITLE_WIDTH and times[noun.text] == 1
        plain = noun.text.isascii() and noun.word.isascii() and not SKIP.search(f"{noun.text} {noun.word}")
        if fits and plain and not noun.instance and len(noun.parents) == 1 and noun.subject in SUBJECTS:
            families[noun.parents[0]].append(key)
    alike = {key: [one for one in those if nouns[one].subject == nouns[key].subject] for key, those in families.items()}
    return {key: those for key, those in alike.items() if len(those) >= LEAST and not SKIP.search(str(nouns[key]))}


def packed(texts: list[str], width: int) -> np.ndarray:
    """Texts as bytes [N, width], padded with 0."""
    return np.frombuffer(b"".join(text.encode("ascii").ljust(width, b"\0") for text in texts), np.uint8).reshape(
        -1, width
    )


def main() -> None:
    """Draw families and members, split every family, write two data files, the manifest and the licence."""
    nouns, licence = read_package(Path(sys.argv[1]))
    families, rng = find_families(nouns), np.random.default_rng(SPLIT_SEED)
    chosen = sorted(np.array(sorted(families))[rng.permutation(len(families))[:NUM_FAMILIES]].tolist())
    rows: dict[str, list[tuple[int, str]]] = {name: [] for name in FRACTIONS}
    for family, parent in enumerate(chosen):
        keys = [families[parent][n] for n in rng.permutation(len(families[parent]))[:MOST]]
        edges = np.round(np.cumsum(list(FRACTIONS.values()))[:-1] * len(keys)).astype(int)
        for name, part in zip(FRACTIONS, np.split(np.array(keys), edges), strict=True):
            rows[name] += [(family, str(key)) for key in part]
    content = dict[str, np.ndarray]()
    for name, members in rows.items():
        order = [members[n] for n in rng.permutation(len(members))]
        content[f"{name}_inputs"] = packed([nouns[key].text for _, key in order], WIDTH)
        content[f"{name}_titles"] = packed([nouns[key].word for _, key in order], TITLE_WIDTH)
        content[f"{name}_targets"] = np.array([family for family, _ in order], np.int16)
    named = [{"name": nouns[key].word, "subject": SUBJECTS[nouns[key].subject]} for key in chosen]
    write(content, named, licence)


def write(content: dict[str, np.ndarray], families: list[dict[str, str]], licence: str) -> None:
    """Write the arrays of all splits, the licence, and the manifest that names the checksums."""
    files = {
        "wordnet_families.npz": {key: array for key, array in content.items() if not key.startswith("test")},
        "wordnet_families_test.npz": {key: array for key, array in content.items() if key.startswith("test")},
    }
    FOLDER.mkdir(exist_ok=True)
    for name, arrays in files.items():
        np.savez_compressed(FOLDER / name, allow_pickle=False, **arrays)
    (FOLDER / "LICENSE").write_text(licence, encoding="utf-8")
    manifest = {
        "name": "Definitions of WordNet 3.0 in families",
        "source": f"WordNet 3.0, data.noun, in the form of Debian's package {PACKAGE} (SHA-256 {SHA256})",
        "creators": "Princeton University, 2006",
        "licence": "WordNet 3.0 license, in LICENSE beside this file; it has to go where the data go",
        "licence_url": "https://wordnet.princeton.edu/license-and-commercial-use",
        "attribution": "WordNet 3.0 Copyright 2006 by Princeton University. All rights reserved.",
        "changes": "definitions of nouns without their examples, each with the first of its words; named instances, "
        "definitions that mark a word as offensive or sexual, and definitions that occur twice are left out; a seeded "
        "sample; split; stored as bytes",
        "families": families,
        "columns": "inputs: a definition in ASCII, padded with 0; titles: its word; targets: its family, a position in "
        "families, which is the word that WordNet has above it",
        "arrays": {
            "inputs": {"shape": [WIDTH], "dtype": "uint8", "minimum": 0, "maximum": 126},
            "titles": {"shape": [TITLE_WIDTH], "dtype": "uint8", "minimum": 0, "maximum": 126},
            "targets": {"shape": [], "dtype": "int16", "minimum": 0, "maximum": len(families) - 1},
        },
        "preprocessing": "words, their beginnings and endings are hashed: nothing is fitted. The TF-IDF beside a "
        "result is fitted to the training split",
        "split": {
            "seed": SPLIT_SEED,
            "method": "every family in the stated fractions: no definition is in two splits, every family is in all",
            "fractions": FRACTIONS,
        },
        "rows": {name: len(content[f"{name}_targets"]) for name in FRACTIONS},
        "files": {name: hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in files},
    }
    (FOLDER / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    print(FOLDER, manifest["rows"])


if __name__ == "__main__":
    main()
