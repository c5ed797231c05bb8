"""The command that makes a run smaller or faster, and says what each way of doing so costs."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from ..serving.optimize import MODES, optimize

HELP = "make a run smaller or faster: quantize, prune, bf16, compile, fold; a table of before and after"


def add_arguments(parser: ArgumentParser) -> bool:
    """Say what the command takes; it does not take the options of a run."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder, runs/<preset>-<n>, or a checkpoint")
    parser.add_argument("--mode", choices=(*MODES, "all"), default="all", help="what is done (%(default)s)")
    parser.add_argument(
        "--amount", type=float, default=0.5, metavar="X", help="share of weights to prune (%(default)s)"
    )
    return False


def main(run: Path, *, mode: str, amount: float) -> dict[str, Any]:
    """Write RUN/optimize and RUN/optimize.json; return the table."""
    if not 0 < amount < 1:
        raise ValueError(f"--amount: got {amount:g}, want a share between 0 and 1, as in 0.5")
    return optimize(run, [*MODES] if mode == "all" else [mode], amount)
