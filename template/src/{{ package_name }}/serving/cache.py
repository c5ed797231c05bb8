"""Answers to rows that were asked before, by the checksum of the row: in this process, or in Redis for all replicas."""

import hashlib
import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from .predictor import Answers, Predictor, Row

MOST_ANSWERS, SECONDS = 10_000, 86_400  # in memory; that Redis keeps one
TIMEOUT, PAUSE = 0.25, 10.0  # seconds that Redis has for an answer; that it is left alone after it failed
HERE = "memory"

logger = logging.getLogger(__name__)


class Memory:
    """The newest answers of this process; those that nobody has asked for longest go first."""

    def __init__(self, most: int = MOST_ANSWERS) -> None:
        self.most, self.texts, self.lock = most, OrderedDict[str, str](), threading.Lock()

    def get(self, keys: Sequence[str]) -> dict[str, str]:
        """Return what is known, by its key."""
        with self.lock:
            found = {key: self.texts[key] for key in keys if key in self.texts}
            for key in found:
                self.texts.move_to_end(key)
            return found

    def put(self, texts: Mapping[str, str]) -> None:
        """Keep texts by their keys."""
        with self.lock:
            self.texts.update(texts)
            while len(self.texts) > self.most:
                self.texts.popitem(last=False)


class Shared:
    """The same in Redis; where it fails, nothing is known and nothing kept for a while, and a line says so once."""

    def __init__(self, client: Any, seconds: int = SECONDS) -> None:
        self.client, self.seconds, self.failing, self.again = client, seconds, False, 0.0

    def get(self, keys: Sequence[str]) -> dict[str, str]:
        """Return what is known, by its key."""
        found = self.trying(lambda: self.client.mget(list(keys))) or []
        return {key: bytes(text).decode() for key, text in zip(keys, found, strict=False) if text is not None}

    def put(self, texts: Mapping[str, str]) -> None:
        """Keep texts by their keys."""

        def work() -> None:
            pipeline = self.client.pipeline()
            for key, text in texts.items():
                pipeline.set(key, text, ex=self.seconds)
            pipeline.execute()

        self.trying(work)

    def trying(self, work: Callable[[], Any]) -> Any:
        """Return what some work of Redis returns, None where it fails or failed a moment ago."""
        if time.monotonic() < self.again:
            return None
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 (redis is optional, and so are the names of its errors)
            if not self.failing:
                logger.warning("the cache fails, every row is answered anew: %s", " ".join(str(error).split()))
            self.failing, self.again = True, time.monotonic() + PAUSE
            return None
        self.failing = False
        return result


Cache = Memory | Shared


def open_cache(where: str) -> Cache:
    """Return the cache `memory`, or the one at a URL like redis://host:6379/0; ValueError where that cannot be."""
    if where == HERE:
        return Memory()
    try:
        return Shared(import_module("redis").Redis.from_url(where, socket_timeout=TIMEOUT))
    except ModuleNotFoundError:
        raise ValueError(f"--cache {where}: redis is not installed; do: uv sync --extra store") from None
    except ValueError:
        raise ValueError(f"--cache: got {where!r}, want {HERE}, or redis://HOST:PORT/0") from None


class Cached:
    """`Predictor.answer` that computes no row twice; what is watched of an answer is kept with it."""

    def __init__(self, predictor: Predictor, cache: Cache, observe: Callable[[int], object] = int) -> None:
        self.compute, self.cache, self.observe = predictor.answer, cache, observe
        self.version = hashlib.sha256(predictor.checkpoint.read_bytes()).hexdigest()  # another model answers otherwise

    def key(self, row: Row) -> str:
        """Return the key of a checked row: of this checkpoint and all that the row says."""
        return f"answer:{hashlib.sha256(f'{self.version}:{row.model_dump_json()}'.encode()).hexdigest()}"

    def __call__(self, rows: list[Row]) -> Answers:
        """Answer checked rows as one batch; those that are known, and copies of one in it, are not computed."""
        if not rows:
            return self.compute(rows)
        keys = [self.key(row) for row in rows]
        texts = self.cache.get([*dict.fromkeys(keys)])
        self.observe(sum(key in texts for key in keys))
        new = {key: row for key, row in zip(keys, rows, strict=True) if key not in texts}
        if new:
            answered = dict(zip(new, written(self.compute([*new.values()])), strict=True))
            self.cache.put(answered)
            texts |= answered
        return read([texts[key] for key in keys])


def written(answers: Answers) -> list[str]:
    """Return what each row was answered as JSON, with what is watched of it."""
    features = {name: values.tolist() for name, values in answers.features.items()}
    embeddings = answers.embeddings.tolist()
    return [
        json.dumps([record, {name: values[row] for name, values in features.items()}, embeddings[row]])
        for row, record in enumerate(answers.records)
    ]


def read(texts: Sequence[str]) -> Answers:
    """Return as one batch what `written` wrote of rows, each its own."""
    records, features, embeddings = zip(*map(json.loads, texts), strict=True)
    alike = len({len(row) for row in embeddings}) == 1  # a batch may have none
    return Answers(
        records=list(records),
        features={name: column([row[name] for row in features]) for name in features[0]},
        embeddings=torch.tensor(embeddings) if alike else torch.zeros(len(texts), 0),
    )


def column(values: list[Any]) -> Tensor:
    """Return values [B] of a feature: whole numbers stay whole, which is how a category is told from a number."""
    return torch.tensor(values, dtype=torch.float64 if any(isinstance(value, float) for value in values) else None)
