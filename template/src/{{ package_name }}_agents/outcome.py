"""How a check ends: its result as JSON, and status 1 where it failed."""

import json
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)


def outcome(problems: list[str], **result: Any) -> dict[str, Any]:
    """Return the result of a check that found nothing; otherwise a line for each problem, the result, SystemExit(1)."""
    found = {"ok": not problems, "problems": problems, **result}
    if problems:
        for line in problems:
            logger.error("%s", line)
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
        sys.stdout.flush()
        raise SystemExit(1)
    return found


def write_whole(files: Mapping[Path, str]) -> None:
    """Write text files, each in one move, so that nobody ever reads half of one; in the order they are given."""
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def project_root() -> Path:
    """Return the folder of the project in which a command is given: the nearest one above with a pyproject.toml."""
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / "pyproject.toml").is_file()), here)
