"""Hand-off pages: checked, filled from a run; the size of an A/B test."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from .. import handoffs
from ..outcome import outcome, project_root

HELP = "hand-off pages: what is blank; figures of a run; size of an A/B test"


def add_arguments(parser: ArgumentParser) -> bool:
    """Say what the command takes; it does not take the options of a run."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser("check", help="exit 1 after a line for each blank")
    check.add_argument("file", type=Path, nargs="?", metavar="FILE", help="a page; otherwise all of docs/handoffs")
    fill = actions.add_parser("fill", help="write what a run needs into the infrastructure page")
    fill.add_argument("run", type=Path, metavar="RUN", help="a run folder, runs/<preset>-<n>")
    size = actions.add_parser("size", help="say how many users each arm of an A/B test needs")
    size.add_argument("--baseline", type=float, required=True, metavar="RATE", help="share without the model")
    size.add_argument("--effect", type=float, required=True, metavar="X", help="smallest difference worth having")
    size.add_argument("--significance", type=float, default=0.05, metavar="X", help="of a two-sided test (%(default)s)")
    size.add_argument("--power", type=float, default=0.8, metavar="X", help="chance to see the effect (%(default)s)")
    return False


def main(action: str, **options: Any) -> dict[str, Any]:
    """Do one of the actions in the project above the current folder."""
    root = project_root()
    if action == "size":
        users = handoffs.abtest_size(options.pop("baseline"), options.pop("effect"), **options)
        return {"users_per_arm": users, "users": 2 * users}
    if action == "fill":
        return handoffs.fill(options["run"], root)
    files = [options["file"]] if options["file"] else handoffs.all_pages(root)
    return outcome([line for path in files for line in handoffs.check(path)], pages=[path.name for path in files])
