#!/usr/bin/env python3
"""Finds what a merge or `copier update` has left behind: conflicts, rejected hunks, copies, obsolete files."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

MARKER = "^(<{7}|>{7}) "  # as git writes them: with a name; ======= alone may be a heading
LEFT = {
    ".rej": "rejected part of a patch; put it in by hand, then delete this file",
    ".orig": "copy that a merge made; delete it",
}
OBSOLETE = Path("hooks/obsolete.txt")  # where there is one: `path: what to do` for each file that an update gave up


def git(*words: str) -> str:
    """Return what git says; SystemExit(2) where this is no repository."""
    done = subprocess.run(["git", *words], capture_output=True, check=False)  # noqa: S603, S607 (our own words)
    if done.returncode > 1:  # 1 is that of a search without a result
        sys.stderr.write(f"git {words[0]}: {done.stderr.decode(errors='replace').strip()}; want a git repository\n")
        raise SystemExit(2)
    return done.stdout.decode("utf-8", "surrogateescape")


def listed(*options: str) -> list[str]:
    """Return paths as `git ls-files` lists them."""
    return git("ls-files", "-z", *options).split("\0")[:-1]


def unmerged() -> list[str]:
    """Return a line for each path that git still holds in several versions."""
    paths = {entry.partition("\t")[2] for entry in listed("--unmerged")}
    return [f"{path}:1: unmerged; settle its conflict, then `git add` it" for path in sorted(paths)]


def marked(names: list[str]) -> list[str]:
    """Return a line for each conflict marker, in these files or in all that are not ignored."""
    plain = ("--no-color", "--no-recurse-submodules")  # whatever the user's settings are
    found = git("grep", *plain, "--untracked", "-I", "-n", "-z", "-E", "-e", MARKER, "--", *names)
    places = sorted({(path, int(line)) for path, line in re.findall(r"^([^\0]+)\0(\d+)[\0:]", found, re.MULTILINE)})
    return [f"{path}:{line}: conflict marker; keep one side, then delete it" for path, line in places]


def left_files() -> list[str]:
    """Return a line for each file that a merge or a patch has left, ignored or not."""
    known = listed("--cached", "--others", "--exclude-standard")
    known += listed("--others", "--ignored", "--exclude-standard", "--directory")
    found = sorted({path for path in known if Path(path).suffix in LEFT and Path(path).is_file()})
    return [f"{path}:1: {LEFT[Path(path).suffix]}" for path in found]


def obsolete() -> list[str]:
    """Return a line for each file that the list of obsolete files names."""
    text = OBSOLETE.read_text("utf-8") if OBSOLETE.is_file() else ""
    rows = [row.partition(":") for row in text.splitlines() if row and not row.startswith("#")]
    there = [(path, todo) for pattern, _, todo in rows for path in sorted(Path().glob(pattern))]
    return [f"{path.as_posix()}:1: obsolete; {todo.strip() or 'delete it'}" for path, todo in there]


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
    found = [*unmerged(), *marked(options.names), *left_files(), *obsolete()]
    found = [line for line in found if not leave.search(path := re.split(r":\d+: ", line)[0]) and kept(path, options)]
    sys.stdout.write("".join(f"{line}\n" for line in found))
    return int(bool(found))


def kept(path: str, options: argparse.Namespace) -> bool:
    """Whether a path is one of those that were named, if any were."""
    return not options.names or path in {Path(name).as_posix() for name in options.names}


if __name__ == "__main__":
    sys.exit(main())
