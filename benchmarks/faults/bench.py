"""Starts runs of one side with faults in them, and looks at what they leave; it imports neither torch nor a trainer."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from .expect import IMPOSSIBLE, NEVER, Ended, Seen

ROOT = Path(__file__).parents[2]
Fault = tuple[str, dict[str, Any]]
STEPS, EVERY = 40, 5


def fault(name: str, **arguments: Any) -> Fault:
    """Name a fault, as in `hooks.send`, with its arguments."""
    return name, arguments


class ImpossibleError(OSError):
    """This machine does not let a fault happen."""


class Host:
    """The warm process of one side, and the runs without a fault that its cases compare with."""

    def __init__(self, module: str, side: ModuleType, folder: Path, timeout: float) -> None:
        self.module, self.side, self.folder, self.timeout = module, side, folder, timeout
        self.unbroken: dict[str, tuple[Path, Ended]] = {}
        environment = {"PYTHONPATH": str(ROOT / "working"), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        command = [sys.executable, "-m", f"{__package__}.warm", module]
        pipe, settings = subprocess.PIPE, os.environ | environment
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT, env=settings)
        self.read()

    def read(self) -> dict[str, Any]:
        """Return the warm process's next answer."""
        assert self.process.stdout
        if not (line := self.process.stdout.readline()):
            raise OSError(f"the process of {self.side.NAME} is gone")
        return dict(json.loads(line))

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and return the answer."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self.read()

    def close(self) -> None:
        """End the warm process."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


class Lab:
    """The bench of one side for one case, in a folder of its own."""

    def __init__(self, host: Host, name: str) -> None:
        self.host, self.side, self.folder = host, host.side, host.folder / name
        self.timeout, self.runs = host.timeout, 0
        self.running: dict[int, tuple[str, float]] = {}
        (self.folder / "tmp").mkdir(parents=True)
        self.environment = {"TMPDIR": str(self.folder / "tmp")}

    def another(self, name: str) -> "Lab":
        """Return a bench in a folder beside this one."""
        return Lab(self.host, name)

    @property
    def kind(self) -> str:
        """What its runs are: only runs of one kind are compared."""
        return "one process"

    def begin(self, entry: str, words: list[Any], faults: tuple[Fault, ...] = ()) -> int:
        """Start a child; return its process number."""
        self.runs += 1
        output = str(self.folder / f"run-{self.runs}")
        places = {"folder": str(self.folder), "output": output, "environment": self.environment}
        pid = int(self.host.ask(do="start", entry=entry, words=words, faults=faults, **places)["pid"])
        self.running[pid] = output, time.monotonic()
        return pid

    def end(self, pid: int, timeout: float = 0) -> Ended:
        """Wait for a child and return how it ended; machine paths are taken out of what it said."""
        status = self.host.ask(do="wait", pid=pid, timeout=timeout or self.timeout)["status"]
        output, started = self.running.pop(pid)
        text, lines = self.read(output)
        for place in (f"{self.folder}/", f"{self.host.folder}/", f"{ROOT}/", f"{sys.prefix}/"):
            text = text.replace(place, "")
        seconds = time.monotonic() - started
        if status == IMPOSSIBLE:
            raise ImpossibleError(text.strip())
        return Ended(NEVER if status is None else status, text, lines, seconds, output)

    def read(self, output: str) -> tuple[str, list[str]]:
        """Return what a child that has ended said, and its losses."""
        said, losses = (Path(f"{output}.{suffix}") for suffix in ("err", "losses"))
        lines = losses.read_text("utf-8").split() if losses.exists() else []
        return said.read_text("utf-8", errors="replace"), lines

    def look(self, entry: str, *words: Any) -> Any:
        """Return what a function of `look` finds."""
        ended = self.end(self.begin(entry, list(words)))
        if ended.status:
            raise OSError(f"{self.side.NAME}: {entry}{words}: {ended.said}")
        return json.loads(Path(f"{ended.output}.out").read_text("utf-8"))

    def start(self, words: list[str], *faults: Fault, losses: bool = True) -> int:
        """Start a run of the side's command line with faults in it."""
        record = fault("hooks.record", path=str(self.folder / f"run-{self.runs + 1}.losses"))
        return self.begin("run", words, (*faults, record) if losses else faults)

    def run(self, *faults: Fault, out: str = "run", timeout: float = 0, losses: bool = True, **options: Any) -> Ended:
        """Train with faults and return how that ended."""
        return self.end(self.start(self.side.start(out, options), *faults, losses=losses), timeout)

    def resume(
        self, *faults: Fault, out: str = "run", changes: Mapping[str, object] | None = None, **kept: Any
    ) -> Ended:
        """Go on with a run whose options were `kept`, or with the checkpoint that is named."""
        losses = kept.pop("losses", True)
        return self.end(self.start(self.side.resume(out, kept, dict(changes or {})), *faults, losses=losses))

    def left(self, folder: str = "run") -> dict[str, dict[str, Any]]:
        """Return what checkpoints a run left."""
        return dict(self.look("checkpoints", folder))

    def whole(self, *faults: Fault, losses: bool = True, **options: Any) -> tuple[Path, Ended]:
        """Return the folder of the run without a stop, and how it ended; it is trained once."""
        key = json.dumps([self.kind, faults, options], sort_keys=True)
        if key not in self.host.unbroken:
            lab = self.another(f"unbroken-{len(self.host.unbroken)}")
            ended = lab.run(*faults, losses=losses, **options)
            if ended.status:
                raise OSError(f"{self.side.NAME}: a run without a fault ended with {ended.words}: {ended.said[-2000:]}")
            self.host.unbroken[key] = lab.folder / "run", ended
        return self.host.unbroken[key]

    def until(self, name: str) -> None:
        """Wait until a run says by a file in this case's folder that it has come so far."""
        deadline = time.monotonic() + self.timeout
        while not (self.folder / name).exists() and time.monotonic() < deadline:
            time.sleep(0.005)

    def copy(self, *faults: Fault, **options: Any) -> None:
        """Put a run that was killed in step 12 into this case's folder, a step after its checkpoints 5 and 10."""
        self.run(fault("hooks.send", number=9, after=12), *faults, **options)


def go_on(lab: Lab, seen: Seen, *faults: Fault, out: str = "run", losses: bool = True, **options: Any) -> Ended:
    """Resume a run and note how much of what follows is bitwise what it would have been without a stop."""
    name = Path(out).name if "/" in out else lab.side.LAST
    step = int((seen.left or {}).get(name, {}).get("step", 0))
    resumed = lab.resume(*faults, out=out, losses=losses, **options)
    seen.facts["resumed"] = resumed.status
    if resumed.status:
        seen.notes.append(f"resume: {resumed.words}, `{resumed.last_line[:100]}`")
        return resumed
    hold(lab, seen, resumed, *faults, step=step, losses=losses, **options)
    return resumed


def hold(lab: Lab, seen: Seen, ended: Ended, *faults: Fault, step: int, losses: bool = True, **options: Any) -> None:
    """Note how much of what a run did after a step, and what it left, is that of the run without a stop."""
    folder, unbroken = lab.whole(*faults, losses=losses, **options)
    if losses:
        each, steps = int(options.get("accumulate", 1)), int(options.get("steps", STEPS)) - step
        pairs = list(zip(unbroken.losses[step * each :], ended.losses, strict=False))
        bad = {number // each for number, (before, after) in enumerate(pairs) if before != after}
        done = min(len(pairs) // each, steps)
        seen.facts["equal"] = done - len(bad), steps
        seen.notes.append(f"resume: {done - len(bad)} of {steps} steps bitwise equal")
    for fact, name in (("differ", lab.side.LAST), ("other best", lab.side.BEST)):
        seen.facts[fact] = lab.look("compare", f"{lab.folder}/run/{name}", str(folder / name))
    if seen.facts["other best"] and not seen.facts["differ"]:
        seen.notes.append(f"{lab.side.BEST} is not that of the run without a stop")
    journals = [measurements(place) for place in (lab.folder / "run", folder)]
    seen.facts["journal"] = journals[0] == journals[1]
    if not losses:
        seen.notes.append(f"resume: final state {'differs' if seen.facts['differ'] else 'bitwise equal'}")


def measurements(folder: Path) -> list[dict[str, Any]]:
    """Return what our journal holds, without what the clock said."""
    path = folder / "metrics.jsonl"
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return [json.loads(line) | {"seconds": 0} for line in lines]


def stop_and_go_on(
    lab: Lab, *faults: Fault, always: tuple[Fault, ...] = (), losses: bool = True, **options: Any
) -> Seen:
    """Let a fault end a run, look at what is left, resume, and compare with the run that was never stopped."""
    ended = lab.run(*faults, *always, losses=losses, **options)
    seen = Seen(ended, lab.left())
    go_on(lab, seen, *always, losses=losses, **options)
    return seen
