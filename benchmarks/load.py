"""Clients that ask a service on the loopback as fast as it answers, and what they saw; in a process of their own."""

import asyncio
import json
import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Expected = list[tuple[bytes, str, dict[str, Any]]]  # a row as JSON, its hash, the model's own answer
OK = 200
NEAR = 1e-4  # how far a confidence may be from that of the row alone: a batch of another size is computed otherwise


@dataclass
class Load:
    """What a number of clients saw."""

    seconds: list[float] = field(default_factory=list)
    answers: list[tuple[list[int], int, bytes]] = field(default_factory=list)  # which rows, status, body
    lost: int = 0
    took: float = 0.0


class Client(asyncio.Protocol):
    """One connection that asks, and asks again once it was answered, until its time is over."""

    def __init__(self, load: Load, requests: Iterator[tuple[list[int], bytes]], end: float) -> None:
        self.load, self.requests, self.end = load, requests, end
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.buffer, self.asked = b"", False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Ask first."""
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        """Send the next request."""
        self.rows, request = next(self.requests)
        self.asked, self.started = True, time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take an answer; ask again."""
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found or len(body) < length_of(head):
            return
        now = time.perf_counter()
        self.load.seconds.append(now - self.started)
        self.load.answers.append((self.rows, int(head[9:12]), body))
        self.buffer, self.asked = b"", False
        if now < self.end:
            self.ask()
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count what was not answered."""
        self.load.lost += self.asked
        self.done.set_result(None)


def length_of(head: bytes) -> int:
    """Return how long the body is that an answer's head announces."""
    return int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])


def requests_of(rows: list[bytes], size: int, first: int) -> Iterator[tuple[list[int], bytes]]:
    """Yield requests of so many rows each, one set of rows after the other, without an end."""
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    made = list[tuple[list[int], bytes]]()
    for start in range(0, len(rows), size):
        numbers = [*range(start, start + size)]
        body = b'{"rows": [%b]}' % b",".join(rows[number] for number in numbers)
        made.append((numbers, head % len(body) + body))
    place = first
    while True:
        yield made[place % len(made)]
        place += 1


async def run_clients(port: int, rows: list[bytes], clients: int, seconds: float, size: int) -> Load:
    """Return what so many clients saw in so much time."""
    load, loop, started = Load(), asyncio.get_running_loop(), time.perf_counter()
    everybody = [Client(load, requests_of(rows, size, 37 * n), started + seconds) for n in range(clients)]
    for one in everybody:
        await loop.create_connection(lambda one=one: one, "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.wait([one.done for one in everybody], timeout=seconds + 60)
    load.took = time.perf_counter() - started
    load.lost += sum(not one.done.done() for one in everybody)
    return load


def load_it(port: int, expected: Expected, clients: int, seconds: float, size: int = 1) -> Load:
    """Run clients in a second process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(in_child, (port, [row for row, _, _ in expected], clients, seconds, size))


def in_child(*given: Any) -> Load:
    """Run clients here."""
    return asyncio.run(run_clients(*given))


def wrong(load: Load, expected: Expected) -> int:
    """Return how many answers were not those to their rows."""
    return sum(not right(json.loads(body), rows, expected) for rows, status, body in load.answers if status == OK)


def right(reply: dict[str, Any], rows: list[int], expected: Expected) -> bool:
    """Return whether a reply is what the model says to these rows, and has their hashes where it has any."""
    hashes = reply.get("input_sha256", [expected[row][1] for row in rows])
    pairs = [(answer, expected[row]) for answer, row in zip(reply["answers"], rows, strict=True)]
    near = all(
        abs(a["confidence"] - own["confidence"]) < NEAR and a["answer"] == own["answer"] for a, (_, _, own) in pairs
    )
    return near and hashes == [expected[row][1] for row in rows]
