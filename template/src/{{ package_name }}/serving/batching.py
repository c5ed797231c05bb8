"""Requests of many clients become batches: one thread runs the model, and each answer goes to its own asker."""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Thread
from typing import Any

from .predictor import Answers, Record, Row, Unfit

SOON = 0.02  # seconds after which it is worth while to look whether the client is still there

logger = logging.getLogger(__name__)


class Full(Exception):  # noqa: N818 (a state, which the service turns into its answer)
    """As many rows wait as may."""


class Failed(Exception):  # noqa: N818 (the same)
    """The model did not answer these rows; the log says where it failed."""


@dataclass(frozen=True, slots=True)
class Item:
    """A row on its way, with what its answer has to carry."""

    row: Row
    sha256: str  # of the row as it was given
    id: str  # by which its label may come later


@dataclass(slots=True, eq=False)
class Job:
    """The rows of a request, and where their answers go."""

    items: list[Item]
    future: asyncio.Future[list[Record]]


class Batcher:
    """A bounded queue before a thread that runs the model; used from the loop that it was started in.

    There is no waiting for company: what has come while a batch was computed is the next batch. A request alone is
    answered at once, and under load the batches grow by themselves.
    """

    def __init__(
        self,
        answer: Callable[[list[Row]], Answers],
        *,
        batch_size: int,
        queue: int,
        tell: Callable[[list[Row], Answers], None] | None = None,
        observe: Callable[[int], object] = int,
    ) -> None:
        self.answer, self.batch_size, self.queue, self.tell, self.observe = answer, batch_size, queue, tell, observe
        self.jobs: dict[Job, None] = {}  # that wait, the oldest first
        self.waiting = 0  # their rows
        self.full = False  # whether rows were refused since there last was more room
        self.called = self.awake = self.closed = False  # what the thread is told, or will be in this turn of the loop
        self.changed = Condition()
        self.thread = Thread(target=self.work, name="model", daemon=True)

    def start(self) -> None:
        """Begin, in the loop that is running."""
        self.loop = asyncio.get_running_loop()
        self.thread.start()

    def close(self, seconds: float = 10.0) -> None:
        """End the thread after what it has been given."""
        with self.changed:
            self.closed = True
            self.changed.notify()
        self.thread.join(seconds)

    def submit(self, items: list[Item]) -> Job:
        """Queue rows; raise Full where they have no room."""
        with self.changed:
            self.full = self.waiting + len(items) > self.queue
            if self.full:
                raise Full
            self.jobs[job := Job(items, self.loop.create_future())] = None
            self.waiting += len(items)
            if not (self.awake or self.called):
                self.called = True
                self.loop.call_soon(self.wake)  # not at once: what this turn of the loop has still to read comes along
        return job

    def wake(self) -> None:
        """Let the thread look for rows."""
        with self.changed:
            self.called, self.awake = False, True
            self.changed.notify()

    def withdraw(self, job: Job) -> None:
        """Forget rows that nobody waits for any more; the model does not see them, unless it does already."""
        with self.changed:
            if job in self.jobs:
                del self.jobs[job]
                self.waiting, self.full = self.waiting - len(job.items), False
        job.future.cancel()

    def take(self) -> list[Job]:
        """Wait for jobs, and return the oldest: as many as one batch holds, one at least; none at the end."""
        batch, size = list[Job](), 0
        with self.changed:
            while not (self.closed or (self.awake and self.jobs)):
                self.awake = False
                self.changed.wait()
            for job in self.jobs:
                if batch and size + len(job.items) > self.batch_size:
                    break
                batch.append(job)
                size += len(job.items)
            for job in batch:
                del self.jobs[job]
            self.waiting, self.full = self.waiting - size, False
        return batch

    def work(self) -> None:
        """Answer batches until the end."""
        while batch := self.take():
            results, told = self.answer_jobs(batch)
            try:
                self.loop.call_soon_threadsafe(self.deliver, batch, results)
            except RuntimeError:  # the loop was ended at once, by a second signal
                return
            for rows, answers in told if self.tell else ():
                self.tell_of(rows, answers)

    def answer_jobs(self, jobs: list[Job]) -> tuple[list[Any], list[tuple[list[Row], Answers]]]:
        """Return for each job its records or what was raised, and the batches that were answered."""
        items, told = [item for job in jobs for item in job.items], list[tuple[list[Row], Answers]]()
        try:
            for first in range(0, len(items), self.batch_size):
                if all(job.future.cancelled() for job in jobs):
                    return [Failed("nobody waits for it")] * len(jobs), told
                told.append(self.answer_items(items[first : first + self.batch_size]))
        except Exception as error:  # noqa: BLE001 (whatever a model raises, the thread lives on)
            if len(jobs) > 1:  # one request must not spoil another's answer
                alone = [self.answer_jobs([job]) for job in jobs]
                return [result for (result,), _ in alone], [each for _, told in alone for each in told]
            return [error if isinstance(error, Unfit) else failed(error)], []
        records = iter([record for _, answers in told for record in answers.records])
        return [[next(records) for _ in job.items] for job in jobs], told

    def answer_items(self, items: list[Item]) -> tuple[list[Row], Answers]:
        """Answer one batch; each record takes the id and the hash of its own row along."""
        rows = [item.row for item in items]
        answers = self.answer(rows)
        for item, record in zip(items, answers.records, strict=True):
            record["id"], record["input_sha256"] = item.id, item.sha256
        self.observe(len(items))
        return rows, answers

    def tell_of(self, rows: list[Row], answers: Answers) -> None:
        """Tell who watches of a batch; nobody's answer depends on it."""
        try:
            if self.tell:
                self.tell(rows, answers)
        except Exception as error:  # noqa: BLE001 (the same)
            logger.error("the monitoring failed, %s", place(error))

    def deliver(self, jobs: list[Job], results: Sequence[Any]) -> None:
        """Hand results to those who still wait."""
        for job, result in zip(jobs, results, strict=True):
            if job.future.done():
                continue
            if isinstance(result, Exception):
                job.future.set_exception(result)
            else:
                job.future.set_result(result)


async def patiently(batcher: Batcher, job: Job, gone: Callable[[], Awaitable[object]], timeout: float) -> list[Record]:
    """Wait for a job; raise TimeoutError after so many seconds, ConnectionError once the client has gone."""
    try:
        await asyncio.wait([job.future], timeout=min(SOON, timeout))
        if not job.future.done():  # a task for each request would cost more than most answers take
            watch = asyncio.ensure_future(gone())
            either: list[asyncio.Future[Any]] = [job.future, watch]
            try:
                waited = max(0.0, timeout - SOON)
                await asyncio.wait(either, timeout=waited, return_when=asyncio.FIRST_COMPLETED)
                if watch.done() and not job.future.done():
                    raise ConnectionAbortedError
            finally:
                watch.cancel()
        if not job.future.done():
            raise TimeoutError
        return job.future.result()
    finally:
        batcher.withdraw(job)


def place(error: BaseException) -> str:
    """Return what was raised and where; not its words, which may quote an input."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "nowhere"
    return f"{type(error).__name__} in {where}"


def failed(error: Exception) -> Failed:
    """Log what a model raised, and return what its asker gets."""
    logger.error("the model failed, %s", place(error))
    return Failed("the model failed; the log says where")
