"""Signals: in a step, an evaluation, a save, a wait for data, the first compile; and a second one."""

import os
import signal
import time
from functools import partial
from typing import Any

from ..bench import Fault, Lab, fault, go_on, stop_and_go_on
from ..expect import CALM, EXACT, TRUE, WHOLE, Case, Seen, Wanted, at, exits, fact

TERM, INT, USR1 = int(signal.SIGTERM), int(signal.SIGINT), int(signal.SIGUSR1)
WAIT = 0.3  # seconds in which a signal arrives
LIMIT = 20.0
HANG = 2.0  # seconds until the second signal
SOON = 3.0  # this many seconds after it are at once


def batch(after: int, number: int = TERM, *, training: bool = True) -> Fault:
    """Send a signal after the forward pass of a batch, or of the evaluation that follows it."""
    return fault("hooks.send", number=number, after=after, training=training)


def stopped(lab: Lab, stop: Fault, **options: Any) -> Seen:
    """Stop a run, go on."""
    return stop_and_go_on(lab, stop, **options)


def in_compile(lab: Lab) -> Seen:
    """Send SIGTERM while the network is compiled; losses are not recorded, which would break the graph."""
    ended = lab.run(fault("system.signal_in_compile", number=TERM), compile=True, losses=False)
    seen = Seen(ended, lab.left())
    go_on(lab, seen, fault("system.signal_in_compile"), compile=True, losses=False)
    return seen


def twice(lab: Lab) -> Seen:
    """Send a second signal while the step in which the first one came takes for ever."""
    pid = lab.start(lab.side.start("run", {}), fault("hooks.send", number=TERM, after=12, again=HANG))
    lab.until("first-signal")
    began = time.monotonic()
    ended = lab.end(pid, timeout=LIMIT)
    seconds = time.monotonic() - began - HANG
    seen = Seen(ended, lab.left())
    seen.facts["soon"] = seconds < SOON
    seen.notes.append("ends at once" if seconds < SOON else f"ends {seconds:.0f} s after the second signal")
    return seen


def to_the_group(lab: Lab, number: int) -> Seen:
    """Send a signal to the run and its workers, as Ctrl-C in a terminal does, and a scheduler."""
    pause = fault("hooks.pause", after=12, ready="ready", go="go")
    pid = lab.start(lab.side.start("run", {"workers": 2}), pause)
    lab.until("ready")
    os.killpg(pid, number)
    time.sleep(WAIT)
    (lab.folder / "go").touch()
    seen = Seen(lab.end(pid), lab.left())
    go_on(lab, seen, workers=2)
    return seen


SAVED: Wanted = CALM | WHOLE | TRUE | fact("resumed", 0) | fact("differ", [])
STOPPED: Wanted = SAVED | EXACT | exits(143)
PLACES: tuple[tuple[str, str, Fault, dict[str, Any], Wanted], ...] = (
    ("accumulation", "between two batches of one update", batch(46), {"accumulate": 4}, STOPPED | at("last.pt", 12)),
    ("first", "before the first step", fault("rows.signal_at_rows", number=TERM, after=0), {}, STOPPED),
    ("validation", "in an evaluation", batch(10, training=False), {}, STOPPED | at("last.pt", 10)),
    ("save", "in a save", fault("system.signal_in_save", number=TERM, after=10), {}, STOPPED | at("last.pt", 10)),
    ("last", "in the last step", batch(40), {}, CALM | WHOLE | TRUE | exits(0, 143) | at("last.pt", 40)),
    (
        "wait",
        "while it waits for a worker's data",
        fault("rows.signal_in_wait", number=TERM, after=500, seconds=1.0),
        {"workers": 1},
        STOPPED,
    ),
)

CASES = [
    *(
        Case(
            f"sig{name}",
            f"SIG{name.upper()} in a step",
            partial(stopped, stop=batch(12, number)),
            SAVED | EXACT | exits(status) | at("last.pt", 12),
        )
        for name, number, status in (("term", TERM, 143), ("int", INT, 130), ("usr1", USR1, 143))
    ),
    *(
        Case(
            f"sigterm-{name}",
            f"SIGTERM {where}",
            partial(stopped, stop=stop, **options),
            wanted,
        )
        for name, where, stop, options, wanted in PLACES
    ),
    Case(
        "sigint-validation",
        "SIGINT in an evaluation",
        partial(stopped, stop=batch(10, INT, training=False)),
        SAVED | EXACT | exits(130) | at("last.pt", 10),
    ),
    Case("sigterm-group", "SIGTERM to the run and its two workers", partial(to_the_group, number=TERM), STOPPED),
    Case(
        "sigint-group",
        "SIGINT to the run and its two workers (Ctrl-C)",
        partial(to_the_group, number=INT),
        SAVED | EXACT | exits(130),
    ),
    Case("sigterm-compile", "SIGTERM in the first compile", in_compile, SAVED | exits(143)),
    Case("sigterm-twice", "a second SIGTERM in a step that hangs", twice, WHOLE | exits(143, -15) | fact("soon", True)),
]
