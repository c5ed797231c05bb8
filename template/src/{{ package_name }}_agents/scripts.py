"""What the scripts of the skills share: words in, JSON out, one line and a status where something is wrong."""

import json
import logging
import sys
from argparse import ArgumentParser
from importlib import import_module
from pathlib import Path

from . import PACKAGE

logger = logging.getLogger(__name__)


def start(name: str, *given: str, words: list[str] | None = None) -> int:
    """Run a module of this package as a script; return 0, 1 where its check failed, 2 where it was used wrongly."""
    module, parser = import_module(f".{name}", __package__), ArgumentParser()
    parser.description = module.HELP
    module.add_arguments(parser)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr, force=True)
    try:
        result = module.main(**vars(parser.parse_args([*given, *(sys.argv[1:] if words is None else words)])))
    except (ValueError, OSError) as error:
        logger.error("error: %s", " ".join(str(error).split()))
        return 2
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return 0 if result.get("ok", True) else 1


def source(root: Path) -> Path:
    """Return the folder of the model's package in a project; ValueError where there is no project."""
    if not (folder := root / "src" / PACKAGE).is_dir():
        raise ValueError(f"{root.resolve()} has no src/{PACKAGE}; run this from the project's root")
    return folder
