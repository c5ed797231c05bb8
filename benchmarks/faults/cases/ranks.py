"""Two processes under torchrun: one is killed, hangs or has other data; signals; another number of them; all killed."""

import os
import time
from functools import partial
from typing import Any

from ..bench import STEPS, Fault, Lab, fault, go_on, hold
from ..expect import CALM, EXACT, TRUE, WHOLE, Case, Ended, Seen, Wanted, at, exits, fact, says
from ..group import Group, only
from .changed import change_data, copy_data

KILL, TERM = 9, 15
PATIENCE = {"DISTRIBUTED_TIMEOUT": "20"}  # seconds for which a process waits for another, on both sides
LIMIT = 120.0  # seconds: torchrun waits for half a minute before it kills a process that does not hear SIGTERM
WAIT = 1.0  # seconds in which a signal goes through torchrun
CLOSE = 1e-6
GIVEN_UP = (4, 143, -TERM)  # of a process whose other is gone; torchrun sends it SIGTERM, perhaps after its last word
FAILED = 1  # how torchrun ends when a process has failed, whatever its status


def group_of(lab: Lab, world: int = 2, restarts: int = 0) -> Group:
    """Return the bench of a case for several processes."""
    return Group(lab.host, f"{lab.folder.name}-processes", world, restarts)


def see(group: Group, ended: Ended, out: str = "run") -> Seen:
    """Note how torchrun and its processes ended, and what is left."""
    seen = Seen(ended, group.left(out), [group.told(ended)])
    seen.quoted = group.last_words(ended) if ended.status > 0 else ""
    seen.facts.update(statuses=group.statuses(ended), newest=group.look("newest", out))
    if -1 < seen.facts["newest"] != (seen.left or {}).get(group.side.LAST, {}).get("step"):
        seen.notes.append(f"the newest whole checkpoint is of step {seen.facts['newest']}")
    return seen


def began(ended: Ended, steps: int = STEPS) -> int:
    """Return after which step a run that has come to its end began."""
    return steps - len(ended.losses)


def go_on_together(group: Group, seen: Seen, **options: Any) -> None:
    """Resume, and note from which checkpoint."""
    resumed = go_on(group, seen, **options)
    if not resumed.status:
        seen.facts["newest used"] = began(resumed) == seen.facts["newest"]


def stopped(lab: Lab, *faults: Fault, engine: str = "distributed", timeout: float = 0) -> Seen:
    """Let a fault in one process end all, go on with as many."""
    group = group_of(lab)
    group.environment |= PATIENCE
    seen = see(group, group.run(*faults, engine=engine, timeout=timeout))
    go_on_together(group, seen, engine=engine)
    return seen


def restarted(
    lab: Lab, *faults: Fault, engine: str = "distributed", timeout: float = 0, standalone: bool = False
) -> Seen:
    """Let a fault end one process, and torchrun start all again once; compare with the run without a stop."""
    group = group_of(lab, restarts=1)
    group.standalone = standalone
    group.environment |= PATIENCE
    ended = group.run(*faults, engine=engine, timeout=timeout, **group.side.AGAIN)
    seen = see(group, ended)
    if not ended.status:
        seen.notes.append(f"started again, goes on after step {began(ended)}")
        hold(group, seen, ended, step=began(ended), engine=engine)
        seen.facts["from"] = began(ended)
    return seen


def killed(lab: Lab, engine: str) -> Seen:
    """Kill the second process, go on with two."""
    return stopped(lab, send(KILL, 1), engine=engine)


def killed_restarted(lab: Lab, engine: str, *, standalone: bool = False) -> Seen:
    """Kill the second process, and let torchrun start both again."""
    return restarted(lab, send(KILL, 1), engine=engine, standalone=standalone)


def other_data(lab: Lab) -> Seen:
    """Let a process find other files, with a manifest of their own, where the first one has its data."""
    group = group_of(lab)
    copy_data(group, "data")
    copy_data(group, "host-1/data")
    change_data(group, "host-1/data")
    return together(group, fault("torchrun.move", folder="host-1"), out=str(group.folder / "run"), folder="data")


def other_rows(lab: Lab) -> Seen:
    """Let a process see fewer rows of the same files."""
    return together(group_of(lab), fault("hooks.few_rows", count=600))


def together(group: Group, stop: Fault, **options: Any) -> Seen:
    """Train with a fault in the second process."""
    group.environment |= PATIENCE
    seen = see(group, group.run(only(1, stop), timeout=LIMIT, **options))
    seen.facts["trained"] = len(seen.run.losses)
    seen.notes.append(f"{len(seen.run.losses)} steps trained")
    return seen


def other_number(lab: Lab, before: int, after: int, engine: str) -> Seen:
    """Kill a run without dropout in step 12, and go on with another number of processes."""
    group, options = group_of(lab, before), dict[str, Any](engine=engine, dropout=0)
    folder, _ = group.whole(**options)
    group.run(fault("hooks.send", number=KILL, after=12), **options)
    group.world = after
    seen = see(group, group.resume(**options))
    if not seen.run.status:
        apart = group.look("distance", f"run/{group.side.LAST}", str(folder / group.side.LAST))
        seen.facts["close"] = apart < CLOSE
        seen.notes.append(f"final weights differ by {apart:.0e} from those of the run without a stop")
    return seen


def terminated(lab: Lab, engine: str) -> Seen:
    """Send SIGTERM to torchrun, as a scheduler does, while both processes are in step 12."""
    group = group_of(lab)
    pauses = [only(rank, fault("hooks.pause", after=12, ready=f"ready-{rank}", go="go")) for rank in range(group.world)]
    pid = group.start(group.side.start("run", {"engine": engine}), *pauses)
    for rank in range(group.world):
        group.until(f"ready-{rank}")
    os.kill(pid, TERM)
    time.sleep(WAIT)
    (group.folder / "go").touch()
    seen = see(group, group.end(pid, timeout=LIMIT))
    go_on_together(group, seen, engine=engine)
    return seen


def send(number: int, rank: int) -> Fault:
    """Send a process a signal in step 12 of the first attempt."""
    return only(rank, fault("hooks.send", number=number, after=12))


HANG = only(1, fault("hooks.pause", after=12, ready="ready", go="never"))
NEWEST = fact("newest used", True)
GONE: Wanted = CALM | exits(FAILED) | WHOLE | NEWEST | EXACT | says("another process is gone or hangs")
AGAIN: Wanted = CALM | exits(0) | fact("statuses", [0, 0]) | WHOLE | EXACT
AFTER = {"distributed": fact("from", 10), "sharded": fact("from", 5, 10)}  # one that is being written may be lost
TERMINATED = 143, -TERM  # torchrun sends SIGTERM to the others as soon as one has ended
REFUSED = [4, 4], *([4, status] for status in TERMINATED), *([status, 4] for status in TERMINATED)
DIFFERENT: Wanted = CALM | exits(FAILED) | fact("trained", 0) | fact("statuses", *REFUSED) | says("process 1")
SAVED: Wanted = CALM | WHOLE | TRUE | NEWEST | EXACT | at("last.pt", 12) | says("saved at step 12")
STOPPED: Wanted = SAVED | exits(FAILED) | fact("statuses", *([status, 143] for status in TERMINATED))
SAME: Wanted = CALM | exits(0) | WHOLE | at("last.pt", 40) | fact("close", True)
ENGINES = (("", "", "distributed"), ("-sharded", ", weights divided", "sharded"))

CASES = [
    *(
        case
        for suffix, words, engine in ENGINES
        for case in (
            Case(
                f"ranks-kill-restart{suffix}",
                f"one of two processes is killed, torchrun may start them again{words}",
                partial(killed_restarted, engine=engine),
                AGAIN | AFTER[engine],
            ),
            Case(
                f"ranks-kill-standalone{suffix}",
                f"one of two processes is killed, `torchrun --standalone` may start them again{words}",
                partial(killed_restarted, engine=engine, standalone=True),
                AGAIN | AFTER[engine],
            ),
            Case(
                f"ranks-kill{suffix}",
                f"one of two processes is killed{words}",
                partial(killed, engine=engine),
                GONE | fact("statuses", *([status, -KILL] for status in GIVEN_UP)),
            ),
            Case(
                f"ranks-fewer{suffix}",
                f"two processes are killed, one goes on{words}",
                partial(other_number, before=2, after=1, engine=engine),
                SAME,
            ),
            Case(
                f"ranks-more{suffix}",
                f"one process is killed, two go on{words}",
                partial(other_number, before=1, after=2, engine=engine),
                SAME,
            ),
            Case(
                f"ranks-sigterm{suffix}",
                f"SIGTERM to torchrun with two processes{words}",
                partial(terminated, engine=engine),
                STOPPED,
            ),
        )
    ),
    Case(
        "ranks-kill-first",
        "the first of two processes is killed, which writes the checkpoints",
        lambda lab: stopped(lab, send(KILL, 0)),
        GONE | fact("statuses", *([-KILL, status] for status in GIVEN_UP)),
    ),
    Case("ranks-hang", "one of two processes hangs", lambda lab: stopped(lab, HANG, timeout=LIMIT), GONE),
    Case(
        "ranks-hang-restart",
        "one of two processes hangs, torchrun may start them again",
        lambda lab: restarted(lab, HANG, timeout=LIMIT),
        AGAIN | AFTER["distributed"],
    ),
    Case("ranks-data", "one of two processes has other data files", other_data, DIFFERENT),
    Case("ranks-rows", "one of two processes sees fewer rows of the same files", other_rows, DIFFERENT),
    Case("ranks-sigterm-one", "SIGTERM to one of two processes", lambda lab: stopped(lab, send(TERM, 1)), STOPPED),
]
