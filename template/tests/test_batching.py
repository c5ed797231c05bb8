# copier: filter replace("my_project", package_name)
"""Requests of many clients become batches, and each answer goes to its own asker."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from my_project.serving.batching import Batcher, Failed, Full, Item, Job, patiently
from my_project.serving.predictor import Answers, Unfit

from .served import LIMIT, Row, until, vector


class Model:
    """Answers with the first number of each row; stops where a test says, and refuses what a test names."""

    def __init__(self, *, open_: bool = True, bad: dict[float, Exception] | None = None) -> None:
        self.gate, self.batches, self.bad = threading.Event(), list[list[float]](), bad or {}
        if open_:
            self.gate.set()

    def __call__(self, rows: list[Any]) -> Answers:
        given = [row.vector[0] for row in rows]
        self.batches.append(given)
        assert self.gate.wait(LIMIT)
        for number in given:
            if number in self.bad:
                raise self.bad[number]
        return Answers(records=[{"answer": n} for n in given], features={}, embeddings=torch.zeros(len(rows), 0))


def items(*numbers: float) -> list[Item]:
    return [Item(Row(**vector(number)), f"sha of {number}", f"id of {number}") for number in numbers]


def run(test: Callable[[Batcher], Awaitable[Any]], model: Model, **options: Any) -> Any:
    """Run a test in a loop with a batcher; whatever happens, its thread ends."""

    async def whole() -> Any:
        batcher = Batcher(model, **{"batch_size": 4, "queue": 100, **options})
        batcher.start()
        try:
            return await asyncio.wait_for(test(batcher), LIMIT)
        finally:
            model.gate.set()
            batcher.close()
            assert not batcher.thread.is_alive()

    return asyncio.run(whole())


def answers(job: Job) -> list[float]:
    return [record["answer"] for record in job.future.result()]


REQUESTS = st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3), st.booleans()), min_size=1, max_size=25)


@settings(max_examples=60, deadline=None)
@given(requests=REQUESTS, batch_size=st.integers(1, 8))
def test_each_answer_goes_to_its_own_asker_however_requests_interleave(
    requests: list[tuple[int, int, bool]], batch_size: int
) -> None:
    model, numbers = Model(), iter(range(1000))

    async def ask(batcher: Batcher, mine: list[float], pause: int, *, leaves: bool) -> None:
        for _ in range(pause):
            await asyncio.sleep(0)
        job = batcher.submit(items(*mine))
        if leaves:
            batcher.withdraw(job)
            return
        records = await patiently(batcher, job, asyncio.Event().wait, LIMIT)
        assert [(r["answer"], r["input_sha256"], r["id"]) for r in records] == [
            (number, f"sha of {number}", f"id of {number}") for number in mine
        ]

    async def everybody(batcher: Batcher) -> None:
        mine = [[float(next(numbers)) for _ in range(count)] for count, _, _ in requests]
        asking = zip(mine, requests, strict=True)
        await asyncio.gather(*(ask(batcher, rows, pause, leaves=leaves) for rows, (_, pause, leaves) in asking))
        assert batcher.waiting == 0
        stayed = [n for rows, (_, _, leaves) in zip(mine, requests, strict=True) if not leaves for n in rows]
        computed = sorted(n for batch in model.batches for n in batch)  # who leaves at once may just have been taken
        assert len(computed) == len({*computed})
        assert [n for n in computed if n in stayed] == stayed

    run(everybody, model, batch_size=batch_size, queue=1000)
    assert max((len(batch) for batch in model.batches), default=0) <= batch_size


def test_what_comes_while_a_batch_runs_is_the_next_batch() -> None:
    model = Model(open_=False)

    async def test(batcher: Batcher) -> None:
        first = batcher.submit(items(0))
        await asyncio.to_thread(until, lambda: model.batches)
        others = [batcher.submit(items(number)) for number in (1, 2, 3)]
        model.gate.set()
        await asyncio.gather(*(job.future for job in (first, *others)))

    run(test, model)
    assert model.batches == [[0], [1, 2, 3]]


def test_requests_of_one_moment_are_one_batch() -> None:
    async def test(batcher: Batcher) -> None:
        await asyncio.gather(*(batcher.submit(items(number)).future for number in range(3)))

    run(test, model := Model())
    assert model.batches == [[0, 1, 2]]


def test_a_request_of_many_rows_is_answered_in_batches_of_the_size_that_was_set() -> None:
    async def test(batcher: Batcher) -> list[float]:
        job = batcher.submit(items(*range(10)))
        await job.future
        return answers(job)

    assert run(test, model := Model()) == [*range(10)]
    assert [len(batch) for batch in model.batches] == [4, 4, 2]


def test_a_full_queue_refuses_and_takes_again_when_there_is_room() -> None:
    model = Model(open_=False)

    async def test(batcher: Batcher) -> None:
        running = batcher.submit(items(0))
        await asyncio.to_thread(until, lambda: model.batches)
        waiting = batcher.submit(items(1, 2, 3))
        with pytest.raises(Full):
            batcher.submit(items(4, 5))
        batcher.submit(items(6))
        batcher.withdraw(waiting)
        batcher.submit(items(7, 8, 9))
        with pytest.raises(Full):
            batcher.submit(items(10))
        model.gate.set()
        await running.future

    run(test, model, queue=4)


def test_rows_that_nobody_waits_for_are_not_computed() -> None:
    model = Model(open_=False)

    async def test(batcher: Batcher) -> None:
        left = asyncio.Event()
        first = batcher.submit(items(0))
        await asyncio.to_thread(until, lambda: model.batches)
        gone = asyncio.ensure_future(patiently(batcher, batcher.submit(items(1)), left.wait, LIMIT))
        late = asyncio.ensure_future(patiently(batcher, batcher.submit(items(2)), asyncio.Event().wait, 0.05))
        stays = batcher.submit(items(3))
        left.set()
        with pytest.raises(ConnectionAbortedError):
            await gone
        with pytest.raises(TimeoutError):
            await late
        assert batcher.waiting == 1
        model.gate.set()
        await asyncio.gather(first.future, stays.future)

    run(test, model)
    assert model.batches == [[0], [3]]


def test_of_a_request_that_nobody_waits_for_only_the_batch_that_has_begun_is_computed() -> None:
    model = Model(open_=False)

    async def test(batcher: Batcher) -> None:
        long = batcher.submit(items(*range(10)))
        await asyncio.to_thread(until, lambda: model.batches)
        with pytest.raises(TimeoutError):
            await patiently(batcher, long, asyncio.Event().wait, 0.05)
        another = batcher.submit(items(10))
        model.gate.set()
        await another.future

    run(test, model)
    assert model.batches == [[0, 1, 2, 3], [10]]


def test_a_request_that_fails_spoils_no_other(caplog: pytest.LogCaptureFixture) -> None:
    model = Model(bad={1: RuntimeError("secret input"), 2: Unfit("no such word"), 4: ValueError("secret shapes")})

    async def test(batcher: Batcher) -> list[Any]:
        jobs = [batcher.submit(items(number)) for number in range(5)]
        return await asyncio.gather(*(job.future for job in jobs), return_exceptions=True)

    good, failed, wrong, another, broken = run(test, model)
    assert (good[0]["answer"], another[0]["answer"]) == (0, 3)
    assert isinstance(failed, Failed)
    assert isinstance(broken, Failed)
    assert str(wrong) == "no such word"
    for name in ("RuntimeError", "ValueError"):
        assert f"the model failed, {name} in test_batching.py:" in caplog.text
    assert "secret" not in caplog.text


def test_the_monitoring_is_told_of_each_row_once_and_may_fail(caplog: pytest.LogCaptureFixture) -> None:
    told = list[tuple[list[float], list[float]]]()

    def tell(rows: list[Any], found: Answers) -> None:
        told.append(([row.vector[0] for row in rows], [record["answer"] for record in found.records]))
        raise OSError("the disk is full")

    async def test(batcher: Batcher) -> None:
        await asyncio.gather(*(batcher.submit(items(n)).future for n in range(6)))
        await batcher.submit(items(6)).future

    run(test, Model(), tell=tell)
    assert [number for rows, _ in told for number in rows] == [*range(7)]
    assert all(rows == found for rows, found in told)
    assert "the monitoring failed, OSError in test_batching.py:" in caplog.text
    # copier: endfilter
