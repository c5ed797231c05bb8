"""Tag a release, if everything that a release promises holds for this very commit.

    uv run python scripts/release.py 0.2.0 --dry-run
    uv run python scripts/release.py 0.2.0

It looks at the tree, the branch, the version and the changelog. Then it runs the commands of `[tool.release]` in
pyproject.toml, each once for a commit, keeps in .git what has passed, and makes an annotated tag. It pushes nothing.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

BRANCH = "main"
SECTION = re.compile(r"^## \[?([^\]\s]+)\]?(?: - (\S+))?\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
UPGRADE = re.compile(r"^### Upgrade\n+(?!###)\S", re.MULTILINE)


def git(*words: str) -> str:
    """Return what git prints; an error of its own is ours."""
    try:
        done = subprocess.run(["git", *words], check=False, capture_output=True, text=True)  # noqa: S603, S607
    except OSError as error:
        raise ValueError(f"git cannot be started ({error.strerror}): install it and put it on PATH") from None
    if done.returncode:
        raise ValueError(f"git {words[0]}: {done.stderr.strip().partition(chr(10))[0]}")
    return done.stdout.strip()


def read(path: Path) -> str:
    """Return a file's text."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ValueError(f"there is no {path}: add and commit it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read ({error}): mend it") from None


def setting(root: Path, *keys: str) -> Any:
    """Return what pyproject.toml says."""
    try:
        found: Any = tomllib.loads(read(root / "pyproject.toml"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"pyproject.toml is no TOML ({error}): mend it") from None
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    if found is None:
        raise ValueError(f"pyproject.toml has no '{keys[-1]}' under [{'.'.join(keys[:-1])}]: add it")
    return found


def check_tree() -> str:
    """Return the commit, if the tree is clean and on the branch that releases are made from."""
    if changed := git("status", "--porcelain"):
        first, *more = changed.splitlines()
        name = first.partition(" ")[2].strip(' "')
        raise ValueError(f"the tree is not clean: {len(more) + 1} changed, as in '{name}'")
    if (branch := git("rev-parse", "--abbrev-ref", "HEAD")) != BRANCH:
        raise ValueError(f"on branch '{branch}': releases are made on {BRANCH}")
    return git("rev-parse", "HEAD")


def check_version(version: str, root: Path) -> None:
    """Compare a version with pyproject.toml and with the tags that are there."""
    if not (new := parsed(version)):
        raise ValueError(f"'{version}' is no version: want one such as 1.2.0")
    if version != (own := setting(root, "project", "version")):
        raise ValueError(f"pyproject.toml has version {own}, not {version}")
    tags = {found: tag for tag in git("tag").splitlines() if (found := parsed(tag))}
    if tags and new <= (newest := max(tags)):
        raise ValueError(f"{tags[newest]} is tagged already: want a version above it, and a tag never moves")


def parsed(version: str) -> Version | None:
    """Return a version in whichever form Copier takes it from a tag; None where it is none."""
    try:
        return Version(version)
    except InvalidVersion:
        return None


def check_changelog(version: str, root: Path) -> str:
    """Return what the changelog says of a version, if it has a date and an Upgrade part and is all that is new."""
    sections = SECTION.findall(read(root / "CHANGELOG.md"))
    found = {str(name): (str(day), str(body).strip()) for name, day, body in sections}
    if version not in found:
        raise ValueError(f"CHANGELOG.md has no section '## [{version}] - DATE'")
    if found.get("Unreleased", ("", ""))[1]:
        raise ValueError("CHANGELOG.md still has lines under Unreleased: move them below the version")
    day, body = found[version]
    if not is_day(day):
        raise ValueError(f"CHANGELOG.md: {version} has date '{day}', want YYYY-MM-DD")
    if not UPGRADE.search(body):
        raise ValueError(f"CHANGELOG.md: {version} has no part '### Upgrade' that says what an owner does")
    return body


def is_day(text: str) -> bool:
    """Whether a text is a day of the calendar, as YYYY-MM-DD."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def prove(commit: str, root: Path) -> None:
    """Run each command that has not passed on this commit yet, and note that it has."""
    record = Path(git("rev-parse", "--absolute-git-dir")) / "passed.json"
    passed = read_passed(record)
    for command in commands(root):
        if command in passed.get(commit, []):
            print(f"passed before on {commit[:12]}: {command}")
            continue
        print(f"+ {command}", flush=True)
        started = time.monotonic()
        if status := subprocess.run(["sh", "-c", command], cwd=root, check=False).returncode:  # noqa: S603, S607
            raise ValueError(f"'{command}' ended with status {status}: nothing is tagged")
        if check_tree() != commit:
            raise ValueError(f"'{command}' ran while the commit changed: nothing is tagged")
        print(f"passed in {time.monotonic() - started:.0f} s: {command}")
        passed.setdefault(commit, []).append(command)
        record.write_text(json.dumps(passed, indent=2), encoding="utf-8")


def read_passed(record: Path) -> dict[str, list[str]]:
    """Return the commands that have passed, by commit."""
    try:
        passed = json.loads(read(record)) if record.exists() else {}
    except json.JSONDecodeError:
        passed = None
    if not isinstance(passed, dict) or not all(isinstance(names, list) for names in passed.values()):
        raise ValueError(f"{record} is damaged: delete it, and every command runs anew")
    return passed


def commands(root: Path) -> list[str]:
    """Return the commands that a release must pass."""
    found = setting(root, "tool", "release", "commands")
    if not isinstance(found, list) or not found:
        raise ValueError(f"pyproject.toml has commands = {found!r} under [tool.release]: want a list of commands")
    return [str(command) for command in found]


def main() -> int:
    """Check, prove, tag; 1 with one line where something is in the way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version")
    parser.add_argument("--dry-run", action="store_true", help="check, but run no command and make no tag")
    options = parser.parse_args()
    try:
        root = Path(git("rev-parse", "--show-toplevel"))
        commit = check_tree()
        check_version(options.version, root)
        notes = check_changelog(options.version, root)
        if options.dry_run:
            print(f"v{options.version} can be tagged on {commit[:12]} once these pass: {', '.join(commands(root))}")
            return 0
        prove(commit, root)
        tag = f"v{options.version}"
        git("tag", "--annotate", "--cleanup=verbatim", "--message", f"copier-torch {options.version}\n\n{notes}", tag)
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    print(f"tagged {tag} on {commit[:12]}; nothing was pushed. Publish it with: git push origin {BRANCH} {tag}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
