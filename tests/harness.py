"""Renders samples from a copy of the working tree and runs their commands in forks."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import copier

from tests.answers import NAMES, ROOT, Answers, family_of

GIT = ["git", "-c", "user.name=Tests", "-c", "user.email=tests@example.org"]
SHARED = {  # `uv run` in a project uses the environment that runs these tests
    "UV_NO_SYNC": "1",
    "UV_PROJECT_ENVIRONMENT": sys.prefix,
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
}


@dataclass(frozen=True)
class Result:
    """What a command left: its exit status and everything it printed."""

    status: int
    output: str


@dataclass(frozen=True)
class Sample:
    """A rendered project and the answers it was made with."""

    name: str
    answers: Answers
    folder: Path

    @property
    def package(self) -> str:
        """The name its package is imported by."""
        return str(self.answers.get("package_name", "my_project"))

    @property
    def family(self) -> str:
        """Its task and variant in one word."""
        return family_of(self.answers)

    @property
    def source(self) -> Path:
        """The folder of its package."""
        return self.folder / "src" / self.package

    def copy(self, folder: Path) -> Sample:
        """The same project in another folder, for what changes it."""
        shutil.copytree(self.folder, folder)
        return Sample(self.name, self.answers, folder)

    def files(self, *suffixes: str) -> list[Path]:
        """Its files with these suffixes, or all."""
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return sorted(path for path in found if not suffixes or path.suffix in suffixes)


def snapshot(folder: Path) -> Path:
    """Copy the working tree, as git would commit it, to a plain folder."""
    listing = [*GIT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True).stdout
    for name in os.fsdecode(names).split("\0"):
        if name and (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    return folder


def prune(template: Path, *keep: str) -> Path:
    """Leave the answers file and these in a copy of the template: an update of so few files takes seconds less."""
    kept = {path for pattern in (*keep, "*copier_conf*") for path in (template / "template").glob(pattern)}
    for path in [path for path in (template / "template").rglob("*") if path.is_file() and path not in kept]:
        path.unlink()
    return template


def release(folder: Path, version: str) -> None:
    """Commit everything in a folder and tag it as that version."""
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "-qm", version], ["tag", version]):
        subprocess.run([*GIT, *command], cwd=folder, check=True)


def render(template: Path, folder: Path, answers: Mapping[str, Any], version: str | None = None) -> None:
    """Render a project as `copier copy --defaults` does, trusting nothing; at a tag, where the template has some."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # copier's own
        copier.run_copy(
            str(template),
            folder,
            data=dict(answers),
            vcs_ref=version,
            defaults=True,
            quiet=True,
            unsafe=False,
            settings=copier.Settings(),
        )


def render_sample(template: Path, folder: Path, name: str, answers: Answers) -> Sample:
    """Render one answer set into a folder of its name."""
    render(template, folder / name, answers)
    return Sample(name, answers, folder / name)


class Warm:
    """The process of tests/warm.py, which runs Python modules in forked children."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """Start it; its children's output goes into the folder."""
        self.folder, self.environment, self.count = folder, dict(environment), 0
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests/warm.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, folder: Path, module: str, *argv: str, limit: int = 240) -> Result:
        """Run `python -m module argv` in a folder whose `src` can be imported."""
        self.count += 1
        output = self.folder / f"{self.count:04}.txt"
        request = {
            "module": module,
            "argv": argv,
            "folder": str(folder),
            "environment": self.environment | {"PYTHONPATH": str(folder / "src")},
            "output": str(output),
            "limit": limit,
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        status = int(self.process.stdout.readline())
        return Result(status, output.read_text(encoding="utf-8", errors="replace"))

    def close(self) -> None:
        """Let it end."""
        with self.process:
            pass  # closes its stdin, which ends it, and waits


def command(argv: Sequence[str | Path], folder: Path, environment: Mapping[str, str] | None = None) -> Result:
    """Run a program in a folder with these additions to the environment."""
    done = subprocess.run(
        [str(word) for word in argv],
        cwd=folder,
        env=os.environ | dict(environment or {}),
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return Result(done.returncode, done.stdout)


def nasty(text: str) -> str:
    """Take out of a text what the samples' own answers put there, raw or escaped."""
    for answer in sorted({value for names in NAMES.values() for value in names.values()}, key=len)[::-1]:
        escaped = re.sub(r"([\[\]\\`*_{}<>#|&~$:@])", r"\\\1", answer)  # as a page of the site has it
        for form in (json.dumps(answer, ensure_ascii=False)[1:-1], escaped, answer):
            text = text.replace(form, "")
    return text
