"""The data in the package carry the notices that their licences ask for."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.answers import ROOT

FOLDERS = sorted(path.parent for path in (ROOT / "template/src").glob("*/data/*/manifest.json"))
# What each licence asks for: entries of the manifest, or its own text beside the data.
ENTRIES = {"CC BY 4.0": ("creators", "source", "licence_url", "changes")}
TEXTS = {"MIT": "Permission is hereby granted", "WordNet 3.0": "Princeton University"}
FREE = "public domain"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_data_folder_carries_the_notice_of_its_licence(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    licence = manifest["licence"]
    known = [name for name in (*ENTRIES, *TEXTS, FREE) if licence.startswith(name)]
    assert len(known) == 1, f"{licence}: say in this test what it asks for"
    for entry in ENTRIES.get(known[0], ("source",)):
        assert str(manifest.get(entry, "")).strip(), f"{licence} asks for '{entry}' in the manifest"
    if known[0] in TEXTS:
        text = (folder / "LICENSE").read_text(encoding="utf-8")
        assert TEXTS[known[0]] in text
        assert re.search(r"copyright .*\d{4}", text, re.IGNORECASE)
