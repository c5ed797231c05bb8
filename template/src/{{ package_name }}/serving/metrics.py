"""What the service says of itself: figures for Prometheus, and a line of JSON on stderr for each request."""

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .batching import place
from .limits import error_body
from .predictor import Record

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SHARES = tuple(tenth / 10 for tenth in range(1, 11))
OTHER = "other"  # stands for all paths that are none of ours, so that nobody can make up new figures
PERIOD = 10.0  # seconds between two verdicts of the monitoring
LONGEST = 200  # letters of a path in a log line
GONE = 499  # the status of a request whose client went away, as nginx has it; nobody receives it

logger = logging.getLogger(__name__)


class Metrics:
    """The figures of one service, in a registry of its own."""

    def __init__(self, uncertain: float) -> None:
        self.threshold, self.registry = uncertain, CollectorRegistry()
        own: dict[str, Any] = {"namespace": "service", "registry": self.registry}
        self.requests = Counter("requests", "Requests by path and status.", ["path", "status"], **own)
        self.seconds = Histogram("request_seconds", "Time to an answer.", ["path"], buckets=SECONDS, **own)
        self.batch = Histogram("batch_rows", "Rows that the model answered at once.", buckets=ROWS, **own)
        self.cached = Counter("cached_rows", "Rows that were answered from the cache.", **own)
        self.waiting = Gauge("queue_rows", "Rows that wait for the model.", **own)
        self.confidence = Histogram("confidence", "Confidence of answers.", buckets=SHARES, **own)
        self.uncertain = Counter("uncertain_answers", "Answers below the confidence that is wanted.", **own)
        self.paths: set[str] = set()
        ProcessCollector(registry=self.registry)

    def judge(self, records: list[Record]) -> Record:
        """Count the confidence of answers, mark the uncertain ones, and return what the log says of them."""
        sure = [record["confidence"] for record in records if record.get("confidence") is not None]
        for record in records:
            confidence = record.get("confidence")
            record["uncertain"] = confidence is not None and confidence < self.threshold
        for confidence in sure:
            self.confidence.observe(confidence)
        if uncertain := sum(record["uncertain"] for record in records):
            self.uncertain.inc(uncertain)
        return {"rows": len(records), "least_confidence": min(sure, default=None), "uncertain": uncertain}

    def note(self, path: str, status: int, seconds: float, more: Record) -> None:
        """Count a request and write its line."""
        name = path if path in self.paths else OTHER
        self.requests.labels(name, status).inc()
        self.seconds.labels(name).observe(seconds)
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"time": now, "path": path[:LONGEST], "status": status, "ms": round(1000 * seconds, 3), **more}
        logger.info("%s", json.dumps(line))

    def text(self) -> bytes:
        """Return all figures in Prometheus' own form."""
        return generate_latest(self.registry)


class Drift(Collector):
    """The newest verdict of the monitoring as figures."""

    def __init__(self, watch: Any) -> None:
        self.watch = watch
        self.verdict: Record = {"alert": False}

    def ask(self) -> None:
        """Ask for the verdict; that may take a moment. Answers do not depend on it."""
        try:
            self.verdict = self.watch.verdict()
        except Exception as error:  # noqa: BLE001 (whatever it is, the service goes on)
            logger.error("the monitoring failed, %s", place(error))

    async def ask_often(self) -> None:
        """Ask now and then, in a thread, so that an alert comes without anybody who reads figures."""
        while True:
            await asyncio.sleep(PERIOD)
            await asyncio.to_thread(self.ask)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return whether there is an alert, and the figures of each feature."""
        alert = GaugeMetricFamily("drift_alert", "Whether the monitoring raises an alert.")
        alert.add_metric([], float(bool(self.verdict.get("in_alert", self.verdict["alert"]))))
        figures = GaugeMetricFamily("drift_figure", "What the alert rests on.", labels=["feature", "figure"])
        for names, value in numbers(self.verdict.get("figures", {})):
            figures.add_metric([names[0], ".".join(names[1:])], value)
        return alert, figures


def numbers(value: Any, names: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], float]]:
    """Yield every number in dicts of dicts, with the names that lead to it."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from numbers(part, (*names, str(name)))
    elif isinstance(value, int | float) and names:
        yield names, float(value)


class Observed:
    """Middleware: gives each request an id, counts it, logs it, and answers where something was raised."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and write down what became of it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status, request = time.perf_counter(), 0, secrets.token_hex(8)
        scope["request_id"], facts = request, scope.setdefault("facts", {})

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = [(b"x-request-id", request.encode()), (b"x-content-type-options", b"nosniff")]
                message = {**message, "headers": [*message["headers"], *own]}
            await send(message)

        try:
            await self.app(scope, receive, noting)
        except Exception as error:  # noqa: BLE001 (the asker gets one line, the log where it was)
            logger.error("a request failed, %s", place(error))
            if not status:
                await answer_failure(noting)
        finally:
            about = {"id": request, "method": scope["method"], **facts}
            self.metrics.note(scope["path"], status or GONE, time.perf_counter() - started, about)


async def answer_failure(send: Send) -> None:
    """Say that the service failed, and nothing of how."""
    body = error_body("the service failed; the log says where")
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": body})
