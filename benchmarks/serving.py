"""How fast the service answers, beside litserve and a bare FastAPI handler of the same model; what a burst does to it.

    uv run --group benchmark python benchmarks/serving.py [--seconds N] [--clients N] [--preset NAME] [--only NAME ...]

Each contender is a process of its own on the loopback, the load comes from a second process: first one client, then
many, each of which asks again once it was answered. Contenders take turns, three rounds each. Every answer is compared
to what the model says without any server, and the service's to the hash of the input. Then the service gets a burst of
ten times the rows that may wait. Prints Markdown; the exit status is 1 where an answer was lost, was another's, or a
goal was missed.
"""

import argparse
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

import torch

sys.path.extend(str(Path(__file__).parents[1] / name) for name in ("", "working"))

from benchmarks.load import Expected, Load, load_it, wrong
from my_project import config as configs
from my_project import run as commands
from my_project.serving.predictor import Predictor

ROOT, OK, BUSY = Path(__file__).parents[1], 200, 503
ROUNDS, ROWS, WARM = 3, 256, 1.0  # turns of each contender; different inputs; seconds that do not count
WAITING, BIG = 1024, 64  # rows that may wait in the service; rows of a request in a burst
BURST = 10  # times the rows that may wait
CONTENDERS = ("service", "bare FastAPI", "litserve", "litserve, batches")
FLAT = 50e6  # bytes that the process may have grown by
PEER = "from benchmarks.peers.serving import main; main()"
COLUMNS = "| | one client: p50 ms | p99 ms | requests/s | {} clients: p50 ms | p99 ms | requests/s | lost | wrong |"


def words_of(contender: str, run: Path, port: int) -> list[str]:
    """Return the command that starts a contender."""
    if contender != "service":
        return ["-c", PEER, contender, str(run), str(port)]
    return ["-m", "my_project", "serve", str(run), "--port", str(port), "--queue", str(WAITING), "--without-monitoring"]


@contextmanager
def started(contender: str, run: Path) -> Iterator[tuple[int, int]]:
    """Start a contender, wait until it answers, and end it and its processes; yields its port and its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "working"), os.environ.get("PYTHONPATH", "")])
    with (run / "log.txt").open("w") as log:
        argv = [sys.executable, *words_of(contender, run, port)]
        environment = {**os.environ, "PYTHONPATH": paths}
        process = subprocess.Popen(argv, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            wait_for(port, process, run / "log.txt")
            yield port, process.pid
        finally:
            for number in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(process.pid, number)
                    process.wait(10)
                except (ProcessLookupError, subprocess.TimeoutExpired):
                    continue


def wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until somebody listens at a port."""
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as line:
            if not line.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.1)
    raise SystemExit(f"nobody listens at {port}: {log.read_text('utf-8')[-2000:]}")


def expect(run: Path) -> Expected:
    """Return different rows as JSON, their hashes, and what the model says to each, alone."""
    predictor = Predictor.load(run)
    data = predictor.config.data.build("val")
    schema = predictor.row.model_json_schema()["properties"]["pixels"]
    most = schema["items"]["items"]["maximum"]
    found = Expected()
    for number in range(ROWS):
        pixels = most * data[torch.tensor([number % len(data)]), 0].inputs[0]
        row = {"pixels": [[int(value) for value in line] for line in pixels.round().tolist()]}
        text = json.dumps(row, sort_keys=True, separators=(",", ":")).encode()
        found.append((text, hashlib.sha256(text).hexdigest(), predictor([row])[0]))
    return found


def percentiles(load: Load) -> tuple[float, float, float]:
    """Return the median and the 99th percentile of the time to an answer [ms], and requests a second."""
    cuts = quantiles(load.seconds, n=100)
    return 1000 * cuts[49], 1000 * cuts[98], len(load.seconds) / load.took


def measure(contender: str, run: Path, expected: Expected, clients: int, seconds: float) -> list[float]:
    """Return what one client and many saw of a contender in one turn."""
    with started(contender, run) as (port, _):
        load_it(port, expected, clients, WARM)
        loads = [load_it(port, expected, 1, seconds / 4), load_it(port, expected, clients, 3 * seconds / 4)]
    found = [figure for load in loads for figure in percentiles(load)]
    bad = sum(load.lost + sum(status != OK for _, status, _ in load.answers) for load in loads)
    return [*found, bad, sum(wrong(load, expected) for load in loads)]


def memory(pid: int) -> float:
    """Return what a process has in memory [bytes]."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text("utf-8"))
    assert found
    return 1024 * float(found[1])


def burst(run: Path, expected: Expected, seconds: float) -> tuple[list[str], bool]:
    """Send ten times as many rows as may wait, again and again; return lines on it, and whether all was well."""
    with started("service", run) as (port, pid):
        load_it(port, expected, 8, WARM, BIG)
        before, small = percentiles(load_it(port, expected, 1, 2.0)), memory(pid)
        load = load_it(port, expected, BURST * WAITING // BIG, seconds, BIG)
        after, large = percentiles(load_it(port, expected, 1, 2.0)), memory(pid)
    counts, faults = Counter(status for _, status, _ in load.answers), wrong(load, expected)
    told = f"{counts[OK]} requests of {BIG} rows answered, {counts[BUSY]} refused with 503"
    lines = [
        f"A burst of {BURST * WAITING} rows at once, kept up for {load.took:.0f} s, where {WAITING} may wait:",
        f"{told}, {load.lost} lost, {faults} wrong.",
        f"Memory before {small / 1e6:.0f} MB, after {large / 1e6:.0f} MB.",
        f"One client, p50 before {before[0]:.2f} ms, after {after[0]:.2f} ms.",
    ]
    well = {*counts} == {OK, BUSY} and not load.lost and not faults
    return lines, well and large - small < FLAT and after[0] < 2 * before[0]


def goals(table: dict[str, list[float]]) -> list[str]:
    """Return a line for each goal that was missed."""
    mine, missed = table["service"], list[str]()
    for name, other in table.items():
        if name.startswith("litserve") and (mine[0] > other[0] or mine[5] < other[5]):
            missed.append(f"{name} is faster")
        if name == "bare FastAPI" and mine[5] < other[5]:
            missed.append(f"{name} answers more requests")
        if other[6] or other[7]:
            missed.append(f"{name} lost or mixed up answers")
    return missed


def main() -> None:
    """Measure all contenders and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="of load for each contender")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--preset", default="mlp")
    parser.add_argument("--only", nargs="*", choices=CONTENDERS, default=CONTENDERS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        commands.fit(configs.load(given.preset, {"train.steps": 100, "train.out": str(run)}))
        expected = expect(run)
        turns: dict[str, list[list[float]]] = {name: [] for name in given.only}
        for turn in range(given.rounds):
            for name in [*given.only][:: 1 if turn % 2 else -1]:
                turns[name].append(measure(name, run, expected, given.clients, given.seconds / given.rounds))
                print(f"turn {turn + 1}, {name}: {turns[name][-1]}", file=sys.stderr)
        lines, well = burst(run, expected, min(10.0, given.seconds / 6))
    table = {name: [*map(median, zip(*rows, strict=True))] for name, rows in turns.items()}
    for name, rows in turns.items():
        table[name][6:] = [sum(row[6] for row in rows), sum(row[7] for row in rows)]
    print(COLUMNS.format(given.clients), "|---" + "|---:" * 8 + "|", sep="\n")
    for name, row in table.items():
        cells = [f"{value:,.2f}" for value in row[:6]]
        print(f"| {name} | {' | '.join(cells)} | {row[6]:.0f} | {row[7]:.0f} |")
    print("", *lines, sep="\n")
    missed = goals(table) if "service" in table else []
    raise SystemExit("; ".join(missed) or (0 if well else "the burst was not borne"))


if __name__ == "__main__":
    main()
