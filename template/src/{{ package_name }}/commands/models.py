"""The command of the registry: promote a run that passes its gates, go back to the version before, list them all."""

import logging
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from ..serving import card, registry
from ..serving.files import Record

HELP = "promote a run (exit 1 where a gate is missed), roll back, list versions"
COLUMNS = ("version", "state", "figure", "promoted", "of", "MB")

logger = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> bool:
    """Say what the command takes; it does not take the options of a run."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    promote = actions.add_parser("promote", help="make a run the current version of a name")
    promote.add_argument("run", type=Path, metavar="RUN", help="a run folder, runs/<preset>-<n>")
    promote.add_argument("--name", default="", metavar="NAME", help="the folder in models (the run's preset)")
    promote.add_argument("--words", type=Path, default=card.WORDS, metavar="FILE", help="for the card (%(default)s)")
    promote.add_argument("--even-if-worse", action="store_true", help="than the current version; that is noted")
    back = actions.add_parser("rollback", help="make the version before the current one")
    back.add_argument("name", metavar="NAME", help="a folder in models")
    back.add_argument("--why", default="", metavar="TEXT", help="noted in current.json")
    listed = actions.add_parser("list", help="say which versions there are, and whether their files are whole")
    listed.add_argument("name", nargs="?", default="", metavar="NAME", help="a folder in models; otherwise all")
    for action in (promote, back, listed):
        action.add_argument("--models", type=Path, default=registry.MODELS, metavar="DIR", help="where (%(default)s)")
    return False


def main(action: str, *, models: Path, **options: Any) -> Any:
    """Do one of the actions; return what has become of it."""
    if action == "promote":
        run, words, worse = options["run"], options["words"], options["even_if_worse"]
        return registry.promote(run, options["name"], words=words, even_if_worse=worse, root=models)
    if action == "rollback":
        return registry.rollback(options["name"], options["why"], root=models)
    found = [
        one
        for name in [options["name"]] * bool(options["name"]) or registry.names(models)
        for one in registry.versions(name, models)
    ]
    show(found, models)
    return found


def show(found: list[Record], models: Path) -> None:
    """Say all that as a table."""
    rows = [COLUMNS, *(row(record) for record in found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for words in rows if found else ():
        logger.info("%s", "  ".join(word.ljust(width) for word, width in zip(words, widths, strict=True)).rstrip())
    for line in [line for record in found for line in record["damaged"]]:
        logger.warning("%s", line)
    if not found:
        logger.info("nothing was promoted to %s", models)


def row(record: Record) -> tuple[str, ...]:
    """Return the words of a version's line."""
    value, state = record["value"], record["state"]
    return (
        f"{record['name']}/{record['version']}",
        f"{state}, damaged" if record["damaged"] else state,
        "" if value is None else f"{record['primary']} {value:.4f}{' (worse)' * record['worse']}",
        record["when"][:16].replace("T", " "),
        record["run"],
        f"{record['bytes'] / 1e6:.1f}",
    )
