"""Answers to inputs that were asked before, by the checksum of the input: in memory, or in Redis for all replicas."""

import hashlib
import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any

from .predictor import Predictor, Record, Row

MOST_ANSWERS, SECONDS = 10_000, 86_400  # in memory; that Redis keeps one

logger = logging.getLogger(__name__)


class Memory:
    """The newest answers of this process; those that nobody has asked for longest go first."""

    def __init__(self, most: int = MOST_ANSWERS) -> None:
        self.most, self.answers, self.lock = most, OrderedDict[str, str](), threading.Lock()

    def get(self, keys: Sequence[str]) -> list[Record | None]:
        """Return the answer of each key, None where there is none."""
        with self.lock:
            for key in self.answers.keys() & {*keys}:
                self.answers.move_to_end(key)
            return [json.loads(self.answers[key]) if key in self.answers else None for key in keys]

    def put(self, answers: Mapping[str, Record]) -> None:
        """Keep answers."""
        with self.lock:
            self.answers.update((key, json.dumps(answer)) for key, answer in answers.items())
            while len(self.answers) > self.most:
                self.answers.popitem(last=False)


class Shared:
    """Answers in Redis; where it fails, nothing is known and nothing kept, and a line says so once."""

    def __init__(self, client: Any, seconds: int = SECONDS) -> None:
        self.client, self.seconds, self.failing = client, seconds, False

    def get(self, keys: Sequence[str]) -> list[Record | None]:
        """Return the answer of each key, None where there is none."""
        found = self.trying(lambda: self.client.mget(list(keys))) or [None] * len(keys)
        return [None if answer is None else dict(json.loads(answer)) for answer in found]

    def put(self, answers: Mapping[str, Record]) -> None:
        """Keep answers."""
        pipeline = self.client.pipeline()
        for key, answer in answers.items():
            pipeline.set(key, json.dumps(answer), ex=self.seconds)
        self.trying(pipeline.execute)

    def trying(self, work: Any) -> Any:
        """Return what some work of Redis returns, None where it fails."""
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 (redis is optional, and so are the names of its errors)
            if not self.failing:
                logger.warning("the cache of answers fails, every row is answered anew: %s", error)
            self.failing = True
            return None
        self.failing = False
        return result


Cache = Memory | Shared


def open_cache(url: str = "") -> Cache:
    """Return the cache at a URL like redis://host:6379/0, or one in memory; ValueError where that cannot be."""
    if not url:
        return Memory()
    try:
        return Shared(import_module("redis").Redis.from_url(url, socket_timeout=1.0))
    except (ModuleNotFoundError, ValueError) as error:
        raise ValueError(f"--cache: {error}; want redis://HOST:PORT/0, and uv sync --extra store") from None


class Cached:
    """A predictor that answers a row that it knows from its cache, and answers each row of a call once."""

    def __init__(self, predictor: Predictor, cache: Cache) -> None:
        self.predictor, self.cache = predictor, cache
        self.version = hashlib.sha256(predictor.checkpoint.read_bytes()).hexdigest()  # another model answers otherwise

    def key(self, row: Row) -> str:
        """Return the key of a checked row: of this checkpoint and all that the row says."""
        return f"answer:{hashlib.sha256(f'{self.version}:{row.model_dump_json()}'.encode()).hexdigest()}"

    def __call__(self, rows: Iterable[Row | Mapping[str, Any]]) -> list[Record]:
        """Answer rows, however many; ValueError names the first that is wrong, before any is answered."""
        checked = self.predictor.check(rows)
        keys = [self.key(row) for row in checked]
        found = {key: answer for key, answer in zip(keys, self.cache.get(keys), strict=True) if answer} if keys else {}
        new = {key: row for key, row in zip(keys, checked, strict=True) if key not in found}
        answers = dict(zip(new, self.predictor(new.values()), strict=True))
        if answers:
            self.cache.put(answers)
        return [{**(found | answers)[key]} for key in keys]
