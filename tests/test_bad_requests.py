"""What no client should send: the service refuses it in one line, does nothing else, and goes on answering."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.answers import ROOT
from tests.bad_requests import BAD, GOOD, post
from tests.harness import command

LIMIT = 60.0  # seconds
GROWTH = 40e6  # bytes that the process may take more after all of it: allocators keep some


@dataclass(frozen=True)
class Running:
    """A service in a process of its own, and where it may write."""

    port: int
    folder: Path

    @property
    def client(self) -> httpx.Client:
        """Who asks it as one should."""
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=LIMIT, trust_env=False)

    def memory(self) -> float:
        """What the process has in memory [bytes]."""
        with self.client as client:
            found = re.search(r"^process_resident_memory_bytes (\S+)", client.get("/metrics").text, re.MULTILINE)
        assert found
        return float(found[1])

    def files(self) -> list[Path]:
        """All that lies in its folder."""
        return sorted(path for path in self.folder.rglob("*") if path.name != "stderr.txt")

    def send(self, *parts: bytes, pause: float = 0.0) -> tuple[int, str]:
        """Send bytes as they are, as long as somebody takes them; return the status and the line that came back."""
        with socket.create_connection(("127.0.0.1", self.port), LIMIT) as line:
            with contextlib.suppress(OSError):
                for part in parts:
                    line.sendall(part)
                    time.sleep(pause)
            found = everything(line)
        head, _, body = found.partition(b"\r\n\r\n")
        assert re.match(rb"HTTP/1\.[01] \d{3} ", head), found[:200]
        return int(head.split()[1]), str(json.loads(body)["error"])


def everything(line: socket.socket) -> bytes:
    """What comes until the other side closes."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while part := line.recv(65536):
            found += part
    return found


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A run of two steps, served; ended and waited for."""
    folder = tmp_path_factory.mktemp("service")
    paths = os.pathsep.join([str(ROOT / "working"), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    python = [sys.executable, "-m", "my_project"]
    trained = command([*python, "train", "mlp", "--fast-dev-run", "--train.out", "run"], folder, environment)
    assert trained.status == 0, trained.output
    said = folder / "stderr.txt"
    argv = [*python, "serve", "run", "--port", "0", "--without-monitoring"]
    with said.open("wb") as stderr, subprocess.Popen(argv, cwd=folder, env=environment, stderr=stderr) as process:
        try:
            end = time.monotonic() + LIMIT
            while not (found := re.search(r" at http://127\.0\.0\.1:(\d+);", said.read_text("utf-8"))):
                assert process.poll() is None, said.read_text("utf-8")
                assert time.monotonic() < end, said.read_text("utf-8")
                time.sleep(0.1)
            running = Running(int(found[1]), folder)
            with running.client as client:
                for _ in range(50):  # what the first requests take stays taken
                    assert client.post("/predict", json=json.loads(GOOD)).status_code == 200
            yield running
        finally:
            process.terminate()
            assert process.wait(LIMIT) == 143
    assert "Traceback" not in said.read_text("utf-8")


@pytest.mark.parametrize("name", BAD)
def test_a_bad_request_is_refused_in_one_line_and_nothing_else_happens(name: str, service: Running) -> None:
    before = service.files()
    status, line = service.send(BAD[name])
    assert 400 <= status < 500, line
    assert 10 < len(line) < 300
    assert line.isprintable()
    with service.client as client:
        assert client.post("/predict", json=json.loads(GOOD)).status_code == 200
    assert service.files() == before


def test_a_header_of_10_gb_is_refused_long_before_its_end(service: Running) -> None:
    before, sent, part = service.memory(), 0, b"a" * 65536
    with socket.create_connection(("127.0.0.1", service.port), LIMIT) as line:
        line.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nX: ")
        with contextlib.suppress(OSError):
            while sent < 10e9:
                line.sendall(part)
                sent += len(part)
                line.settimeout(LIMIT)
        found = everything(line)
    assert sent < 4e9, "it took all of it"
    assert not found or found.startswith(b"HTTP/1.1 431 ")
    assert service.memory() - before < GROWTH


def test_clients_that_are_slow_in_a_head_or_in_a_body_are_refused(service: Running) -> None:
    slow = {"head": [b"GET /health HTTP/1.1\r\n", *[b"X: y\r\n"] * 40], "body": [post(GOOD)[:-50], *[b" "] * 40]}
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(service.send, *parts, pause=0.4) for parts in [*slow.values()] * 4]
        with service.client as client:  # nobody else has to wait for them
            assert client.post("/predict", json=json.loads(GOOD)).elapsed.total_seconds() < 5
        assert {found.result()[0] for found in asked} == {408}


def test_memory_stays_flat_however_many_bad_requests_there_were(service: Running) -> None:
    heavy = [name for name in BAD if any(word in name for word in ("bomb", "MB", "100,000", "digits", "257"))]

    def all_of_them() -> None:
        for name in heavy:
            service.send(BAD[name])

    all_of_them()
    before = service.memory()
    for _ in range(5):
        all_of_them()
    assert service.memory() - before < GROWTH


def test_what_openapi_says_can_be_asked_without_a_failure_of_the_service(service: Running) -> None:
    schema = f"http://127.0.0.1:{service.port}/openapi.json"
    words = ["run", schema, "--seed", "1", "--max-examples", "30", "--max-time", "30", "--workers", "1", "--no-color"]
    argv = [sys.executable, "-m", "schemathesis.cli", *words, "--checks", "not_a_server_error"]
    found = command(argv, service.folder)
    assert found.status == 0, found.output
