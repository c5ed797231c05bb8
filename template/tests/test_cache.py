# copier: filter replace("my_project", package_name)
"""The cache of answers: the same as without it, in memory or in Redis, which a fake stands for here."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from my_project.serving.cache import Cached, Memory, Shared, open_cache
from my_project.serving.predictor import Predictor

from .watched_sample import predictor_of, rows_like


class FakeRedis:
    """As much of a client of Redis as the cache uses; it can be cut off."""

    def __init__(self) -> None:
        self.kept, self.seconds, self.down = dict[str, bytes](), set[int](), False
        self.waiting = list[tuple[str, str, int]]()

    def mget(self, keys: Sequence[str]) -> list[bytes | None]:
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
        self.predictor, self.rows = predictor, 0
        self.check, self.checkpoint = predictor.check, predictor.checkpoint

    def __call__(self, rows: Any) -> list[dict[str, Any]]:
        given = list(rows)
        self.rows += len(given)
        return self.predictor(given)


@pytest.fixture
def counted(trained: Path) -> Any:
    return Counted(predictor_of(trained))


@pytest.mark.parametrize("cache", [Memory(), Shared(FakeRedis())], ids=["memory", "redis"])
def test_answers_are_the_same_and_no_row_is_answered_twice(cache: Memory | Shared, counted: Any) -> None:
    cached, rows = Cached(counted, cache), rows_like(20, 1)
    wanted = counted.predictor(rows)
    assert cached([*rows[:10], *rows[:10]]) == [*wanted[:10], *wanted[:10]]
    assert counted.rows == 10
    assert cached(rows) == wanted
    assert counted.rows == 20
    assert cached([]) == []


def test_another_checkpoint_has_other_answers(counted: Any, workspace: Path) -> None:
    cache, rows = Memory(), rows_like(5, 1)
    Cached(counted, cache)(rows)
    counted.checkpoint = workspace / "other.pt"
    counted.checkpoint.write_bytes(b"another")
    Cached(counted, cache)(rows)
    assert counted.rows == 10


def test_memory_is_bounded_and_keeps_what_is_asked_for() -> None:
    cache = Memory(most=3)
    cache.put({"a": {"answer": 1}, "b": {"answer": 2}, "c": {"answer": 3}})
    cache.get(["a"])
    cache.put({"d": {"answer": 4}})
    assert cache.get(["a", "b", "c", "d"]) == [{"answer": 1}, None, {"answer": 3}, {"answer": 4}]


def test_what_a_caller_does_with_an_answer_changes_no_later_one(counted: Any) -> None:
    cached, rows = Cached(counted, Memory()), rows_like(1, 1)
    cached([*rows, *rows])[0]["answer"] = "mine"
    assert [record["answer"] for record in cached([*rows, *rows])] == [counted.predictor(rows)[0]["answer"]] * 2


def test_a_redis_that_fails_costs_time_and_nothing_else(counted: Any, caplog: pytest.LogCaptureFixture) -> None:
    client, rows = FakeRedis(), rows_like(5, 1)
    cached = Cached(counted, Shared(client, seconds=60))
    client.down = True
    assert cached(rows) == cached(rows) == counted.predictor(rows)
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, "the cache of answers fails, every row is answered anew: nobody answers")
    ]
    client.down = False
    cached(rows)
    assert (len(client.kept), client.seconds) == (5, {60})
    before = counted.rows
    cached(rows)
    assert counted.rows == before


def test_a_url_that_cannot_be_used_is_refused_in_one_line() -> None:
    assert isinstance(open_cache(), Memory)
    with pytest.raises(ValueError, match=r"^--cache: .*want redis://HOST:PORT/0, and uv sync --extra store$"):
        open_cache("nonsense")
    # copier: endfilter
