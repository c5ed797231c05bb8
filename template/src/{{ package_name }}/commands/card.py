"""The command that writes both cards of a run, and checks that a person has said what is theirs to say."""

import logging
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from ..serving import card
from ..serving.registry import open_model

HELP = "write the model card and the data card of a run; --check: exit 1 where limitations are not said"

logger = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> bool:
    """Say what the command takes; it does not take the options of a run."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder, runs/<preset>-<n>")
    parser.add_argument(
        "--words", type=Path, default=card.WORDS, metavar="FILE", help="what a person says (%(default)s)"
    )
    parser.add_argument("--check", action="store_true", help="exit 1 where intended_use or limitations are empty")
    return False


def main(run: Path, *, words: Path, check: bool) -> dict[str, Any]:
    """Write both cards into a run folder; SystemExit(1) after a line where a `check` finds an empty section."""
    config, _, checkpoint = open_model(run)
    paths = card.write(config, checkpoint, words)
    if lines := card.problems(words):
        logger.log(logging.ERROR if check else logging.WARNING, "card: %s", "; ".join(lines))
        if check:
            raise SystemExit(1)
    return {"cards": [str(path) for path in paths], "missing": lines}
