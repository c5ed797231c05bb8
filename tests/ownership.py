"""Whose each file of a project is: the table of docs/update.md, read."""

from __future__ import annotations

import re
from fnmatch import fnmatch

from tests.answers import ALL, ROOT

OWNERS = ("yours", "data", "shared", "Copier's", "the template's")
ROW = re.compile(rf"^\| `([^`]+)` \| ({'|'.join(OWNERS)}) \| [^|]+ \|$", re.MULTILINE)
TABLE = ROW.findall((ROOT / "docs/update.md").read_text(encoding="utf-8"))
LINE = "Yours follow here"


def owner(name: str) -> str:
    """Say whose a rendered file is: the first row that names it decides."""
    return next((whose for pattern, whose in TABLE if fnmatch(f"/{name}", pattern)), "nobody's")


def patterns(*whose: str) -> list[str]:
    """The rows of these owners, in order."""
    return [pattern for pattern, owned in TABLE if owned in whose]


def kept() -> list[str]:
    """What Copier leaves alone where it exists."""
    return list(ALL["_skip_if_exists"])
