"""Runs of several processes on this machine: torchrun starts them, and each can be given faults of its own."""

import json
import os
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path

from .bench import Fault, Host, Lab, fault
from .expect import Ended, how

LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo"}
GONE = 5.0  # seconds within which a process that was killed has to be gone


def only(rank: int, *faults: Fault, attempt: int = 0) -> Fault:
    """Name faults of one process, in one attempt of torchrun."""
    return fault("torchrun.only", rank=rank, faults=faults, attempt=attempt)


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Group(Lab):
    """A bench whose runs are `world` processes, which torchrun starts again `restarts` times when one of them fails."""

    standalone = False  # whether torchrun finds an address for them

    def __init__(self, host: Host, name: str, world: int = 2, restarts: int = 0) -> None:
        super().__init__(host, name)
        self.world, self.restarts = world, restarts
        self.environment |= LOOPBACK

    def another(self, name: str) -> "Group":
        """Return a bench in a folder beside this one, for runs of as many processes without a stop."""
        return Group(self.host, name, self.world)

    @property
    def kind(self) -> str:
        """What its runs are: only runs of as many processes are compared."""
        return f"{self.world} processes"

    def start(self, words: list[str], *faults: Fault, losses: bool = True) -> int:
        """Start torchrun with runs of the side's command line."""
        output = self.folder / f"run-{self.runs + 1}"
        request = {"faults": faults, "losses": losses}
        Path(f"{output}.json").write_text(json.dumps(request), encoding="utf-8")
        address = ["--standalone"] if self.standalone else ["--master-addr=127.0.0.1", f"--master-port={free_port()}"]
        return self.begin("torchrun", [self.world, self.restarts, address, words])

    def read(self, output: str) -> tuple[str, list[str]]:
        """Kill what torchrun has left behind; return what the processes said, the first one last, and their losses."""
        orphans = self.kill_left()
        Path(f"{output}.orphans").write_text(str(orphans), encoding="utf-8")
        said = "".join(path.read_text("utf-8", errors="replace") for path in self.outputs(output, "err"))
        losses: dict[str, list[str]] = {}
        for path in self.outputs(output, "losses"):  # those of the last attempt
            losses[path.stem.split("-")[-2]] = path.read_text("utf-8").split()
        return said or super().read(output)[0], [" ".join(step) for step in zip(*losses.values(), strict=False)]

    def outputs(self, output: str, suffix: str, rank: int | str = "*") -> list[Path]:
        """Return a file of every process, or of one: those of the first one last, each one's attempts in order."""
        paths = sorted(Path(output).parent.glob(f"{Path(output).name}-{rank}-*.{suffix}"))
        return sorted(paths, key=lambda path: -int(path.stem.split("-")[-2]))

    def kill_left(self) -> int:
        """Kill the processes that outlived their torchrun; return how many there were."""
        pids = [int(path.read_text("utf-8")) for path in self.folder.glob("pid-*")]
        left = [pid for pid in pids if self.alive(pid)]
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + GONE
        while any(self.alive(pid) for pid in left) and time.monotonic() < deadline:
            time.sleep(0.005)
        return len(left)

    def alive(self, pid: int) -> bool:
        """Whether a process is there and is one of these runs, by the folder it is in."""
        with suppress(OSError):
            return Path(f"/proc/{pid}/cwd").readlink().is_relative_to(self.folder)
        return False

    def statuses(self, ended: Ended) -> list[int | None]:
        """Return how the processes of the last attempt ended, in order; nothing if torchrun could not tell."""
        path = Path(f"{ended.output}.statuses")
        return list(json.loads(path.read_text("utf-8")))[-self.world :] if path.exists() else []

    def last_words(self, ended: Ended) -> str:
        """Return the last line of a process that failed by itself, or else of one that was not killed."""
        statuses = [status or 0 for status in self.statuses(ended)]
        ranks = sorted(range(len(statuses)), key=lambda rank: (statuses[rank] <= 0, statuses[rank] == -signal.SIGKILL))
        said = [path.read_text("utf-8", errors="replace") for path in self.outputs(ended.output, "err", ranks[0])]
        return Ended(0, "".join(said), [], 0).last_line

    def told(self, ended: Ended) -> str:
        """Say how the processes of the last attempt ended."""
        statuses = [how(status) if status is not None else "left running" for status in self.statuses(ended)]
        return f"its processes: {', '.join(statuses)}" if statuses else "nobody can say how its processes ended"
