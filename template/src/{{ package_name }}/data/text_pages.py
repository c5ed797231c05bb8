"""Makes a data folder of one text file: pages of bytes, split by position, with the manifest that they must match."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

PAGE = 512  # bytes of a row in the files; what fills no page at the end of the text is left out
ENDS = {"train": 0.8, "val": 0.9, "test": 1.0}  # where in the text the splits end


def pack(text: Path, folder: Path, **about: Any) -> dict[str, Any]:
    """Write text.npz, text_test.npz and manifest.json of a text file of any encoding; return the manifest.

    `about` is what only you know: name, source, licence, attribution. Raises ValueError where a split gets no page.
    """
    content = np.fromfile(text, np.uint8)
    pages = content[: len(content) // PAGE * PAGE].reshape(-1, PAGE)
    ends = [round(len(pages) * end) for end in ENDS.values()]
    splits = dict(zip(ENDS, np.split(pages, ends[:-1]), strict=True))
    if empty := [name for name, part in splits.items() if not len(part)]:
        raise ValueError(f"{text}: {len(content)} bytes leave no page of {PAGE} bytes for {', '.join(empty)}; add text")
    files, folder = {"text.npz": ("train", "val"), "text_test.npz": ("test",)}, Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, parts in files.items():
        arrays: dict[str, Any] = {f"{part}_inputs": splits[part] for part in parts}
        np.savez_compressed(folder / name, **arrays)
    manifest = {
        **about,
        "arrays": {"inputs": {"shape": [PAGE], "dtype": "uint8", "minimum": 0, "maximum": 255}},
        "preprocessing": f"the bytes of the text in pages of {PAGE}; nothing is fitted",
        "split": {
            "seed": None,
            "method": "by position: the first part trains, the last one tests",
            "ends": ENDS,
        },
        "rows": {name: len(part) for name, part in splits.items()},
        "files": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return manifest
