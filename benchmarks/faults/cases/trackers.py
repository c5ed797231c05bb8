"""Trackers that raise, hang, end or cannot write: a run must not notice, and has to say it once."""

import re
import signal
from functools import partial
from typing import Any

from ..bench import Fault, Lab, fault, go_on, measurements
from ..expect import CALM, EXACT, TRUE, WHOLE, Case, Seen, Wanted, at, exits, fact

TERM = int(signal.SIGTERM)
LIMIT = 40.0
LINES = 48  # of our journal: 40 steps, 8 evaluations
SOON = 15.0  # seconds after which a run has ended that waits for its tracker for 10 of them
WARNING = r"(?im)^.*(?:left out|warning|could not|nobody answers).*$"


def tracked(lab: Lab, stop: Fault) -> Seen:
    """Train with a fault in the tracker; count the lines that speak of it."""
    ended = lab.run(stop, timeout=LIMIT, **lab.side.BOARD)
    seen = Seen(ended, lab.left())
    warnings = re.findall(WARNING, ended.said)
    seen.facts.update(warnings=len(warnings), steps=len(ended.losses), lines=len(measurements(lab.folder / "run")))
    seen.quoted = str(warnings[-1]).strip() if warnings and not ended.status else ""
    seen.notes.append(f"{len(ended.losses)} steps trained")
    if not ended.status:
        seen.notes.append(f"{len(warnings)} warning{'s' * (len(warnings) != 1)}")
    return seen


def stopped(lab: Lab) -> Seen:
    """Send SIGTERM to a run whose tracker hangs, go on without the fault."""
    options: dict[str, Any] = lab.side.BOARD
    hanging = fault("tracker.hangs", step=7)
    ended = lab.run(hanging, fault("hooks.send", number=TERM, after=12), timeout=LIMIT, **options)
    seen = Seen(ended, lab.left())
    seen.facts["soon"] = ended.seconds < SOON
    seen.notes.append("ends soon" if ended.seconds < SOON else f"ends after {ended.seconds:.0f} s")
    go_on(lab, seen, **options)
    return seen


DONE: Wanted = CALM | exits(0) | WHOLE | at("last.pt", 40) | fact("steps", 40) | fact("lines", LINES)
WARNED: Wanted = DONE | fact("warnings", 1)

CASES = [
    Case(
        f"tracker-{name}",
        words,
        partial(tracked, stop=stop),
        WARNED,
    )
    for name, words, stop in (
        ("raises", "a tracker raises from step 7 on", fault("tracker.raises", step=7)),
        ("opens", "a tracker raises where it is opened", fault("tracker.cannot_begin")),
        ("hangs", f"a tracker hangs from step 7 on ({LIMIT:.0f} s are waited)", fault("tracker.hangs", step=7)),
        ("exits", "a tracker calls `sys.exit` in step 7", fault("tracker.ends", step=7)),
        ("read-only", "a tracker's folder cannot be written", fault("tracker.read_only")),
        ("lost", "a tracker's folder is removed in step 7", fault("hooks.lose", after=7, pattern="run/tensorboard")),
    )
]
CASES.append(
    Case(
        "tracker-hangs-sigterm",
        "SIGTERM while a tracker hangs",
        stopped,
        CALM | exits(143) | WHOLE | TRUE | EXACT | at("last.pt", 12) | fact("soon", True),
    )
)
