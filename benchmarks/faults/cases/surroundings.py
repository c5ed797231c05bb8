"""Memory, devices, clocks and pipes that fail."""

from typing import Any

from ..bench import Fault, Lab, fault, stop_and_go_on
from ..expect import CALM, EXACT, FINITE, WHOLE, Case, Seen, Wanted, at, exits, fact, says

CLOSE, ROWS, KILL = 1e-5, 20, 9
IN_STEP_12 = 30  # 6 forward passes, 2 for which memory is short, then 4 of 16 rows a step
BLIND = {"CUDA_VISIBLE_DEVICES": "-1"}


def out_of_memory(lab: Lab) -> Seen:
    """Let batches of more than 20 rows not fit from step 7 on; compare with a run in which all fit, without dropout."""
    folder, _ = lab.whole(dropout=0)
    ended = lab.run(fault("hooks.out_of_memory", after=7, most_rows=ROWS), dropout=0)
    seen = Seen(ended, lab.left())
    if not ended.status:
        apart = lab.look("distance", f"run/{lab.side.LAST}", str(folder / lab.side.LAST))
        seen.facts["close"] = apart < CLOSE
        seen.notes.append(f"final weights differ by {apart:.0e} from those of a run in which all fits")
        lines = [line for line in ended.said.splitlines() if "memory" in line]
        seen.quoted = lines[-1] if lines else ""
    return seen


def killed_when_split(lab: Lab) -> Seen:
    """Kill a run in step 12 after memory ran out in step 7; whoever does not live to step 12 is done."""
    short = fault("hooks.out_of_memory", after=7, most_rows=ROWS)
    first = lab.run(short, out="first", losses=False)
    if first.status:
        return Seen(first, lab.left("first"))
    return stop_and_go_on(lab, fault("hooks.send", number=KILL, after=IN_STEP_12), always=(short,), losses=False)


def environment(lab: Lab, *faults: Fault, **options: Any) -> Seen:
    """Train with a fault in what surrounds the run."""
    ended = lab.run(*faults, **options)
    return Seen(ended, lab.left())


def device(lab: Lab, name: str) -> Seen:
    """Train on a device by name where there is no CUDA device."""
    lab.environment |= BLIND
    ended = lab.run(device=name)
    seen = Seen(ended, lab.left() if not ended.status else None)
    lines = [line.strip() for line in ended.said.splitlines() if "cpu" in line.lower()]
    seen.quoted = lines[0] if lines and not ended.status else ""
    return seen


def seconds(lab: Lab) -> Seen:
    """Set the clocks back by a day in step 7."""
    return environment(lab, fault("hooks.clock_jumps", after=7, seconds=-86400))


def pipes(lab: Lab, *numbers: int) -> Seen:
    """Train with nobody at the other end of stdout or stderr."""
    seen = environment(lab, fault("system.broken_pipes", numbers=numbers))
    seen.facts["report"] = (lab.folder / "run" / "report.html").exists()
    return seen


DONE: Wanted = CALM | exits(0) | WHOLE | FINITE | at("last.pt", 40)

CASES = [
    Case(
        "memory-short",
        "out of memory for batches of more than 20 rows, from step 7 on",
        out_of_memory,
        DONE | says("(?i)memory") | fact("close", True),
    ),
    Case(
        "memory-kill",
        "kill -9 after memory ran out and a batch went in parts",
        killed_when_split,
        WHOLE | FINITE | at("last.pt", 10) | fact("resumed", 0) | fact("differ", []) | fact("other best", []),
    ),
    Case(
        "memory-none",
        "no memory for a single row either, from step 7 on",
        lambda lab: stop_and_go_on(lab, fault("hooks.no_memory", after=7)),
        CALM | exits(4) | WHOLE | FINITE | EXACT | says("(?i)memory"),
    ),
    Case(
        "memory-evaluation",
        "no memory in an evaluation, at step 10",
        lambda lab: stop_and_go_on(lab, fault("hooks.no_memory", after=10, training=False)),
        CALM | exits(4) | WHOLE | FINITE | EXACT | says("(?i)memory"),
    ),
    Case("cuda-named", "CUDA named, and missing", lambda lab: device(lab, "cuda"), CALM | exits(4) | says("cuda")),
    Case("cuda-auto", "CUDA missing, `auto`", lambda lab: device(lab, "auto"), CALM | exits(0) | says("cpu")),
    Case("clock", "the clock jumps back by a day", seconds, DONE),
    Case(
        "stdout",
        "nobody reads stdout any more",
        lambda lab: pipes(lab, 1),
        CALM | exits(0, 4) | WHOLE | at("last.pt", 40) | fact("report", True),
    ),
    Case(
        "terminal",
        "the terminal is gone: nobody reads stdout and stderr",
        lambda lab: pipes(lab, 1, 2),
        exits(0, 4) | WHOLE | at("last.pt", 40) | fact("report", True),
    ),
]
