"""Data and their loaders: workers that die or hang, rows that are bad, sets that are too small, files that changed."""

from typing import Any

from ..bench import ROOT, Fault, Lab, fault, stop_and_go_on
from ..expect import CALM, EXACT, FINITE, WHOLE, Case, Seen, Wanted, at, exits, says

DATA = ROOT / "working" / "my_project" / "data" / "digits"


def loaded(lab: Lab, *faults: Fault, timeout: float = 0, **options: Any) -> Seen:
    """Train with a fault in the loading."""
    ended = lab.run(*faults, timeout=timeout, **options)
    seen = Seen(ended, lab.left())
    seen.facts["steps"] = len(ended.losses)
    if ended.status <= 0:
        seen.notes.append(f"{len(ended.losses)} steps trained")
    return seen


def corrupt_file(lab: Lab) -> Seen:
    """Flip a byte in the middle of a data file."""
    folder = lab.folder / "data"
    folder.mkdir()
    for path in [*DATA.glob("*.npz"), *DATA.glob("*.json")]:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= path.name == "digits.npz"
        (folder / path.name).write_bytes(content)
    seen = loaded(lab, folder="data")
    seen.left = None
    return seen


def few(lab: Lab, count: int, **options: Any) -> Seen:
    """Train on the first so many rows."""
    return loaded(lab, fault("hooks.few_rows", count=count), **options)


def steps(count: int) -> Wanted:
    """Demand a number of batches."""
    return {f"{count} steps trained": lambda seen: seen.facts["steps"] == count}


DONE: Wanted = CALM | exits(0) | WHOLE | FINITE | at("last.pt", 40) | steps(40)
SAVED: Wanted = CALM | WHOLE | FINITE
HANG, SHORT = 40.0, 8.0
SHORTER = fault("hooks.patience", seconds=SHORT)

CASES = [
    Case(
        "worker-killed",
        f"a loader's worker is killed (ours waits {SHORT:.0f} s here, not 120)",
        lambda lab: stop_and_go_on(lab, fault("rows.worker_dies", after=700), SHORTER, workers=1),
        SAVED | exits(4) | EXACT | says("(?i)worker"),
    ),
    Case(
        "worker-killed-step",
        f"a loader's worker is killed while a step goes on (ours waits {SHORT:.0f} s here, not 120)",
        lambda lab: stop_and_go_on(lab, fault("hooks.lose_worker", after=8), SHORTER, workers=1),
        SAVED | exits(4) | EXACT | says("(?i)worker"),
    ),
    Case(
        "worker-hangs",
        f"a loader's worker hangs (ours waits {SHORT:.0f} s here, not 120; killed after {HANG:.0f} s)",
        lambda lab: loaded(lab, fault("rows.worker_hangs", after=700), SHORTER, workers=1, timeout=HANG),
        SAVED | exits(4) | says("(?i)worker|timed? ?out"),
    ),
    Case(
        "row-raises",
        "a row cannot be decoded",
        lambda lab: loaded(lab, fault("rows.bad_row", row=100, how="raise")),
        SAVED | exits(2, 3, 4) | says("100"),
    ),
    Case(
        "row-raises-worker",
        "a row cannot be decoded, in a worker",
        lambda lab: stop_and_go_on(lab, fault("rows.bad_row", row=100, how="raise"), workers=1),
        SAVED | EXACT | exits(2, 3, 4) | says("100"),
    ),
    Case(
        "row-shape",
        "a row of another shape",
        lambda lab: loaded(lab, fault("rows.bad_row", row=100, how="shape")),
        SAVED | exits(2, 3, 4) | says("(?i)shape|size"),
    ),
    Case(
        "row-dtype",
        "a row of another dtype",
        lambda lab: loaded(lab, fault("rows.bad_row", row=100, how="dtype")),
        SAVED | exits(2, 3, 4) | says("(?i)dtype|double"),
    ),
    Case(
        "file-corrupt",
        "a byte of a data file has changed",
        corrupt_file,
        CALM | exits(4) | says("digits.npz", "SHA-256") | steps(0),
    ),
    Case(
        "no-rows",
        "a training split without rows",
        lambda lab: few(lab, 0),
        CALM | exits(2, 4) | says("no rows") | steps(0),
    ),
    Case("one-row", "a training split of one row", lambda lab: few(lab, 1), DONE),
    Case("fewer-rows", "fewer rows than a batch (10, batches of 64)", lambda lab: few(lab, 10), DONE),
    Case("short-batch", "a last batch of one row (65, batches of 64)", lambda lab: few(lab, 65), DONE),
    Case("batch-of-one", "batches of one row", lambda lab: loaded(lab, batch_size=1), DONE),
]
