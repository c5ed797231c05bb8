# copier: filter replace("my_project", package_name)
"""The log of predictions: it keeps what it is given, bounded, and is in nobody's way when it fails."""

import logging
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sql

from my_project.serving import store as stores
from my_project.serving.store import Store

FILE = Path("monitor/predictions.db")


def prediction(name: str, **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "time": time.time(),
        "version": "a",
        "watched": {"x": 1.0},
        "answer": "7",
        "confidence": 0.9,
        **more,
    }


def test_what_is_logged_is_there_for_the_next_process() -> None:
    store = Store(FILE)
    store.add([prediction("1", answer=[1.5, None]), prediction("2", watched={"x": None}), prediction("3", version="b")])
    store.label("2", "8", 1.0)
    store.close()
    again = Store(FILE)
    assert [record["id"] for record in again.newest(10, "a")] == ["1", "2"]
    found = again.find("2")
    assert found
    assert (found["target"], found["error"], found["watched"]) == ("8", 1.0, {"x": None})
    assert [record["id"] for record in again.newest(10, "a", labelled=True)] == ["2"]
    assert again.newest(10, "a")[0]["answer"] == [1.5, None]
    again.close()


def test_the_newest_come_last_and_no_more_than_asked_for() -> None:
    store = Store(FILE)
    store.add([prediction(str(number)) for number in range(10)])
    store.flush()
    assert [record["id"] for record in store.newest(3, "a")] == ["7", "8", "9"]
    assert store.find("nobody") is None
    store.close()


def test_a_log_that_nobody_wrote_is_empty() -> None:
    store = Store(FILE)
    assert (store.newest(10, "a"), store.find("1"), store.last_event("a")) == ([], None, None)
    store.close()


def test_the_newest_event_of_a_checkpoint_is_found() -> None:
    store = Store(FILE)
    store.event("alert", "a", ["input x: moved"])
    store.event("all clear", "b", [])
    store.flush()
    event = store.last_event("a")
    assert event
    assert (event["kind"], event["findings"]) == ("alert", ["input x: moved"])
    store.close()


def test_the_log_is_bounded_by_rows_and_by_age(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "PRUNE_EVERY", 1)
    store = Store(FILE, most_rows=50, most_days=1)
    store.add([prediction("old", time=time.time() - 2 * 86_400)])
    for first in range(0, 200, 20):
        store.add([prediction(str(number)) for number in range(first, first + 20)])
        store.flush()
    kept = [record["id"] for record in store.newest(1000, "a")]
    assert kept == [str(number) for number in range(150, 200)]
    store.add([prediction("ancient", time=time.time() - 2 * 86_400)])
    store.flush()
    assert store.find("ancient") is None
    store.close()


def test_who_sets_no_bounds_deletes_nothing() -> None:
    store = Store(FILE)
    store.add([prediction(str(number), time=time.time() - 900 * 86_400) for number in range(100)])
    store.flush()
    store.close()
    (again := Store(FILE)).label("0", 1.0, 0.5)
    again.flush()
    assert len(again.newest(1000, "a")) == 100
    again.close()


def test_a_database_that_never_answers_does_not_keep_a_service_from_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "PATIENCE", 0.1)
    monkeypatch.setattr(stores, "MOST_WAITING", 2)
    begun, held, store = threading.Event(), threading.Event(), Store(FILE)

    def hold(_: sql.Connection) -> None:
        begun.set()
        held.wait(30)

    store.put(hold)
    assert begun.wait(30)
    while store.put(lambda _: None):
        pass
    assert not store.label("0", 1.0, 0.5)
    store.close()
    assert store.thread
    assert store.thread.is_alive()  # it still waits for the database, and nobody waits for it
    held.set()
    store.work.put(None)
    store.thread.join(30)


def test_a_failing_log_warns_once_and_recovers(caplog: pytest.LogCaptureFixture) -> None:
    store = Store(FILE)
    store.add([prediction("1")])
    store.flush()
    with sqlite3.connect(FILE) as other:
        other.execute("ALTER TABLE predictions RENAME TO elsewhere")
    other.close()
    for number in range(5):
        store.add([prediction(f"lost {number}")])
        store.flush()
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.getMessage() for record in warnings] == [
        "the log of predictions cannot be written, answers go on without it: no such table: predictions"
    ]
    assert store.dropped == 5
    with sqlite3.connect(FILE) as other:
        other.execute("ALTER TABLE elsewhere RENAME TO predictions")
    other.close()
    store.add([prediction("2")])
    store.flush()
    assert store.find("2")
    assert not store.failing
    store.close()


def test_a_database_that_cannot_be_reached_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    Path("file").write_text("not a folder")
    store = Store("sqlite:///file/predictions.db")
    store.add([prediction("1")])
    store.flush()
    assert store.newest(10, "a") == []
    assert len(caplog.records) == 1
    store.close()


def test_answering_never_waits_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "MOST_WAITING", 20)
    held, store = threading.Event(), Store(FILE)
    store.put(lambda _: held.wait(30))
    started = time.monotonic()
    for number in range(100):
        store.add([prediction(str(number))])
    assert time.monotonic() - started < 5
    held.set()
    store.flush()
    assert 50 <= store.dropped < 100
    assert len(store.newest(1000, "a")) == 100 - store.dropped
    store.close()


def test_what_waits_is_written_in_one_transaction() -> None:
    store, commits, held = Store(FILE), list[int](), threading.Event()
    sql.event.listen(store.engine, "commit", lambda _: commits.append(1))
    store.put(lambda _: held.wait(30))
    for number in range(50):
        store.add([prediction(str(number))])
    held.set()
    store.close()
    assert len(commits) <= 3


def test_a_file_is_in_wal_mode_so_that_others_can_read_it() -> None:
    store = Store(FILE)
    store.add([prediction("1")])
    store.flush()
    with sqlite3.connect(FILE) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert other.execute("SELECT count(*) FROM predictions").fetchone() == (1,)
    other.close()
    store.close()


@pytest.mark.parametrize("url", ["nonsense", "nonsense://host/db", "postgresql+nodriver://host/db"])
def test_a_url_that_means_no_database_is_refused_in_one_line(url: str) -> None:
    with pytest.raises(ValueError, match="^--store: .*want a URL like sqlite:///log.db$"):
        Store(url)


def test_the_tables_can_be_made_in_postgresql() -> None:

    made = [
        str(sql.schema.CreateTable(table).compile(dialect=sql.create_mock_engine("postgresql://", print).dialect))
        for table in stores.TABLES.sorted_tables
    ]
    assert "watched JSON" in made[1]
    assert "number SERIAL NOT NULL" in made[1]
    # copier: endfilter
