"""The HTTP service: rows in, answers out that say how sure they are, and how the service itself fares."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any, NoReturn

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException

from .batching import Batcher, Failed, Full, Item, patiently
from .cache import Cache, Cached
from .limits import Limits, Refused, ServiceConfig
from .metrics import GONE, Drift, Metrics, Observed
from .openapi import Labels, Reply, document, responses
from .predictor import Predictor, Record, Unfit
from .requests import read_json, read_rows

AGAIN = {"retry-after": "1"}
PLAIN = "text/plain; version=0.0.4; charset=utf-8"


class Service:
    """A predictor behind HTTP: what the routes do."""

    stopping = False  # whether it takes no new requests

    def __init__(self, predictor: Predictor, settings: ServiceConfig, watch: Any, cache: Cache | None) -> None:
        self.predictor, self.settings, self.facts = predictor, settings, identify(predictor)
        self.metrics, self.watch, self.drift = Metrics(settings.uncertain), watch, Drift(watch) if watch else None
        self.batcher = Batcher(
            Cached(predictor, cache, self.metrics.cached.inc) if cache else predictor.answer,
            batch_size=settings.batch_size,
            queue=settings.queue,
            tell=watch.add if watch else None,
            observe=self.metrics.batch.observe,
        )
        self.metrics.waiting.set_function(lambda: self.batcher.waiting)
        if self.drift:
            self.metrics.registry.register(self.drift)
        self.page, self.policy = render_page(predictor)

    @asynccontextmanager
    async def running(self, _: FastAPI) -> AsyncIterator[None]:
        """Run the model's thread, and ask the monitoring, for as long as the server runs."""
        self.batcher.start()
        asking = asyncio.ensure_future(self.drift.ask_often()) if self.drift else None
        yield
        if asking:
            asking.cancel()
        self.batcher.close()

    async def predict(self, request: Request) -> Response:
        """Answer rows."""
        if self.batcher.full or self.stopping:  # to read first what is refused then would leave no time for the others
            self.refuse()
        rows, hashes = read_rows(await body_of(request), self.settings.max_rows)
        scope = request.scope
        scope["facts"]["rows"] = len(rows)
        try:
            checked = self.predictor.check(rows)
        except ValueError as error:
            raise Refused(422, str(error)) from None
        request_id, parts = scope["request_id"], enumerate(zip(checked, hashes, strict=True))
        records = await self.ask([Item(row, digest, f"{request_id}-{n}") for n, (row, digest) in parts], request)
        if records is None:
            return Response(status_code=GONE)
        scope["facts"] |= self.metrics.judge(records)
        digests = [record.pop("input_sha256") for record in records]
        reply = {"answers": records, "version": self.facts["model"], "input_sha256": digests}
        try:
            return Response(json.dumps(reply, allow_nan=False), media_type="application/json")
        except ValueError:
            raise Refused(500, "the model's answer is not a finite number") from None

    def refuse(self) -> NoReturn:
        """Raise Refused with the reason why nothing is taken now."""
        waiting = f"{self.batcher.waiting} rows wait already: try again"
        raise Refused(503, "the service is stopping" if self.stopping else waiting, AGAIN) from None

    async def ask(self, items: list[Item], request: Request) -> list[Record] | None:
        """Return what the model answers; None where nobody waits for it any more."""
        try:
            job = self.batcher.submit(items)
            return await patiently(self.batcher, job, request.receive, self.settings.timeout)
        except Full:
            self.refuse()
        except TimeoutError:
            raise Refused(504, f"no answer within {self.settings.timeout:g} seconds: try again", AGAIN) from None
        except ConnectionAbortedError:
            return None
        except Failed as error:
            raise Refused(500, str(error)) from None
        except Unfit as error:
            raise Refused(422, str(error)) from None

    async def labels(self, request: Request) -> Response:
        """Take right answers that became known, for the monitoring."""
        given = read_json(await body_of(request))
        try:
            labels = Labels.model_validate(given).labels
        except ValueError:
            raise Refused(422, 'want {"labels": [{"id": "of an answer", "target": ...}, ...]}') from None
        if not self.watch:
            raise Refused(409, "this service runs without monitoring, so nobody takes labels")
        try:
            for label in labels:
                await asyncio.to_thread(self.watch.label, label.id, label.target)
        except (ValueError, LookupError) as error:
            raise Refused(422, " ".join(str(error).split())) from None
        except OSError as error:
            raise Refused(503, str(error), AGAIN) from None
        return JSONResponse({"taken": len(labels)})

    async def health(self) -> Response:
        """Say that the process is alive."""
        return JSONResponse({"alive": True})

    async def ready(self) -> Response:
        """Say whether requests will be answered: the model is there, there is room, nobody stops."""
        full = self.batcher.waiting >= self.batcher.queue
        reason = "stopping" if self.stopping else "the queue is full" if full else ""
        if not (reason or self.batcher.thread.is_alive()):
            reason = "the model's thread has ended"
        return JSONResponse({"ready": not reason, "reason": reason}, 503 if reason else 200)

    async def version(self) -> Response:
        """Say which model answers: name, version, checksum, the code and the data that made it."""
        return JSONResponse(self.facts)

    async def figures(self) -> Response:
        """Return what Prometheus reads."""
        if self.drift:
            await asyncio.to_thread(self.drift.ask)
        return Response(self.metrics.text(), media_type=PLAIN)

    async def show(self) -> Response:
        """Return the page."""
        return HTMLResponse(self.page, headers={"content-security-policy": self.policy})


def build_app(predictor: Predictor, settings: ServiceConfig, watch: Any = None, cache: Cache | None = None) -> FastAPI:
    """Return the service as an ASGI application; `watch` is told of each batch, `cache` knows what was answered."""
    service = Service(predictor, settings, watch, cache)
    app = FastAPI(lifespan=service.running, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.service = service
    posts, gets = responses(400, 401, 408, 413, 415, 422, 429, 500, 503, 504), responses(401, 429)
    app.post("/predict", response_model=Reply, responses=posts)(service.predict)
    app.post("/labels", responses=posts | responses(409))(service.labels)
    app.get("/health")(service.health)
    app.get("/ready", responses=responses(503))(service.ready)
    app.get("/version", responses=gets)(service.version)
    app.get("/metrics", responses=gets, response_class=Response)(service.figures)
    if service.page:
        app.get("/", response_class=HTMLResponse, include_in_schema=False)(service.show)
    app.add_exception_handler(HTTPException, say)
    app.add_middleware(Limits, settings=settings)
    app.add_middleware(Observed, metrics=service.metrics)
    service.metrics.paths = {route.path for route in app.routes if hasattr(route, "path")}
    schema = document(app, predictor, settings, service.facts["model"])
    app.openapi = lambda: schema  # type: ignore[method-assign]
    return app


async def body_of(request: Request) -> bytes:
    """Return the body of a request that says to be JSON as it is, neither packed nor anything else."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    packed = request.headers.get("content-encoding", "identity").lower()
    if kind != "application/json" or packed != "identity":
        raise Refused(415, "want the header 'Content-Type: application/json', and no Content-Encoding")
    return await request.body()


async def say(_: Request, error: Exception) -> Response:
    """Say in one line that there is no such path, or no such method."""
    assert isinstance(error, HTTPException)
    line = {404: "nothing is here: /openapi.json says what there is", 405: "another method is wanted here"}
    detail = line.get(error.status_code, str(error.detail))
    return JSONResponse({"error": detail}, error.status_code, dict(error.headers or {}))


def render_page(predictor: Predictor) -> tuple[str, str]:
    """Return the page to try the model, where the project has one, and what a browser may run of it."""
    try:
        page = import_module(".page", __package__)
    except ModuleNotFoundError as error:
        if error.name != f"{__package__}.page":
            raise
        return "", ""
    text = str(page.render(predictor))
    return text, str(page.policy(text))


def identify(predictor: Predictor) -> Record:
    """Return which model this is: what the registry calls it, or its run; its checksum; what made it."""
    folder = predictor.checkpoint.parent
    files = {name: folder / name for name in ("metadata.json", "manifest.json")}
    found = {name: json.loads(path.read_text("utf-8")) if path.exists() else {} for name, path in files.items()}
    metadata, manifest = found.values()
    name, version = metadata.get("name", predictor.config.name), metadata.get("version", folder.resolve().name)
    return {
        "model": f"{name}/{version}",
        "name": name,
        "version": version,
        "task": predictor.config.data.task,
        "checkpoint_sha256": hashlib.sha256(predictor.checkpoint.read_bytes()).hexdigest(),
        "code": manifest.get("code"),
        "data": manifest.get("data"),
    }
