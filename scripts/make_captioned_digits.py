"""Write the captioned digits of the template: its digits, a window of each hidden, and made captions beside them.

Run once, by hand, when the digits, the captions or the windows are to change:

    PYTHONPATH=working uv run python scripts/make_captioned_digits.py

The captions are synthetic. What a caption says of its digit, and which window is hidden, is a function of SEED, the
split and the row alone.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from my_project.data.digits import DigitsConfig
from my_project.data.loader import read_arrays, read_manifest

FOLDER = Path(__file__).parents[1] / "template/src/{{ package_name }}/data/captioned_digits"
SEED, SPLITS = 2026, ("train", "val", "test")
WINDOW = 5  # pixels: the side of the square that is hidden
WRONG = 0.1  # share of facts that a caption tells wrongly
SILENT = 0.1  # share of captions that leave one of the two facts out
NEGATED = 0.2  # share of facts that are told by the opposite's name with `not` before it
LARGE = 5  # the least digit that is called large
LONGEST = 10  # tokens
BEGINNINGS = ("", "it is", "this one is", "the digit is", "i see one that is")
PARITY = (("even",), ("odd",))
SIZE = (("small", "low"), ("large", "high", "big"))  # from 5 on it is large
WORDS = sorted({word for phrase in (*BEGINNINGS, *sum(PARITY + SIZE, ()), "not and but") for word in phrase.split()})
VOCABULARY = ["", "?", *WORDS]  # padding, unknown


def phrase(rng: np.random.Generator, opposites: tuple[tuple[str, ...], ...], fact: int) -> list[str]:
    """Return words for a fact, by its name or by the opposite's with `not` before it, sometimes wrongly."""
    told, negated = fact ^ (rng.random() < WRONG), rng.random() < NEGATED
    word = str(rng.choice(opposites[told ^ negated]))
    return ["not", word] if negated else [word]


def caption(rng: np.random.Generator, digit: int) -> list[str]:
    """Return the words that are said of a digit."""
    phrases = [phrase(rng, PARITY, digit % 2), phrase(rng, SIZE, int(digit >= LARGE))]
    phrases = [phrases[number] for number in rng.permutation(2)[: 1 if rng.random() < SILENT else 2]]
    joined = [word for part in phrases[1:] for word in (str(rng.choice(("and", "but"))), *part)]
    return [*str(rng.choice(BEGINNINGS)).split(), *phrases[0], *joined]


def make_row(split: int, row: int, image: np.ndarray, digit: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the image with a window hidden, and the caption as token ids padded with 0."""
    rng = np.random.default_rng((SEED, split, row))
    image, ids = image.copy(), np.zeros(LONGEST, np.uint8)
    top, left = rng.integers(0, len(image) - WINDOW, 2, endpoint=True)
    image[top : top + WINDOW, left : left + WINDOW] = 0
    words = caption(rng, digit)
    ids[: len(words)] = [VOCABULARY.index(word) for word in words]
    return image, ids


def main() -> None:
    """Write the two data files and the manifest that names their checksums."""
    source = DigitsConfig().root
    digits, arrays = read_arrays(source, "digits.npz") | read_arrays(source, "digits_test.npz"), dict[str, np.ndarray]()
    for number, split in enumerate(SPLITS):
        targets = digits[f"{split}_targets"]
        pairs = zip(digits[f"{split}_inputs"], targets.tolist(), strict=True)
        images, words = zip(*(make_row(number, row, *pair) for row, pair in enumerate(pairs)), strict=True)
        arrays |= {f"{split}_inputs": np.stack(images), f"{split}_words": np.stack(words), f"{split}_targets": targets}
    FOLDER.mkdir(exist_ok=True)
    sealed = {name: array for name, array in arrays.items() if name.startswith("test")}
    open_ = {name: array for name, array in arrays.items() if name not in sealed}
    np.savez_compressed(FOLDER / "captioned_digits.npz", allow_pickle=False, vocabulary=np.array(VOCABULARY), **open_)
    np.savez_compressed(FOLDER / "captioned_digits_test.npz", allow_pickle=False, **sealed)
    old = read_manifest(source)
    schema = old["arrays"] | {
        "words": {"shape": [LONGEST], "dtype": "uint8", "minimum": 0, "maximum": len(VOCABULARY) - 1}
    }
    manifest = {
        **{key: old[key] for key in ("name", "source", "creators", "licence", "licence_url")},
        "name": f"{old['name']}, each with a window hidden and a synthetic caption",
        "changes": f"{old['changes']}; a window of {WINDOW} by {WINDOW} pixels of each image set to 0; captions added",
        "captions": f"synthetic, made by a program from the class, seed {SEED}: they tell whether a digit is even and "
        f"whether it is {LARGE} or more; {WRONG:.0%} of these facts are wrong, {SILENT:.0%} of captions leave one out",
        "arrays": schema,
        "preprocessing": "pixels divided by 16, the sensor's range; the vocabulary is that of the program that makes "
        "captions: nothing is fitted",
        "split": old["split"],
        "rows": old["rows"],
        "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(FOLDER.glob("*.npz"))},
    }
    (FOLDER / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
