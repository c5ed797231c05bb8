"""Runs that are killed: in a step, in an evaluation, at every call of a save, and whether they go on exactly."""

import os
import random
import time
from pathlib import Path
from typing import Any

from ..bench import Lab, fault, stop_and_go_on
from ..expect import CALM, EXACT, WHOLE, Case, Seen, Wanted, at, exits, fact

KILL = 9
BATCHES = 19  # whole batches of 64 in an epoch of ours; Lightning's has one more, which is short
TRIES = 100
LARGE = {"dim": 1024, "every": 1, "steps": 100000}  # 18 MB a checkpoint, one a step
KILLED: Wanted = {"is killed": lambda seen: seen.run.status == -KILL}


def killed(lab: Lab, after: int, *, training: bool = True, **options: Any) -> Seen:
    """Kill a run after the forward pass of a batch, go on."""
    return stop_and_go_on(lab, fault("hooks.send", number=KILL, after=after, training=training), **options)


def in_a_carry(lab: Lab) -> Seen:
    """Kill a run of a network that hands itself something from step to step."""
    return stop_and_go_on(lab, fault("hooks.send", number=KILL, after=12), always=(fault("hooks.carry_along"),))


def at_an_epochs_end(lab: Lab) -> Seen:
    """Kill a run in the first step after a checkpoint that was written as an epoch ended."""
    batches = BATCHES + (lab.side.LAST != "last.pt")
    return killed(lab, 2 * batches + 1, every=batches, steps=4 * batches)


def trace_of(lab: Lab) -> list[list[str]]:
    """Return the OS calls of the save at step 10, in order: name and paths."""
    lab.run(fault("system.trace", after=6, path="trace.txt"), out="traced", steps=10)
    return [line.split() for line in (lab.folder / "trace.txt").read_text("utf-8").splitlines()]


def at_every_call(lab: Lab) -> Seen:
    """Die before each OS call of a save in turn; look whether the newest checkpoint loads, and go on."""
    numbers = range(1, len(trace_of(lab)) + 1)
    seen, loads, goes_on = Seen(lab.run(steps=10), many=True), 0, 0
    folder, _ = lab.whole(steps=10)
    for number in numbers:
        out = f"call-{number}"
        seen.run = lab.run(fault("system.die_at_call", after=6, number=number), out=out, steps=10)
        loads += lab.left(out).get(lab.side.LAST, {}).get("step") in {5, 10}
        resumed = lab.resume(out=out, steps=10)
        names = (lab.side.LAST, lab.side.BEST)
        differ = [path for name in names for path in lab.look("compare", f"{out}/{name}", str(folder / name))]
        goes_on += not resumed.status and not differ
    seen.facts.update(loads=loads == len(numbers) > 0, exact=goes_on == len(numbers))
    seen.notes.append(f"{len(numbers)} calls: newest checkpoint loads after {loads}, goes on exactly after {goes_on}")
    return seen


def at_every_size(lab: Lab) -> Seen:
    """Die in the middle of a write, at eight sizes of the checkpoint."""
    lab.run(steps=5, out="sized")
    size = (lab.folder / "sized" / lab.side.LAST).stat().st_size
    sizes = [1 + size * part // 8 for part in range(8)]
    loads, seen = 0, Seen(lab.run(steps=10), many=True)
    for number, limit in enumerate(sizes):
        out = f"size-{number}"
        seen.run = lab.run(fault("system.die_at_byte", after=6, size=max(limit, 20000)), out=out, steps=10)
        loads += "step" in lab.left(out).get(lab.side.LAST, {})
    seen.facts["loads"] = loads == len(sizes)
    seen.notes.append(f"newest checkpoint loads after {loads} of {len(sizes)} deaths")
    return seen


def other_file_system(lab: Lab) -> Path:
    """Return a folder that lies on another file system than the one of temporary files, where there is one."""
    memory = Path("/dev/shm")  # noqa: S108 (a folder of its own is made in it)
    apart = memory.is_dir() and os.access(memory, os.W_OK) and memory.stat().st_dev != lab.folder.stat().st_dev
    folder = (memory if apart else lab.folder) / f"faults-{os.getpid()}-{lab.side.NAME.lower()}"
    folder.mkdir()
    return folder


def at_random(lab: Lab) -> Seen:
    """Kill a run that does little but save, many times, at a random moment after its first checkpoint."""
    chance, folder, corrupt = random.Random(0), other_file_system(lab), 0
    seen = Seen(lab.run(steps=5), many=True)
    for number in range(TRIES):
        out = folder / str(number)
        pid = lab.start(lab.side.start(str(out), LARGE), losses=False)
        deadline = time.monotonic() + lab.timeout
        while not (out / lab.side.LAST).exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.25))
        os.kill(pid, KILL)
        seen.run = lab.end(pid)
        corrupt += "step" not in lab.left(str(out)).get(lab.side.LAST, {})
        lab.look("remove", str(out))
    folder.rmdir()
    leaked = len([path for path in (lab.folder / "tmp").rglob("*") if path.is_file()])
    seen.facts.update(corrupt=corrupt, leaked=leaked)
    seen.notes.append(f"{TRIES} kills: {corrupt} unreadable, {leaked} files leaked into the temporary folder")
    return seen


def order(lab: Lab) -> Seen:
    """Look at the order of the calls of a save: what a power cut could lose."""
    calls = trace_of(lab)
    writes = [number for number, call in enumerate(calls) if call[0] == "rename" and is_checkpoint(call[-1])]
    opened = [call for call in calls if call[0] == "open" and is_checkpoint(call[-1])]
    before = sum(["fsync", calls[number][1]] in calls[:number] or linked(calls, number) for number in writes)
    after = sum(["fsync", str(Path(calls[number][-1]).parent)] in calls[number:] for number in writes)
    seen = Seen(lab.run(steps=10), many=True)
    total = len(writes) + len(opened)
    seen.facts["safe"] = before == after == total > 0
    seen.notes.append(
        f"{total} checkpoints written: {before} flushed before the rename, {after} with the folder flushed after it"
    )
    return seen


def linked(calls: list[list[str]], number: int) -> bool:
    """Whether what is renamed is a second name of a file that lies on the disk already."""
    return any(call[0] == "link" and call[-1] == calls[number][1] for call in calls[:number])


def is_checkpoint(path: str) -> bool:
    """Whether a path is a checkpoint's final name."""
    return Path(path).suffix in {".pt", ".ckpt"}


CASES = [
    Case("kill-step", "kill -9 in the middle of an epoch", lambda lab: killed(lab, 12), KILLED | WHOLE | EXACT),
    Case(
        "kill-late",
        "kill -9 in the middle of the third epoch",
        lambda lab: killed(lab, 48, steps=60),
        KILLED | WHOLE | EXACT,
    ),
    Case(
        "kill-first", "kill -9 in the first step", lambda lab: killed(lab, 1), KILLED | WHOLE | EXACT | at("last.pt", 0)
    ),
    Case("kill-epoch", "kill -9 right after an epoch's end", at_an_epochs_end, KILLED | WHOLE | EXACT),
    Case(
        "kill-validation",
        "kill -9 in an evaluation",
        lambda lab: killed(lab, 10, training=False),
        KILLED | WHOLE | EXACT,
    ),
    Case(
        "kill-accumulation",
        "kill -9 between two batches of one update",
        lambda lab: killed(lab, 12 * 4 - 2, accumulate=4),
        KILLED | WHOLE | EXACT,
    ),
    Case(
        "kill-workers",
        "kill -9 with two workers that have fetched more",
        lambda lab: killed(lab, 12, workers=2),
        KILLED | WHOLE | EXACT,
    ),
    Case("kill-carry", "kill -9 with a carry in flight", in_a_carry, KILLED | WHOLE | EXACT),
    Case("save-calls", "death at every OS call of a save", at_every_call, fact("loads", True) | fact("exact", True)),
    Case("save-bytes", "death in the middle of a write, at 8 sizes", at_every_size, fact("loads", True)),
    Case(
        "save-random",
        f"kill -9 at random, saving all the time to another file system, {TRIES} times",
        at_random,
        fact("corrupt", 0) | fact("leaked", 0),
    ),
    Case("save-order", "the order of a save's calls, for a power cut", order, CALM | exits(0) | fact("safe", True)),
]
