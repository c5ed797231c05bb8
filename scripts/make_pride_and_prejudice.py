"""Write the embedded text of the template from the R package janeaustenr, as Debian has it.

Run once, by hand, when the text or the split is to change, with r-cran-janeaustenr_1.0.0-1_all.deb:

    uv run --with rdata python scripts/make_pride_and_prejudice.py PACKAGE.deb
"""

from __future__ import annotations

import hashlib
import io
import lzma
import re
import sys
import tarfile
import tempfile
import warnings
import zlib
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "template/src/{{ package_name }}/data/pride_and_prejudice"
PACKAGE = "df6bddf211906d1ff404f8ff662c21b34e6660e7f54a311084e749050c019c95"
TEXT = "26af819d4e60839ffe05bbce3027a4d6ba7cae8bff2cc6cd990900ceef5c47c5"
ABOUT = {
    "name": "Pride and Prejudice",
    "source": "Jane Austen, 1813; the text of Project Gutenberg's ebook 1342 as `prideprejudice` in the R package "
    "janeaustenr 1.0.0 (Debian r-cran-janeaustenr 1.0.0-1)",
    "creators": "Jane Austen (died 1817)",
    "licence": "public domain",
    "licence_url": "https://creativecommons.org/publicdomain/mark/1.0/",
    "attribution": "none required; text by way of janeaustenr (MIT, Copyright 2016-2017 Julia Silge)",
    "changes": "one paragraph a line; marks of italics and rows of asterisks removed; the last bytes fill no page",
}


def members(package: bytes) -> dict[str, bytes]:
    """The files of a Debian package's data."""
    place = len("!<arch>\n")
    while place < len(package):
        name, size = package[place : place + 16].decode().strip(), int(package[place + 48 : place + 58])
        content = package[place + 60 : place + 60 + size]
        if name.startswith("data.tar"):
            with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                files = [member for member in archive.getmembers() if member.isfile()]
                return {file.name: extracted.read() for file in files if (extracted := archive.extractfile(file))}
        place += 60 + size + size % 2
    raise SystemExit("no data in the package")


def inflated(chunk: bytes) -> bytes:
    """What R's lazy-load data base holds in one chunk: four bytes of length, a letter for the method, the content."""
    if chunk[4:5] == b"Z":
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 6 | lzma.PRESET_EXTREME, "dict_size": 1 << 26}]
        return lzma.decompress(chunk[5:], format=lzma.FORMAT_RAW, filters=filters)
    return zlib.decompress(chunk[4:])


def lines_of(package: bytes) -> list[str]:
    """The lines of the novel in the package."""
    rdata: Any = import_module("rdata")
    files = members(package)
    index, base = (next(v for k, v in files.items() if k.endswith(end)) for end in ("data/Rdata.rdx", "data/Rdata.rdb"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        places = rdata.conversion.convert(rdata.parser.parse_data(index))["variables"]
        start, size = map(int, places["prideprejudice"])
        content = rdata.parser.parse_data(inflated(base[start : start + size]))
        return [str(line) for line in rdata.conversion.convert(content)]


def main() -> None:
    """Write the two data files and the manifest that names their checksums."""
    package = Path(sys.argv[1]).read_bytes()
    if hashlib.sha256(package).hexdigest() != PACKAGE:
        raise SystemExit(f"{sys.argv[1]} is another package than r-cran-janeaustenr_1.0.0-1_all.deb")
    blocks = re.split(r"\n\s*\n", "\n".join(lines_of(package)))
    paragraphs = [re.sub(r"\s+", " ", block.replace("_", "")).strip() for block in blocks]
    text = "\n\n".join(part for part in paragraphs if part and not re.fullmatch(r"[* ]+", part)) + "\n"
    if hashlib.sha256(text.encode()).hexdigest() != TEXT:
        raise SystemExit("the text is another one than before")
    sys.path.insert(0, str(ROOT / "working"))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "text.txt").write_text(text, encoding="utf-8")
        pack = import_module("my_project.data.text_pages").pack
        print(pack(Path(folder) / "text.txt", FOLDER, **ABOUT)["rows"])


if __name__ == "__main__":
    main()
