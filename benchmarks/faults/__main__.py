"""Every fault of the list, played on our trainer and on Lightning's, side by side; prints the table that the docs show.

    uv run --group benchmark python -m benchmarks.faults [--only NAME] [--ours-only] [--timeout SECONDS]

Every run is a process of its own that is killed when its time is up. Both sides train the same network on the same
data with the same optimizer and schedule, and save every 5 steps; a fault is put into what both share. A cell says what
really happened. The exit status is 1 where our side does not do what its case wants.
"""

import argparse
import fnmatch
import importlib.util
import sys
import tempfile
import traceback
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from types import ModuleType

from . import lightning_side, ours
from .bench import Host, ImpossibleError, Lab
from .cases import (
    changed,
    checkpoints,
    data,
    disk,
    killed,
    numbers,
    pieces,
    ranks,
    signals,
    surroundings,
    trackers,
    wrong_use,
)
from .expect import IMPOSSIBLE, UNPLAYED, Case, Ended, Seen, shorten

ROOMS = (killed, disk, checkpoints, changed, numbers, signals, data, surroundings, wrong_use, trackers, ranks, pieces)
CASES: list[Case] = [case for room in ROOMS for case in room.CASES]


def parse() -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}")
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="a case, as in kill-step or 'kill-*'; may be repeated"
    )
    parser.add_argument("--ours-only", action="store_true", help="leave Lightning out")
    parser.add_argument("--timeout", type=float, default=60, metavar="SECONDS", help="after which a run is killed (60)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="play the faults there, and leave everything")
    options = parser.parse_args()
    if unknown := [name for name in options.only or [] if not fnmatch.filter([case.name for case in CASES], name)]:
        parser.error(f"no case is called {unknown[0]}; there are {', '.join(case.name for case in CASES)}")
    return options


def play(side: ModuleType, cases: list[Case], folder: Path, timeout: float) -> dict[str, Seen]:
    """Play cases on one side."""
    host = Host(side.__name__.rpartition(".")[2], side, folder / side.NAME.lower(), timeout)
    seen = {}
    for case in cases:
        try:
            seen[case.name] = case.play(Lab(host, case.name))
        except ImpossibleError as error:
            seen[case.name] = Seen(Ended(IMPOSSIBLE, "", [], 0), notes=[f"not possible here: {error}"], many=True)
        except Exception as error:  # noqa: BLE001 (one case that cannot be played must not hide the others)
            traceback.print_exc()
            seen[case.name] = Seen(
                Ended(UNPLAYED, "", [], 0), notes=[f"not played: `{shorten(str(error))}`"], many=True
            )
        print(f"{side.NAME}: {case.name}", file=sys.stderr)
    host.close()
    return seen


def versions(*names: str) -> str:
    """Name what was measured."""
    return ", ".join(f"{name} {metadata.version(name)}" for name in names)


def missed(case: Case, seen: Seen) -> list[str]:
    """Return the demands of a case that were not met, none where it could not happen."""
    if seen.run.status == IMPOSSIBLE:
        return []
    if seen.run.status == UNPLAYED:
        return ["a case that can be played"]
    return [words for words, holds in case.wanted.items() if not holds(seen)]


def main() -> int:
    """Play the cases on both sides at once, print the table, then every demand that ours misses."""
    options = parse()
    cases = [case for case in CASES if any(fnmatch.fnmatch(case.name, name) for name in options.only or ["*"])]
    there = importlib.util.find_spec("lightning") is not None
    sides = [ours, *([lightning_side] if there and not options.ours_only else [])]
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor() as pool:
        folder = options.keep.absolute() if options.keep else Path(name)
        tables = list(pool.map(lambda side: play(side, cases, folder, options.timeout), sides))
    if not there and not options.ours_only:
        print("Lightning is not installed: only our side was played.\n")
    print(f"{versions('torch', *['lightning'] * (len(sides) > 1))}; `left` names checkpoints and their steps.\n")
    print(f"| fault | {' | '.join(side.NAME for side in sides)} |\n|{'---|' * (1 + len(sides))}")
    for case in cases:
        print(f"| {case.fault} | {' | '.join(seen[case.name].cell() for seen in tables)} |")
    failed = {case: demands for case in cases if (demands := missed(case, tables[0][case.name]))}
    print(f"\n{len(cases) - len(failed)} of {len(cases)} rows of ours are as they should be.")
    for case, demands in failed.items():
        print(f"- `--only {case.name}`: wanted {'; '.join(demands)}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
