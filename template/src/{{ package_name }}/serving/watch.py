"""What a running service has seen and answered lately, compared to its reference; it says so when an alert begins."""

import atexit
import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .dependence import Array
from .monitoring import Limits, read_limits
from .predictor import Answers, Row
from .reference import read
from .store import Store
from .verdict import compare
from .watched import Record, Reference, error_of

WAITING = 20  # windows of answers are in memory, for truth that comes later; the log has more

logger = logging.getLogger(__name__)


class Watch:
    """A window of the newest rows, in bounded memory; any thread may call it."""

    def __init__(
        self,
        reference: Reference,
        store: Store | None = None,
        window: int | None = None,
        limits: Limits | None = None,
    ) -> None:
        known = limits or read_limits()
        self.limits = replace(known, window=window or known.window)
        self.reference, self.store = reference, store
        size = self.limits.window
        self.rows: deque[Array] = deque(maxlen=size)  # [C + k] each
        self.errors: deque[float] = deque(maxlen=size)
        self.answers: OrderedDict[str, tuple[Any, bool]] = OrderedDict()  # by id, and whether its truth has come
        self.total, self.last_alert, self.alerting = 0, -size, False  # rows seen in all, and at the newest alert
        self.latest: Record = {}
        self.lock, self.looking = threading.Lock(), threading.Lock()
        if store:
            self.go_on(store)

    def go_on(self, store: Store) -> None:
        """Fill the window with what the log has of this checkpoint, as if the service had never stopped."""
        version, size = self.reference.checkpoint_sha256, self.limits.window
        for record in store.newest(size, version):
            self.rows.append(self.reference.recall(record["watched"]))
        self.errors.extend(record["error"] for record in store.newest(size, version, labelled=True))
        event = store.last_event(version)
        if event and event["kind"] == "alert":
            self.alerting, self.last_alert = True, 0

    def add(self, rows: Sequence[Row], answers: Answers, ids: Sequence[str] | None = None) -> None:
        """Take a batch in; the disk and the tests are for others."""
        table = self.reference.table(answers)
        names = ids or [str(record.get("id", "")) for record in answers.records]
        with self.lock:
            self.rows.extend(table)
            self.answers.update((n, (r.get("answer"), False)) for n, r in zip(names, answers.records, strict=True) if n)
            while len(self.answers) > WAITING * self.limits.window:
                self.answers.popitem(last=False)
            self.total += len(rows)
        if self.store:
            self.store.add(self.records(table, answers, names))

    def records(self, table: Array, answers: Answers, names: Sequence[str]) -> list[Record]:
        """Return what the log shall have of rows [B, C + k] and their answers."""
        now, version = time.time(), self.reference.checkpoint_sha256
        return [
            {
                "id": name,
                "time": now,
                "version": version,
                "watched": self.reference.tell(row),
                "answer": record.get("answer"),
                "confidence": record.get("confidence"),
            }
            for name, row, record in zip(names, table, answers.records, strict=True)
        ]

    def label(self, name: str, target: Any) -> float | None:
        """Take the truth of an answer in, and return how wrong it was; ValueError: an unknown id, OSError: busy."""
        with self.lock:
            known = self.answers.get(name)
        (answer, labelled), own = (known, True) if known else self.find(name)
        error = error_of(answer, target)
        with self.lock:
            labelled = self.answers.get(name, (answer, labelled))[1]
            self.answers[name] = answer, True
            if error is not None and not labelled and own:  # the truth of an answer counts once
                self.errors.append(error)
        if self.store and not self.store.label(name, target, error):
            raise OSError("the log of predictions takes no more labels just now: try again")
        return error

    def find(self, name: str) -> tuple[tuple[Any, bool], bool]:
        """Return the answer of an id from the log and whether its truth is there, and whether it is this model's."""
        record = self.store.find(name) if self.store else None
        if record is None:
            raise ValueError(f"id {name!r}: no answer with that id is known")
        own = record["version"] == self.reference.checkpoint_sha256  # a log may be of several versions
        return (record["answer"], record["error"] is not None), own

    def verdict(self) -> Record:
        """Compare the window to the reference now; an alert that begins or ends is logged."""
        with self.looking:
            with self.lock:
                table = np.array(self.rows) if self.rows else np.zeros((0, self.reference.width))
                errors, total = np.array(self.errors), self.total
            found = compare(self.reference, table, errors, self.limits)
            began, was = found["alert"] and not self.alerting, self.alerting
            if found["alert"]:
                self.alerting, self.last_alert = True, total
            elif "waiting" not in found and total - self.last_alert >= self.limits.window:
                self.alerting = False  # a whole window that is new has passed
            found["figures"]["log of predictions"] = {"dropped": self.store.dropped if self.store else 0}
            self.latest = {**found, "in_alert": self.alerting, "seen": total}
            if began:
                self.announce("alert", found["findings"])
            elif was and not self.alerting:
                self.announce("all clear", [])
            return self.latest

    def announce(self, kind: str, findings: list[str]) -> None:
        """Write down that an alert began or ended."""
        said = "; ".join(findings) or f"the newest {self.limits.window} rows are like the reference again"
        logger.warning("drift, %s: %s", kind, said)
        if self.store:
            self.store.event(kind, self.reference.checkpoint_sha256, findings)

    def figures(self) -> dict[str, dict[str, float]]:
        """Return what the newest look found as gauges, by name and by column."""
        tests = self.latest.get("figures", {})
        sizes = {name: float(values["size"]) for name, values in tests.items() if "size" in values}
        return {"drift_alert": {"": float(self.alerting)}, "drift_size": sizes}

    def close(self) -> None:
        """Write what the log still waits for."""
        if self.store:
            self.store.close()


def open_watch(folder: Path, checkpoint: Path | None = None, *, store: str | None = None) -> Watch:
    """Return the watch of what lies in RUN/export, with its log in RUN/monitor or at a URL, and the limits of here."""
    limits = read_limits()
    reference = read(folder, checkpoint)
    where = store or folder.parent / "monitor" / "predictions.db"
    watch = Watch(reference, Store(where, most_rows=limits.log_rows, most_days=limits.log_days), limits=limits)
    atexit.register(watch.close)
    return watch
