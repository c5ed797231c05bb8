"""Resolves every Markdown file of the project in the current folder: `python -m resolve PACKAGE`, a line a finding."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main(package: str) -> int:
    """Check all texts with the project's own parser; a project without agents is checked by the template's tools."""
    sys.path.append(str(ROOT / "working"))
    texts = (path.relative_to(Path.cwd()) for path in sorted(Path.cwd().rglob("*.md")))
    others = tuple(str(path) for path in texts if path.parts[0] != ".claude")
    found = import_module("my_project_agents.references").check(Path.cwd(), package, others)
    sys.stdout.write("\n".join(found))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
