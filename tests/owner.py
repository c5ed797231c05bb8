"""What an owner does to a project before an update, and what of it is still there after one."""

from __future__ import annotations

import hashlib
import re
from io import BytesIO
from pathlib import Path

import numpy as np

FUNCTION = '''

def warm_up(rate: float) -> float:
    """Return a learning rate that is a tenth of another."""
    return rate / 10
'''
CHANGED = "        self.model.train()\n"
README = "# Ours\n\nNothing of the template's page is left.\n"
PLACES = {  # where a line is added, after which line: all that is shared has such a place
    "pyproject.toml": ("    # Yours follow here, one a line.\n", '    "tqdm>=4.60",\n'),
    ".gitignore": ("# Yours follow here, one a line.\n", "/ours/\n"),
    ".gitattributes": ("# Yours follow here, one a line.\n", "*.ours binary\n"),
    "CLAUDE.md": ("rules above do not say. -->\n", "\n- Ask Ada.\n"),
    "AGENTS.md": ("rules above do not say. -->\n", "\n- Ask Ada.\n"),
}


def package(folder: Path) -> Path:
    """The folder of a project's own package."""
    return next(path for path in (folder / "src").iterdir() if not path.name.endswith("_agents"))


def replace(path: Path, old: str, new: str) -> None:
    """Change the first place of a text in a file that must have it."""
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path} has no {old!r}"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def rename_class(folder: Path, old: str, new: str) -> int:
    """Give a class another name wherever it stands; return in how many files that is."""
    texts = {path: path.read_text("utf-8") for room in ("src", "tests") for path in (folder / room).rglob("*.py")}
    changed = {path: re.sub(rf"\b{old}\b", new, text) for path, text in texts.items() if re.search(rf"\b{old}\b", text)}
    for path, text in changed.items():
        path.write_text(text, encoding="utf-8")
    return len(changed)


def replace_data(folder: Path) -> None:
    """Write one data file of the package anew, as other bytes, and its checksum into the manifest."""
    path = next(iter(sorted(package(folder).glob("data/*/*.npz"))), None)
    if path:
        before, written = path.read_bytes(), BytesIO()
        with np.load(path) as arrays:
            np.savez(written, **arrays)
        assert written.getvalue() != before
        path.write_bytes(written.getvalue())
        sums = [hashlib.sha256(data).hexdigest() for data in (before, written.getvalue())]
        replace(path.parent / "manifest.json", *sums)


def edit(folder: Path) -> None:
    """Do it all."""
    source = package(folder)
    with (source / "training/optimizer.py").open("a", encoding="utf-8") as file:
        file.write(FUNCTION)
    replace(source / "training/trainer.py", CHANGED, f"{CHANGED}        self.owner = 'us'\n".replace("'", '"'))
    for name, (mark, line) in PLACES.items():
        if (folder / name).exists():
            replace(folder / name, mark, mark + line)
    preset = re.findall(r"^\w+", (source / "presets/default.txt").read_text("utf-8"), re.MULTILINE)[0]
    for room, end in ((source / "presets", "yaml"), (folder / "tests/golden", "json")):
        (room / f"ours.{end}").write_bytes((room / f"{preset}.{end}").read_bytes())
    assert rename_class(folder, "Journal", "Journey") > 1
    (folder / "tests/test_faults.py").unlink()
    (folder / "README.md").write_text(README, encoding="utf-8")
    for name in ("tasks.json", ".claude/tasks/ml-engineer-tasks.md"):
        if (folder / name).exists():
            text = (folder / name).read_text("utf-8")
            (folder / name).write_text(text.replace("Problem formulation", "What we want"), encoding="utf-8")
    replace_data(folder)


def lost(folder: Path, edited: dict[str, bytes]) -> list[str]:
    """Name what an update has taken from an owner's edits, given the files as they were before it."""
    source, inside = package(folder), f"src/{package(folder).name}"
    found = [name for name, (mark, line) in PLACES.items() if name in edited and mark + line not in text(folder / name)]
    found += ["function"] * (FUNCTION not in text(source / "training/optimizer.py"))
    found += ["change"] * (f'{CHANGED}        self.owner = "us"\n' not in text(source / "training/trainer.py"))
    found += ["class"] * (rename_class(folder, "Journal", "Journal") > 0)
    found += ["deletion"] * (folder / "tests/test_faults.py").exists()
    kept = {"README.md", "tasks.json", ".claude/tasks/ml-engineer-tasks.md", f"{inside}/presets/ours.yaml"}
    kept |= {"tests/golden/ours.json"}
    kept |= {name for name in edited if name.startswith(f"{inside}/data/") and name.count("/") > 3}
    return found + [name for name in sorted(kept & edited.keys()) if (folder / name).read_bytes() != edited[name]]


def text(path: Path) -> str:
    """The text of a file."""
    return path.read_text(encoding="utf-8")
