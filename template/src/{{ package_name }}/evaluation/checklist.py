"""What a reader wants who is to get the same figures: a list in Markdown, filled from what a run left."""

import hashlib
import json
from pathlib import Path
from typing import Any

from .report import PAGES


def write_checklist(run: Path, again: Path, record: dict[str, Any]) -> Path:
    """Write checklist.md into the folder of the second run."""
    manifest, newest = read(run / "manifest.json"), read(run / "final.json")
    receipts = [newest, *newest.get("earlier", ())] if newest else []
    checksum = hashlib.sha256((run / "best.pt").read_bytes()).hexdigest()
    page = {
        **{name: manifest.get(name, {}) for name in ("data", "code", "environment")},
        "run": run,
        "record": record,
        "manifest": manifest,
        "source": (read(run / "source.json").get("processes") or [{}])[0],
        "evaluation": {"baselines": {}, **read(run / "evaluation.json")},
        "receipts": receipts,
        "final": next((one for one in receipts if one.get("checkpoint_sha256") == checksum), {}),
        "box": lambda known: "[x]" if known else "[ ]",
    }
    text = PAGES.overlay(autoescape=False).get_template("checklist.txt").render(page)
    (again / "checklist.md").write_text(text + "\n", encoding="utf-8")
    return again / "checklist.md"


def read(path: Path) -> dict[str, Any]:
    """Return what a JSON file of a run says; nothing where there is none."""
    return dict(json.loads(path.read_text("utf-8"))) if path.exists() else {}
