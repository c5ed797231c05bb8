# copier: filter replace("my_project", package_name)
"""The command `serve`: how it begins, what it refuses, and how a signal ends it."""

import gc
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

import my_project
from my_project.__main__ import main
from my_project.serving.predictor import Answers, Predictor
from my_project.serving.server import bind, is_public

from . import served
from .served import LIMIT, FakeWatch, until, vector

SOURCE = Path(next(iter(my_project.__path__)))
PACKAGE = my_project.__name__
START = """
import sys
sys.path.insert(0, sys.argv.pop(1))
import tests.served as task
sys.modules[task.HOME] = task
from importlib import import_module
sys.exit(import_module(sys.argv.pop(1) + ".__main__").main())
"""


@pytest.fixture(autouse=True)
def task(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The sample's task, which no file of the package is for."""
    monkeypatch.setitem(sys.modules, served.HOME, served)
    yield
    gc.unfreeze()


def answers(port: int) -> bool:
    with socket.socket() as line:
        return not line.connect_ex(("127.0.0.1", port))


@contextmanager
def while_serving(act: Callable[[str], None], run: Path, *words: str) -> Iterator[list[str]]:
    """Act in a thread once the command, which the block runs, listens; `words` of it are yielded."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    raised = list[BaseException]()

    def wait_and_act() -> None:
        try:
            until(lambda: answers(port))
            act(f"http://127.0.0.1:{port}")
        except BaseException as error:  # noqa: BLE001 (the test's thread raises it)
            raised.append(error)
            os.kill(os.getpid(), signal.SIGTERM)

    thread = Thread(target=wait_and_act)
    thread.start()
    try:
        yield ["serve", str(run), "--port", str(port), *words]
    finally:
        thread.join(LIMIT)
    assert not raised, raised


def stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_lets_those_inside_have_their_answer_and_nobody_else_in(
    number: int, status: int, trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said, function = dict[str, Any](), Predictor.answer

    def slow(self: Predictor, rows: list[Any]) -> Answers:
        os.kill(os.getpid(), number)
        time.sleep(0.5)
        return function(self, rows)

    def act(url: str) -> None:
        with httpx.Client(trust_env=False, timeout=LIMIT) as client:
            said["inside"] = client.post(f"{url}/predict", json={"rows": [vector(3)]})
            with pytest.raises((httpx.ConnectError, httpx.ReadError)):  # refused, or cut off as it waited to be let in
                client.get(f"{url}/health")

    monkeypatch.setattr(Predictor, "answer", slow)
    with (
        while_serving(act, trained, "--without-monitoring") as words,
        pytest.raises(SystemExit) as ended,
    ):
        main(words)
    assert ended.value.code == status
    assert said["inside"].status_code == 200
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("serving sample/sample at http://127.0.0.1:")
    assert lines[-1] == "stopped"


def test_the_collection_of_garbage_does_not_look_through_what_was_loaded(trained: Path) -> None:
    counts = list[int]()

    def act(_: str) -> None:
        counts.append(gc.get_freeze_count())
        stop()

    with while_serving(act, trained, "--without-monitoring") as words, pytest.raises(SystemExit):
        main(words)
    assert counts[0] > len(sys.modules)


def test_a_second_signal_ends_at_once(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_, begun = Event(), Event()

    def endless(*_: Any) -> None:
        begun.set()
        open_.wait(LIMIT)

    def act(url: str) -> None:
        with ThreadPoolExecutor(1) as pool, httpx.Client(trust_env=False, timeout=LIMIT) as client:
            asked = pool.submit(client.post, f"{url}/predict", json={"rows": [vector(3)]})
            begun.wait(LIMIT)
            stop()
            time.sleep(0.3)
            stop()
            assert isinstance(asked.exception(LIMIT), httpx.TransportError) or asked.result().status_code >= 500

    monkeypatch.setattr(Predictor, "answer", endless)
    started = time.monotonic()
    with while_serving(act, trained, "--without-monitoring") as words, pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 143
    assert time.monotonic() - started < LIMIT / 2
    open_.set()


def test_the_command_ends_with_143_and_says_where_it_serves(trained: Path) -> None:
    paths = os.pathsep.join([str(SOURCE.parent), *sys.path])
    words = [str(Path(__file__).parents[1]), PACKAGE, "serve", str(trained), "--port", "0"]
    argv = [sys.executable, "-c", START, *words, "--without-monitoring"]
    variables = {**os.environ, "PYTHONPATH": paths}
    with subprocess.Popen(argv, env=variables, stderr=subprocess.PIPE, text=True) as child:
        try:
            assert child.stderr
            greeting = child.stderr.readline()
            url = greeting.split(" at ")[1].partition(";")[0]
            reply = httpx.post(f"{url}/predict", json={"rows": [vector(3, 4)]}, trust_env=False).json()
            child.send_signal(signal.SIGTERM)
            rest = child.stderr.read().splitlines()
            assert child.wait(LIMIT) == 143
        finally:
            child.kill()
    assert greeting.startswith("serving sample/sample at http://127.0.0.1:")
    assert reply["answers"][0]["answer"] == pytest.approx(5, abs=2)
    assert json.loads(rest[0])["path"] == "/predict"
    assert rest[1:] == ["stopping: 0 requests inside", "stopped"]


def test_a_run_without_a_reference_is_not_served(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", str(trained), "--port", "0"]) == 2
    said = capsys.readouterr().err
    assert f"make it with: export {trained}, or serve --without-monitoring" in said
    assert said.count("\n") == 1


def test_a_run_with_a_reference_is_served_with_its_monitoring(
    trained: Path, monkeypatch: pytest.MonkeyPatch, workspace: Path
) -> None:
    shutil.copy(trained / "best.pt", workspace)
    (workspace / "export").mkdir()
    (workspace / "export/reference.json").write_text("{}")
    watch, home = FakeWatch(), f"{PACKAGE}.serving"
    given = list[Any]()

    def open_watch(*words: Any, store: str | None) -> FakeWatch:
        given.extend([*words, store])
        return watch

    monkeypatch.setitem(sys.modules, f"{home}.watch", SimpleNamespace(open_watch=open_watch))

    def act(url: str) -> None:
        with httpx.Client(trust_env=False) as client:
            client.post(f"{url}/predict", json={"rows": [vector(3), vector(4)]})
        stop()

    with while_serving(act, workspace, "--store", "sqlite:///log.db") as words, pytest.raises(SystemExit):
        main(words)
    assert watch.rows == [3, 4]
    assert given == [workspace / "export", workspace / "best.pt", "sqlite:///log.db"]


def test_a_port_in_use_ends_with_4_in_one_line(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["serve", str(trained), "--port", str(port)]) == 4
    said = capsys.readouterr().err
    assert said.startswith(f"error: port {port} of 127.0.0.1 cannot be had (")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "key", "message"),
    [
        (["--batch-size", "0"], None, "--batch-size: want a number greater than 0"),
        (["--queue", "2"], None, "queue: got 2, want at least the 256 rows of a request"),
        (["--port", "70000"], None, "port 70000 of 127.0.0.1 cannot be had"),
        (["--cache", "nonsense"], None, "--cache"),
        ([], "short", "SERVICE_API_KEY: want at least 16 letters"),
        ([], "", "SERVICE_API_KEY is empty"),
        (["--without-monitoring"], None, "nowhere is not a run folder"),
    ],
)
def test_words_that_make_no_sense_are_refused(
    words: list[str], key: str | None, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if key is not None:
        monkeypatch.setenv("SERVICE_API_KEY", key)
    assert main(["serve", "nowhere", "--port", "0", *words]) in {2, 4}
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_only_an_address_that_others_reach_is_public() -> None:
    for host, public in (("127.0.0.1", False), ("localhost", False), ("0.0.0.0", True)):  # noqa: S104 (nobody listens)
        with bind(host, 0) as listener:
            assert is_public(listener) == public
    # copier: endfilter
