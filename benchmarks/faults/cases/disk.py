"""Disks and folders that fail: full, read-only, gone, taken by another process."""

import re
from typing import Any

from ..bench import Lab, fault, stop_and_go_on
from ..expect import CALM, WHOLE, Case, Ended, Seen, at, exits, fact, says

SIZE = 2**16  # smaller than any checkpoint here


def full(lab: Lab) -> Seen:
    """Let no file grow beyond a limit from step 7 on; then make room and go on."""
    return stop_and_go_on(lab, fault("hooks.full_disk", after=7, size=SIZE))


def small(lab: Lab) -> Seen:
    """Train on a file system that has room for some checkpoints of a run only; look at what it held at the end."""
    lab.run(steps=5, out="sized")
    size = (lab.folder / "sized" / lab.side.LAST).stat().st_size
    ended = lab.run(fault("system.small_disk", folder="disk", size=size * 5 // 2), out="disk/run")
    seen = Seen(ended, lab.left("disk-copy/run"))
    seen.facts["temporary"] = len(list((lab.folder / "disk-copy" / "run").glob("*.tmp")))
    return seen


def read_only(lab: Lab) -> Seen:
    """Train into a folder in which nothing may be written."""
    (lab.folder / "run").mkdir(mode=0o555)
    seen = Seen(lab.run(fault("system.obey_permissions")), lab.left())
    seen.facts["batches"] = len(seen.run.losses)
    seen.notes.append(f"{len(seen.run.losses)} steps trained")
    return seen


def turned_read_only(lab: Lab) -> Seen:
    """Resume in a folder that may no longer be written."""
    lab.copy()
    (lab.folder / "run").chmod(0o555)
    for path in (lab.folder / "run").glob("*.*"):
        path.chmod(0o444)
    seen = Seen(lab.resume(fault("system.obey_permissions")), lab.left())
    seen.facts["batches"] = len(seen.run.losses)
    seen.notes.append(f"{len(seen.run.losses)} steps trained")
    return seen


def vanished(lab: Lab) -> Seen:
    """Remove the run folder in step 7."""
    return Seen(lab.run(fault("hooks.lose", after=7, pattern="run")), lab.left())


def lost_log(lab: Lab) -> Seen:
    """Remove the file of measurements in step 7."""
    pattern = "run/**/metrics.*"
    return Seen(lab.run(fault("hooks.lose", after=7, pattern=pattern)), lab.left())


def second(lab: Lab, words: list[str]) -> Seen:
    """Start a second process while the first one waits in step 12; then let the first one end."""
    pid = lab.start(lab.side.start("run", {}), fault("hooks.pause", after=12, ready="ready", go="go"))
    first = Ended(0, "", [], 0)
    lab.until("ready")
    other = lab.end(lab.start(words))
    (lab.folder / "go").touch()
    first = lab.end(pid)
    seen = Seen(other, lab.left())
    named = str(pid) in re.findall(r"\d+", other.said)
    folder, _ = lab.whole()
    last = lab.side.LAST
    same = not lab.look("compare", f"run/{last}", str(folder / last)) if last in (seen.left or {}) else False
    seen.facts.update(first=first.status, named=named, same=same, batches=len(other.losses))
    verdict = "as if alone" if same else "not as if it had been alone"
    seen.notes.append(f"second trained {len(other.losses)} steps; first: {first.words}, its end is {verdict}")
    return seen


def second_run(lab: Lab) -> Seen:
    """Begin another run in the folder of one that goes on."""
    return second(lab, lab.side.start("run", {"seed": 1}))


def second_resume(lab: Lab) -> Seen:
    """Resume a run that goes on."""
    return second(lab, lab.side.resume("run", {}, {}))


REFUSED: Any = fact("first", 0) | fact("same", True) | fact("batches", 0)

CASES = [
    Case(
        "disk-full",
        "disk full from step 7 on (files limited to 64 kB), later room again",
        full,
        CALM | exits(4) | WHOLE | at("last.pt", 5) | says("(?i)space|full|too large") | fact("resumed", 0),
    ),
    Case(
        "disk-small",
        "a file system with room for two and a half checkpoints",
        small,
        CALM | exits(4) | WHOLE | says("(?i)space|full") | fact("temporary", 0),
    ),
    Case("read-only", "a read-only run folder", read_only, CALM | exits(4) | fact("batches", 0)),
    Case(
        "turned-read-only",
        "a run folder that has become read-only, resumed",
        turned_read_only,
        CALM | exits(4) | fact("batches", 0) | at("last.pt", 10),
    ),
    Case("vanished", "the run folder is removed in step 7", vanished, CALM | exits(4)),
    Case(
        "log-lost",
        "the file of measurements is removed in step 7",
        lost_log,
        CALM | exits(0) | WHOLE | at("last.pt", 40),
    ),
    Case(
        "second-run",
        "a second process begins a run in the folder of one that goes on",
        second_run,
        CALM | exits(2, 4) | REFUSED,
    ),
    Case(
        "second-resume",
        "a second process resumes a run that goes on",
        second_resume,
        CALM | exits(4) | REFUSED | fact("named", True),
    ),
]
