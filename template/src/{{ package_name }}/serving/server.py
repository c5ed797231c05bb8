"""uvicorn as the service wants it: heads of requests within limits, a graceful stop, and the house's exit status."""

import logging
import socket
from asyncio import TimerHandle, Transport
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ..training.device import signals
from .limits import LINGER, ServiceConfig, error_body

REASONS = {400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large"}
LOOPBACK = ("127.", "::1")

logger = logging.getLogger(__name__)


class Guarded(HttpToolsProtocol):
    """uvicorn's HTTP with what it lacks: an end to heads that are too long, or that never end."""

    settings = ServiceConfig()
    cycle: Any  # the request that is being read or answered, None before the first
    head = 0  # bytes of the head that is being read
    timer: TimerHandle | None = None
    refused = False

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Begin; who says nothing has as much time as who says too little."""
        super().connection_made(transport)
        self.arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self.disarm()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Give a head its time from its first byte, also where that came with the request before it."""
        if self.timer is None:
            self.arm()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin to answer: the head came in time."""
        self.disarm()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Read on; a head is limited in its length."""
        if self.refused:
            return
        before, in_head = self.cycle, self.cycle is None or not self.cycle.more_body
        super().data_received(data)
        if self.cycle is not before:
            self.head = 0
        elif in_head:
            self.head += len(data)
            if self.head > self.settings.max_head:
                self.refuse(431, f"the head of the request is too long: want at most {self.settings.max_head} bytes")

    def arm(self) -> None:
        """Give a head its time."""
        self.timer = self.loop.call_later(self.settings.head_seconds, self.late)

    def disarm(self) -> None:
        """The head has come, or nobody is there any more."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def late(self) -> None:
        """Refuse a head that did not come in time, unless an answer is still on its way to the client."""
        self.timer = None
        if self.cycle is not None and not self.cycle.response_complete:
            self.arm()
        else:
            self.refuse(408, f"no whole head of a request within {self.settings.head_seconds:g} seconds")

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP."""
        self.refuse(400, "this is not HTTP/1.1 as a server may read it")

    def note(self, status: int) -> None:
        """Be told of what no application sees."""

    def refuse(self, status: int, line: str) -> None:
        """Answer without the application, and close once the client had a moment to read it."""
        if self.refused or self.transport.is_closing():
            return
        self.refused, body = True, error_body(line)
        if self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body:
            self.cycle.keep_alive = False  # the request before it has its answer, which must not be taken for this one
            self.disarm()
            self.note(status)
            return
        head = f"HTTP/1.1 {status} {REASONS[status]}\r\ncontent-type: application/json\r\n"
        head += f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode() + body)
        self.disarm()
        self.loop.call_later(LINGER, self.transport.close)
        self.note(status)


class Server(uvicorn.Server):
    """A server that answers what is inside when a signal comes; `heard` holds the exit statuses of signals."""

    def __init__(self, config: uvicorn.Config, greeting: str, service: Any) -> None:
        super().__init__(config)
        self.greeting, self.service, self.heard = greeting, service, list[int]()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Hear signals as all commands do: the first stops gracefully, the second at once."""
        with signals() as self.heard:
            yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin, and say where."""
        await super().startup(sockets)
        logger.info("%s", self.greeting)

    async def on_tick(self, counter: int) -> bool:
        """Return whether to stop; from then on nothing new is taken."""
        self.should_exit = self.service.stopping = self.should_exit or bool(self.heard)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what is inside, then end."""
        logger.info("stopping: %d requests inside", len(self.server_state.tasks))
        await super().shutdown(sockets)


def make_server(app: FastAPI, settings: ServiceConfig, greeting: str) -> Server:
    """Return the server of an application, not yet started."""
    service = app.state.service

    def note(_: Guarded, status: int) -> None:
        service.metrics.note("", status, 0.0, {})

    config = uvicorn.Config(
        app,
        http=type("Http", (Guarded,), {"settings": settings, "note": note}),
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="critical",  # what is worth a line is logged by the application
        access_log=False,
        proxy_headers=False,  # nobody may choose the name by which his rate is counted
        server_header=False,
        timeout_graceful_shutdown=int(settings.timeout) + 1,
    )
    return Server(config, greeting, service)


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that has an address, and does not listen yet; OSError where it cannot be had."""
    listener = None
    try:
        listener = socket.socket(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0])
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        if listener:
            listener.close()
        raise OSError(f"port {port} of {host} cannot be had ({error}); choose others with --port and --host") from error
    return listener


def url_of(listener: socket.socket) -> str:
    """Return where a browser finds what listens there."""
    host, port = cast("tuple[str, int]", listener.getsockname()[:2])
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_public(listener: socket.socket) -> bool:
    """Return whether other machines may reach it."""
    return not str(listener.getsockname()[0]).startswith(LOOPBACK)
