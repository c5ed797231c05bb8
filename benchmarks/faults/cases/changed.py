"""Resumes after something was changed: an option, the data, the code, the number of steps."""

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

from ..bench import ROOT, Lab
from ..expect import CALM, Case, Seen, at, exits, fact, says

DATA = ROOT / "working" / "my_project" / "data" / "digits"
GIT = ("git", "-c", "user.name=faults", "-c", "user.email=faults@localhost", "-c", "commit.gpgsign=false")


def changed(lab: Lab, word: str, **changes: object) -> Seen:
    """Kill a run in step 12, resume it with other options; quote what is said of them."""
    lab.copy()
    ended = lab.resume(changes=changes)
    seen = Seen(ended, lab.left())
    return quote(seen, word)


def quote(seen: Seen, word: str) -> Seen:
    """Quote the line that speaks of the change, or note that there is none; and whether it trained on."""
    lines = [line.strip() for line in seen.run.said.splitlines() if re.search(word, line)]
    seen.facts.update(trained=len(seen.run.losses), told=bool(lines))
    if lines and not seen.run.status:
        seen.quoted = lines[-1]
    trained = f"trains on, {len(seen.run.losses)} steps"
    seen.notes += [trained + ("" if lines else ", without a word of it")] if seen.run.losses else []
    return seen


def other_data(lab: Lab) -> Seen:
    """Train on a copy of the data, turn the images of one class around, refresh their manifest, resume."""
    copy_data(lab, "data")
    lab.copy(folder="data")
    change_data(lab, "data")
    ended = lab.resume(folder="data")
    return quote(Seen(ended, lab.left()), "(?i)data|manifest|sha")


def copy_data(lab: Lab, name: str) -> None:
    """Copy the data into a folder of the case."""
    folder = lab.folder / name
    folder.mkdir(parents=True)
    for path in DATA.glob("*.*"):
        if path.suffix in {".npz", ".json"}:
            shutil.copy(path, folder)


def change_data(lab: Lab, name: str) -> None:
    """Change the data in a folder of the case, and the manifest with them."""
    folder = lab.folder / name
    lab.look("change_digits", name)
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    manifest["files"] = {name: checksum(folder / name) for name in manifest["files"]}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def checksum(path: Path) -> str:
    """Return a file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def commit(folder: Path, text: str) -> None:
    """Commit a file of a repository."""
    (folder / "code.py").write_text(text, encoding="utf-8")
    for words in (["init", "-q"], ["add", "code.py"], ["commit", "-qm", "change"]):
        subprocess.run([*GIT, *words], cwd=folder, check=True, capture_output=True)


def other_code(lab: Lab) -> Seen:
    """Commit a change of the code between a run and its resume."""
    commit(lab.folder, "VALUE = 1\n")
    lab.copy()
    commit(lab.folder, "VALUE = 2\n")
    return quote(Seen(lab.resume(), lab.left()), "(?i)code|commit|version of")


REFUSED = CALM | exits(2) | fact("trained", 0) | at("last.pt", 10)

CASES = [
    Case(
        "other-lr",
        "resume with another learning rate",
        lambda lab: changed(lab, "lr", lr=0.05),
        REFUSED | says(r"optim\.lr", "0.002", "0.05"),
    ),
    Case(
        "other-seed",
        "resume with another seed",
        lambda lab: changed(lab, "seed", seed=1),
        REFUSED | says(r"train\.seed", "has 0", "given 1"),
    ),
    Case(
        "other-batch",
        "resume with another batch size",
        lambda lab: changed(lab, "batch", batch_size=32),
        REFUSED | says(r"data\.batch_size", "64", "32"),
    ),
    Case(
        "other-shape",
        "resume with another width of the network",
        lambda lab: changed(lab, "dim|size mismatch", dim=128),
        REFUSED | says(r"model\.dim", "256", "128"),
    ),
    Case(
        "other-two",
        "resume with another clipping and dropout at once",
        lambda lab: changed(lab, "clip|dropout", grad_clip=0.5, dropout=0.1),
        REFUSED | says(r"optim\.grad_clip", r"model\.dropout"),
    ),
    Case(
        "other-data",
        "resume after the data were changed",
        other_data,
        CALM | exits(2, 4) | fact("trained", 0) | says("(?i)data|manifest"),
    ),
    Case("other-code", "resume after the code was changed", other_code, CALM | exits(0) | fact("told", True)),
]
