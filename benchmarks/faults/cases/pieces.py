"""Checkpoints that two processes write in pieces while they train: all killed while they do, a piece damaged."""

from ..bench import Lab, fault, go_on
from ..expect import CALM, EXACT, WHOLE, Case, Seen, exits, fact, says, shorten
from ..group import only
from .ranks import FAILED, KILL, NEWEST, REFUSED, began, go_on_together, group_of, see

DEATHS = 8


def all_killed(lab: Lab) -> Seen:
    """Kill torchrun and both processes in step 13 of a run that saves while it trains, after the checkpoint of 10."""
    group, options = group_of(lab), lab.side.ASYNCHRONOUS
    seen = see(group, group.run(only(1, fault("torchrun.kill_all_in_step", after=13)), **options))
    go_on_together(group, seen, **options)
    return seen


def all_killed_in_saves(lab: Lab) -> Seen:
    """Kill torchrun and both processes at some of the OS calls of saves that go on while they train; go on."""
    group, options = group_of(lab), {"steps": 15, **lab.side.ASYNCHRONOUS}
    first = group.run(only(0, fault("system.trace", after=10, path="trace.txt")), out="traced", **options)
    calls = len((group.folder / "trace.txt").read_text("utf-8").splitlines())
    numbers = sorted({1 + calls * part // DEATHS for part in range(DEATHS)})
    folder, _ = group.whole(**options)
    seen, used, exact = Seen(first, many=True), 0, 0
    for number in numbers:
        out = f"call-{number}"
        group.run(only(0, fault("torchrun.kill_all_at_call", after=10, number=number)), out=out, **options)
        whole = group.look("newest", out)
        seen.run = group.resume(out=out, **options)
        if seen.run.status:
            seen.notes.append(f"call {number}: {seen.run.words}, `{shorten(seen.run.last_line)}`")
        used += not seen.run.status and began(seen.run, 15) == whole
        exact += not group.look("compare", f"{out}/{group.side.LAST}", str(folder / group.side.LAST))
    seen.facts.update({"newest used": used == len(numbers) > 0, "exact": exact == len(numbers)})
    seen.notes.append(
        f"killed at {len(numbers)} of {calls} calls: goes on from the newest whole checkpoint after {used}, "
        f"ends bitwise equal after {exact}"
    )
    return seen


def damaged(lab: Lab) -> Seen:
    """Cut in half what the second process wrote of the newest checkpoint; resume, and then from the one before."""
    group, options = group_of(lab), lab.side.ASYNCHRONOUS
    group.copy(**options)
    last = group.folder / "run" / group.side.LAST
    group.look("damage", str(last / "__1_0.distcp" if last.is_dir() else last), "truncated")
    seen = see(group, group.resume(**options))
    seen.facts["trained"] = len(seen.run.losses)
    if seen.run.status:
        go_on(group, seen, out=f"run/{group.side.PREVIOUS}", **options)
        seen.notes[-1] = seen.notes[-1].replace("resume:", f"resume from {group.side.PREVIOUS}:")
    return seen


CASES = [
    Case(
        "ranks-kill-all",
        "kill -9 of torchrun and two processes that save while they train, in step 13",
        all_killed,
        exits(-KILL) | WHOLE | NEWEST | EXACT,
    ),
    Case(
        "ranks-kill-saves",
        "kill -9 of torchrun and two processes that save while they train, in saves",
        all_killed_in_saves,
        fact("exact", True),  # a checkpoint counts from when last.pt says so, a moment after it is whole
    ),
    Case(
        "ranks-truncated",
        "what one of two processes wrote of the newest checkpoint is cut in half",
        damaged,
        CALM
        | exits(FAILED)
        | fact("statuses", *REFUSED)
        | fact("trained", 0)
        | says(r"last\.pt", "train --resume run/previous.pt")
        | EXACT,
    ),
]
