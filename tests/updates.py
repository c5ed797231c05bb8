"""Updates projects between two versions of the template: the working tree, and one that touches every file of it."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import subprocess
import warnings
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import copier
import yaml

from tests.answers import ALL, Answers
from tests.harness import GIT, release, render, snapshot

BEFORE, AFTER = "v999.0.0", "v999.0.1"
TEMPLATE = {"copier.yml", "messages", "template"}
NEXT = "The next version."
LATER = "v999.1.0"
NOTE = "The question docker is called container."
CONTAINER = r"container:\1'{{ docker | default(false) }}'"
NOTES = rf"\1{{ {LATER[1:]}: {NOTE} }}"
HASH = {".py", ".toml", ".yaml", ".yml", ".sbatch", ".gitignore", ".gitattributes", ".dockerignore", "Dockerfile"}


def touched(path: Path, text: str) -> str:
    """Add to a file's text what its format allows and nobody reads, away from where owners write."""
    first, _, rest = text.partition("\n")
    if path.suffix in HASH or path.name in HASH:
        keep = first.startswith("#!") or path.suffix in {".yaml", ".yml"}
        return f"{first}\n# {NEXT}\n{rest}" if keep else f"# {NEXT}\n{text}"
    if path.suffix in {".md", ".prompt"}:
        return re.sub(r"^# .*\n", rf"\g<0>\n<!-- {NEXT} -->\n", text, count=1, flags=re.MULTILINE)
    return text if path.name.startswith("{{ _copier") else f"{text}\n"  # the answers file is Copier's own


def touch(folder: Path) -> None:
    """Make the next version of a template: every file of it differs."""
    for path in filter(Path.is_file, (folder / "template").rglob("*")):
        try:
            path.write_text(touched(path, path.read_text(encoding="utf-8")), encoding="utf-8")
        except UnicodeDecodeError:
            path.write_bytes(path.read_bytes() + b"\n")


def alone(folder: Path) -> Path:
    """Copy of the working tree what Copier reads."""
    for path in snapshot(folder).iterdir():
        if path.name not in TEMPLATE:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    return folder


def two_versions(folder: Path) -> Path:
    """Make a repository of the template alone with two tags; the second version touches every file."""
    release(folder, BEFORE)
    touch(folder)
    release(folder, AFTER)
    return folder


def rename_question(folder: Path) -> None:
    """Make one more version, in which a question has another name and a note is for those who come to it."""
    for path in (folder / "copier.yml", folder / "messages/after_update.txt"):
        text = path.read_text(encoding="utf-8")
        text = text.replace("docker | default(false)", "container | default(docker) | default(false)")
        text = text.replace("'docker': docker", "'container': container")
        text = text.replace("docker=was.docker", "container=was.container")
        text = re.sub(r"^docker:((?:\n  .*)*\n  default: ).*", CONTAINER, text, flags=re.MULTILINE)
        text = re.sub(r"(^upgrade_notes:(?:\n  .*)*\n  default: ).*", NOTES, text, flags=re.MULTILINE)
        path.write_text(text, encoding="utf-8")
    release(folder, LATER)


def git(folder: Path, *argv: str) -> str:
    """Run git in a folder and return what it printed."""
    return subprocess.run([*GIT, *argv], cwd=folder, check=True, capture_output=True, text=True).stdout


def commit(folder: Path, text: str) -> None:
    """Commit everything that is in a project."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", text)


def start(template: Path, folder: Path, answers: Answers, version: str = BEFORE) -> Path:
    """Render a project at a version, as its owner does, and commit it."""
    render(template, folder, answers, version)
    git(folder, "init", "--quiet")
    commit(folder, "rendered")
    return folder


def update(folder: Path, answers: Answers | None = None, version: str = AFTER) -> str:
    """Update a project as `copier update --defaults` does, trusting nothing; return what Copier said."""
    said = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # copier's own
        copier.run_update(
            folder,
            data=answers,
            vcs_ref=version,
            defaults=True,
            overwrite=True,
            unsafe=False,
            settings=copier.Settings(),
        )
    return said.getvalue()


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of a project, git's own left out."""
    files = (path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    named = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: path.read_bytes() for name, path in named.items() if not name.startswith((".git/", "runs/"))}


def owned(name: str) -> bool:
    """Whether a file is the owner's once it was rendered, by the list in copier.yml."""
    return any(fnmatch(f"/{name}", pattern) for pattern in ALL["_skip_if_exists"])


def differing(one: Path, other: Path) -> list[str]:
    """The files that two projects do not have in common byte for byte."""
    mine, theirs = tree(one), tree(other)
    return sorted(name for name in {*mine, *theirs} if mine.get(name) != theirs.get(name))


def unmerged(folder: Path) -> list[str]:
    """What an update has left to its owner: paths that git calls unmerged, rejected pieces, files with markers."""
    found = [line.partition("\t")[2] for line in git(folder, "ls-files", "--unmerged").splitlines()]
    found += [name for name in tree(folder) if name.endswith(".rej")]
    marked = re.compile(rb"^(<{7}|>{7}) (before|after) updating", re.MULTILINE)
    return sorted({*found, *(name for name, data in tree(folder).items() if marked.search(data))})


def recorded(folder: Path) -> dict[str, Any]:
    """The answers file of a project."""
    return dict(yaml.safe_load((folder / ".copier-answers.yml").read_text(encoding="utf-8")))
