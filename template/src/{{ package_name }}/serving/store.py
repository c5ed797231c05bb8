"""The log of predictions, in SQLite or any database that SQLAlchemy knows; answering never waits for it."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

MOST_WAITING = 1000  # pieces of work; what comes on top is dropped, and counted
PRUNE_EVERY, DAY, PATIENCE = 100, 86_400, 5.0  # writes; seconds

logger = logging.getLogger(__name__)
Record = dict[str, Any]
Work = Callable[[sql.Connection], None]

TABLES = sql.MetaData()
PREDICTIONS = sql.Table(
    "predictions",
    TABLES,
    sql.Column("number", sql.Integer, primary_key=True, autoincrement=True),
    sql.Column("id", sql.String, index=True),
    sql.Column("time", sql.Float, index=True),  # seconds since 1970
    sql.Column("version", sql.String, index=True),  # SHA-256 of the checkpoint
    sql.Column("watched", sql.JSON),  # by name: features, confidence, embedding along the axes; None: missing
    sql.Column("answer", sql.JSON),
    sql.Column("confidence", sql.Float),
    sql.Column("target", sql.JSON),  # the truth, once it is known
    sql.Column("error", sql.Float),  # of the answer
)
EVENTS = sql.Table(
    "events",
    TABLES,
    sql.Column("number", sql.Integer, primary_key=True, autoincrement=True),
    sql.Column("time", sql.Float),
    sql.Column("version", sql.String),
    sql.Column("kind", sql.String),  # alert, all clear
    sql.Column("findings", sql.JSON),
)


class Store:
    """A log that is written in batches by a thread of its own; one that fails says so once and is in nobody's way."""

    def __init__(self, url: str | Path, *, most_rows: int | None = None, most_days: float | None = None) -> None:
        self.most_rows, self.most_days = most_rows, most_days
        self.work: queue.Queue[Work | None] = queue.Queue(MOST_WAITING)
        self.dropped, self.written, self.failing, self.ready = 0, 0, False, False
        self.thread: threading.Thread | None = None
        self.lock = threading.Lock()
        self.engine = connect(url)

    def add(self, records: Sequence[Record]) -> None:
        """Log predictions: `PREDICTIONS` says what each has."""
        rows = [dict(record) for record in records]
        self.put(lambda connection: connection.execute(sql.insert(PREDICTIONS), rows), len(rows))

    def label(self, name: str, target: Any, error: float | None) -> bool:
        """Log the truth of a prediction and how wrong that was; say whether there was room for it within a while."""
        known = sql.update(PREDICTIONS).where(PREDICTIONS.c.id == name).values(target=target, error=error)
        return self.put(lambda connection: connection.execute(known), wait=PATIENCE)

    def event(self, kind: str, version: str, findings: Sequence[str]) -> None:
        """Log that an alert began or ended."""
        values = {"time": time.time(), "version": version, "kind": kind, "findings": list(findings)}
        self.put(lambda connection: connection.execute(sql.insert(EVENTS), [values]))

    def put(self, work: Callable[[sql.Connection], Any], rows: int = 1, wait: float = 0.0) -> bool:
        """Hand work to the thread; where too much waits already, for so many seconds, drop it and say False."""
        with self.lock:
            if self.thread is None or not self.thread.is_alive():
                self.thread = threading.Thread(target=self.run, name="log of predictions", daemon=True)
                self.thread.start()
        try:
            self.work.put(work, block=wait > 0, timeout=wait or None)
        except queue.Full:
            self.dropped += rows
            self.complain("too much waits to be written")
            return False
        return True

    def run(self) -> None:
        """Write what waits, all in one transaction, until None comes."""
        while True:
            parts = [self.work.get()]
            while not self.work.empty() and len(parts) < MOST_WAITING:
                parts.append(self.work.get())
            works = [part for part in parts if part]
            try:
                self.write(works)
                self.failing = False
            except (SQLAlchemyError, OSError, TypeError, ValueError) as error:  # whatever a database has against it
                self.dropped += len(works)
                self.complain(str(getattr(error, "orig", None) or error))
            finally:
                for _ in parts:
                    self.work.task_done()
            if None in parts:
                return

    def write(self, works: Sequence[Work]) -> None:
        """Do work in one transaction; from time to time forget what is too old or too much."""
        with self.engine.begin() as connection:
            if not self.ready:
                TABLES.create_all(connection)
            for work in works:
                work(connection)
            if self.written % PRUNE_EVERY == 0:
                self.prune(connection)
        self.ready, self.written = True, self.written + 1

    def prune(self, connection: sql.Connection) -> None:
        """Delete predictions that are older or more than the log shall keep; of whoever only reads: none."""
        if self.most_days is not None:
            connection.execute(sql.delete(PREDICTIONS).where(PREDICTIONS.c.time < time.time() - self.most_days * DAY))
        if self.most_rows is not None:
            newest = sql.select(sql.func.max(PREDICTIONS.c.number)).scalar_subquery()
            connection.execute(sql.delete(PREDICTIONS).where(PREDICTIONS.c.number <= newest - self.most_rows))

    def complain(self, reason: str) -> None:
        """Say once that the log fails, until it works again."""
        if not self.failing:
            logger.warning("the log of predictions cannot be written, answers go on without it: %s", one_line(reason))
        self.failing = True

    def newest(self, count: int, version: str, *, labelled: bool = False) -> list[Record]:
        """Return the newest predictions of a checkpoint, or of those with a known error, the oldest of them first."""
        wanted = sql.select(PREDICTIONS).where(PREDICTIONS.c.version == version)
        if labelled:
            wanted = wanted.where(PREDICTIONS.c.error.is_not(None))
        return self.read(wanted.order_by(PREDICTIONS.c.number.desc()).limit(count))[::-1]

    def find(self, name: str) -> Record | None:
        """Return the prediction of an id."""
        found = self.read(sql.select(PREDICTIONS).where(PREDICTIONS.c.id == name).limit(1))
        return found[0] if found else None

    def last_event(self, version: str) -> Record | None:
        """Return the newest event of a checkpoint."""
        wanted = sql.select(EVENTS).where(EVENTS.c.version == version).order_by(EVENTS.c.number.desc()).limit(1)
        found = self.read(wanted)
        return found[0] if found else None

    def read(self, wanted: sql.Select[Any]) -> list[Record]:
        """Return what a query finds; nothing, and a warning, where the database fails or has no log yet."""
        try:
            with self.engine.connect() as connection:
                if not self.ready and not sql.inspect(connection).has_table(PREDICTIONS.name):
                    return []
                return [dict(row) for row in connection.execute(wanted).mappings()]
        except (SQLAlchemyError, OSError) as error:
            self.complain(str(getattr(error, "orig", None) or error))
            return []

    def flush(self) -> None:
        """Wait until all that was given is written or dropped."""
        self.work.join()

    def close(self) -> None:
        """Write what waits, end the thread, let go of the database."""
        if self.thread and self.thread.is_alive():
            with suppress(queue.Full):
                self.work.put(None, timeout=PATIENCE)
            self.thread.join(PATIENCE)
            if self.thread.is_alive():
                self.complain("the database does not answer, and the newest predictions are not in it")
        self.engine.dispose()


def connect(url: str | Path) -> sql.Engine:
    """Return the engine of a URL or of a SQLite file; ValueError where no such database can be meant."""
    if isinstance(url, Path):
        url.parent.mkdir(parents=True, exist_ok=True)
        url = f"sqlite:///{url}"
    try:
        engine = sql.create_engine(url, pool_pre_ping=True)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise ValueError(f"--store: {one_line(str(error))}; want a URL like sqlite:///log.db") from None
    if engine.dialect.name == "sqlite":
        sql.event.listen(engine, "connect", in_wal_mode)
    return engine


def in_wal_mode(connection: Any, _: Any) -> None:
    """Let others read a SQLite file while it is written, without a flush for each write."""
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}")


def one_line(text: str) -> str:
    """Return the first line of a message."""
    return " ".join(text.split("\n", maxsplit=1)[0].split())
