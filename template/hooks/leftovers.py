#!/usr/bin/env python3
"""Finds what a merge or `copier update` has left behind: conflicts, rejected hunks, copies, obsolete files."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn

MARKER = "^(<{7}|>{7}) "  # as git writes them: with a name; ======= alone may be a heading
LEFT = {
    ".rej": "rejected part of a patch; put it in by hand, then delete this file",
    ".orig": "copy that a merge made; delete it",
}
OBSOLETE = Path("hooks/obsolete.txt")  # where there is one: `path: what to do` for each file that an update gave up


def refuse(why: str) -> NoReturn:
    """End with the status of wrong use and a line that says why."""
    sys.stderr.write(f"{why}\n")
    raise SystemExit(2)


def git(*words: str) -> str:
    """Return what git says; SystemExit(2) where this is no repository."""
    command = ["git", "--literal-pathspecs", *words]
    try:
        done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 (our own words)
    except OSError as error:
        refuse(f"git cannot be started ({error.strerror}); install it, or put it on PATH")
    if done.returncode > 1:  # 1 is that of a search without a result
        refuse(f"git {words[0]}: {done.stderr.decode(errors='replace').strip()}; want a git repository")
    return done.stdout.decode("utf-8", "surrogateescape")


def listed(names: list[str], *options: str) -> list[str]:
    """Return paths as `git ls-files` lists them."""
    return git("ls-files", "-z", *options, "--", *names).split("\0")[:-1]


def unmerged(names: list[str]) -> list[str]:
    """Return a line for each path that git still holds in several versions."""
    paths = {entry.partition("\t")[2] for entry in listed(names, "--unmerged")}
    return [f"{path}:1: unmerged; settle its conflict, then `git add` it" for path in sorted(paths)]


def marked(names: list[str]) -> list[str]:
    """Return a line for each conflict marker, in these files or in all that are not ignored."""
    plain = ("--no-color", "--no-full-name", "--no-recurse-submodules")  # whatever the user's settings are
    found = git("grep", *plain, "--untracked", "-I", "-n", "-z", "-E", "-e", MARKER, "--", *names)
    places = sorted({(path, int(line)) for path, line in re.findall(r"^([^\0]+)\0(\d+)[\0:]", found, re.MULTILINE)})
    return [f"{path}:{line}: conflict marker; keep one side, then delete it" for path, line in places]


def left_files(names: list[str]) -> list[str]:
    """Return a line for each file that a merge or a patch has left, ignored or not."""
    known = listed(names, "--cached", "--others", "--exclude-standard")
    known += listed(names, "--others", "--ignored", "--exclude-standard", "--directory")
    found = sorted({path for path in known if Path(path).suffix in LEFT and Path(path).is_file()})
    return [f"{path}:1: {LEFT[Path(path).suffix]}" for path in found]


def obsolete(names: list[str]) -> list[str]:
    """Return a line for each file that the list of obsolete files names."""
    rows = OBSOLETE.read_bytes().splitlines() if OBSOLETE.is_file() else []
    there = [found for number, row in enumerate(rows, 1) for found in matching(number, row)]
    return [f"{path.as_posix()}:1: obsolete; {todo or 'delete it'}" for path, todo in there if kept(path, names)]


def matching(number: int, row: bytes) -> list[tuple[Path, str]]:
    """Return the files that a row of the list names, and what to do; SystemExit(2) where it names none in here."""
    try:
        pattern, _, todo = row.decode("utf-8-sig").partition(":")
        if not row or pattern.startswith("#"):
            return []
        if ".." in Path(pattern).parts:
            raise ValueError(pattern)
        return [(path, todo.strip()) for path in sorted(Path().glob(pattern))]
    except (OSError, ValueError, NotImplementedError):
        refuse(f"{OBSOLETE.as_posix()}:{number}: no path in this folder; write `path: what to do`, in UTF-8")


def kept(path: Path, names: list[str]) -> bool:
    """Whether a path is one of those that were named or stands below one, if any were."""
    whole = path.resolve()
    return not names or any(name in (whole, *whole.parents) for name in (Path(name).resolve() for name in names))


def main() -> int:
    """Print a line for each finding; return 1 where there are any."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="Exit status: 0 nothing found, 1 findings, 2 wrong use."
    )
    parser.add_argument("names", nargs="*", metavar="FILE", help="look at these alone (all that git does not ignore)")
    parser.add_argument("--exclude", metavar="REGEX", help="leave out the paths in which this is found")
    options = parser.parse_args()
    try:
        leave = re.compile(options.exclude or r"(?!)")
    except re.error as error:
        parser.error(f"--exclude {options.exclude}: {error}")
    names = options.names
    if missing := [name for name in names if not Path(name).exists() and not Path(name).is_symlink()]:
        refuse(f"{missing[0]}: is not there; name files or folders that are")
    found = [*unmerged(names), *marked(names), *left_files(names), *obsolete(names)]
    found = [line for line in found if not leave.search(re.split(r":\d+: ", line)[0])]
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be no text at all
    sys.stdout.write("".join(f"{line}\n" for line in found))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
