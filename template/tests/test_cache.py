# copier: filter replace("my_project", package_name)
"""The cache of answers: the same as without it, in memory or in Redis, which a fake stands for here."""

import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from my_project.serving import cache as caches
from my_project.serving.cache import Cached, Memory, Shared, open_cache
from my_project.serving.predictor import Answers, Predictor, Row

from .watched_sample import predictor_of, rows_like


class FakeRedis:
    """As much of a client of Redis as the cache uses; it can be cut off."""

    def __init__(self) -> None:
        self.kept, self.seconds, self.down, self.asked = dict[str, bytes](), set[int](), False, 0
        self.waiting = list[tuple[str, str, int]]()

    def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        self.asked += 1
        if self.down:
            raise ConnectionError("nobody answers")
        return [self.kept.get(key) for key in keys]

    def pipeline(self) -> "FakeRedis":
        return self

    def set(self, key: str, value: str, ex: int) -> None:
        self.waiting.append((key, value, ex))

    def execute(self) -> None:
        waiting, self.waiting = self.waiting, []
        if self.down:
            raise ConnectionError("nobody answers")
        self.kept.update((key, value.encode()) for key, value, _ in waiting)
        self.seconds |= {ex for _, _, ex in waiting}


class Counted:
    """A predictor that knows how many rows it was asked for."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor, self.checkpoint, self.rows = predictor, predictor.checkpoint, 0

    def answer(self, rows: list[Row]) -> Answers:
        self.rows += len(rows)
        return self.predictor.answer(rows)


@pytest.fixture
def counted(trained: Path) -> Any:
    return Counted(predictor_of(trained))


@pytest.fixture
def rows(counted: Any) -> list[Row]:
    return list(counted.predictor.check(rows_like(20, 1)))


def same(found: Answers, wanted: Answers) -> None:
    """Assert that two batches say the same, and that the same is watched of them."""
    assert found.records == wanted.records
    assert found.features.keys() == wanted.features.keys()
    for name, values in wanted.features.items():
        torch.testing.assert_close(found.features[name], values, check_dtype=False, rtol=0, atol=0, equal_nan=True)
        assert found.features[name].is_floating_point() == values.is_floating_point()
    torch.testing.assert_close(found.embeddings, wanted.embeddings, rtol=0, atol=0)


@pytest.mark.parametrize("cache", [Memory(), Shared(FakeRedis())], ids=["memory", "redis"])
def test_answers_are_the_same_and_no_row_is_answered_twice(
    cache: Memory | Shared, counted: Any, rows: list[Row]
) -> None:
    known = list[int]()
    cached = Cached(counted, cache, known.append)
    wanted = counted.predictor.answer([*rows[:10], *rows[:10]])
    same(cached([*rows[:10], *rows[:10]]), wanted)
    assert (counted.rows, known) == (10, [0])
    found = cached(rows)
    same(cached(rows), found)
    assert (counted.rows, known) == (20, [0, 10, 20])
    for record, each in zip(found.records, counted.predictor.answer(rows).records, strict=True):
        assert record["answer"] == pytest.approx(each["answer"])  # of another batch: the same to rounding
    assert cached([]).records == []


def test_another_checkpoint_has_other_answers(counted: Any, rows: list[Row], workspace: Path) -> None:
    cache = Memory()
    Cached(counted, cache)(rows)
    counted.checkpoint = workspace / "other.pt"
    counted.checkpoint.write_bytes(b"another")
    Cached(counted, cache)(rows)
    assert counted.rows == 40


def test_memory_is_bounded_and_keeps_what_is_asked_for() -> None:
    cache = Memory(most=3)
    cache.put({"a": "1", "b": "2", "c": "3"})
    cache.get(["a"])
    cache.put({"d": "4"})
    assert cache.get(["a", "b", "c", "d"]) == {"a": "1", "c": "3", "d": "4"}


def test_what_a_service_adds_to_an_answer_is_in_no_other_one(counted: Any, rows: list[Row]) -> None:
    cached = Cached(counted, Memory())
    cached([rows[0], rows[0]]).records[0]["id"] = "mine"
    assert not any("id" in record for record in cached([rows[0], rows[0]]).records)


def test_what_is_missing_and_what_has_no_embedding_is_kept_as_it_is() -> None:
    features = {"number": torch.tensor([1.5, math.nan]), "category": torch.tensor([3, 2**40])}
    found = caches.read(
        caches.written(Answers(records=[{"answer": 1}] * 2, features=features, embeddings=torch.zeros(2, 0)))
    )
    same(found, Answers(records=[{"answer": 1}] * 2, features=features, embeddings=torch.zeros(2, 0)))
    rows = [caches.written(Answers(records=[{}], features={}, embeddings=torch.ones(1, width))) for width in (3, 0)]
    assert caches.read([*rows[0], *rows[1]]).embeddings.shape == (2, 0)


def test_a_redis_that_fails_costs_a_moment_now_and_then_and_nothing_else(
    counted: Any, rows: list[Row], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, now = FakeRedis(), [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    cached = Cached(counted, Shared(client, seconds=60))
    client.down = True
    same(cached(rows), cached(rows))
    assert (counted.rows, client.asked) == (40, 1)  # the second time it was left alone
    now[0] += caches.PAUSE
    cached(rows)
    assert client.asked == 2
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, "the cache fails, every row is answered anew: nobody answers")
    ]
    client.down = False
    now[0] += caches.PAUSE
    cached(rows)
    assert (len(client.kept), client.seconds) == (20, {60})
    before = counted.rows
    cached(rows)
    assert counted.rows == before


def test_a_cache_that_cannot_be_had_is_refused_in_one_line() -> None:
    assert isinstance(open_cache("memory"), Memory)
    with pytest.raises(ValueError, match=r"^--cache.*(want memory, or redis://HOST:PORT/0|uv sync --extra store)$"):
        open_cache("nonsense")
    # copier: endfilter
