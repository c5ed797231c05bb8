"""What the service grants a client: size, time, rate and a key; the rest is refused in a line, before it is read."""

import asyncio
import hmac
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import field
from typing import Annotated

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..types import STRICT

KEY = "SERVICE_API_KEY"  # the variable that holds the key; no argument does, since others see those
LEAST_KEY = 16  # letters of a key
OPEN = ("/", "/health", "/ready")  # what needs no key: a page that asks for one, and who watches the process
PROBES = ("/health", "/ready")  # what may be asked at any rate
NUM_CLIENTS = 10_000  # whose rates are remembered
NUM_BODIES = 64  # of the largest size, that may be held in memory at once
CLOSE = {"connection": "close"}
LINGER = 2.0  # seconds in which a client that is still sending may read that it was refused


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ServiceConfig:
    """What the service grants; the help of `serve` says it in words."""

    batch_size: PositiveInt = 64  # most rows that the model answers at once
    queue: PositiveInt = 1024  # most rows that wait
    timeout: PositiveFloat = 30.0  # seconds until a request is answered
    rate: NonNegativeFloat = 0.0  # requests a second and client; 0: any number
    max_body: PositiveInt = 1_000_000  # bytes of a request
    max_rows: PositiveInt = 256  # rows of a request
    uncertain: Annotated[float, Field(ge=0, le=1)] = 0.5  # an answer with less confidence is marked as uncertain
    max_head: PositiveInt = 16_384  # bytes of a request before its body
    head_seconds: PositiveFloat = 10.0  # time for those
    body_seconds: PositiveFloat = 10.0  # time for a body
    api_key: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.max_rows > self.queue:
            raise ValueError(f"queue: got {self.queue}, want at least the {self.max_rows} rows of a request")
        if 0 < len(self.api_key) < LEAST_KEY or not self.api_key.isascii():
            raise ValueError(f"{KEY}: want at least {LEAST_KEY} letters of ASCII; secrets.token_urlsafe() makes a key")


class Refused(Exception):  # noqa: N818 (it is an answer, no failure)
    """A request that is not answered: the status and one line that says why."""

    def __init__(self, status: int, line: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(line)
        self.status, self.line, self.headers = status, line, dict(headers or {})


class Gone(Exception):  # noqa: N818 (nothing failed)
    """The client went away before it had said all."""


class Rate:
    """Lets each client have so many requests a second, and those of one second at once (a token bucket)."""

    def __init__(self, per_second: float) -> None:
        self.per_second, self.burst = per_second, max(1.0, per_second)
        self.clients: dict[str, tuple[float, float]] = {}  # tokens and when they were counted; the latest client last

    def wait(self, client: str) -> float:
        """Take a token; return 0, or the seconds until there is one again."""
        now = time.monotonic()
        tokens, then = self.clients.pop(client, (self.burst, now))
        tokens = min(self.burst, tokens + (now - then) * self.per_second)
        self.clients[client] = (tokens - (tokens >= 1), now)
        if len(self.clients) > NUM_CLIENTS:
            del self.clients[next(iter(self.clients))]
        return 0.0 if tokens >= 1 else (1 - tokens) / self.per_second


class Limits:
    """Middleware: refuses what is not granted; reads a body whole, within its limits, before anybody looks at it."""

    def __init__(self, app: ASGIApp, settings: ServiceConfig) -> None:
        self.app, self.settings = app, settings
        self.rate = Rate(settings.rate) if settings.rate else None
        self.key = f"Bearer {settings.api_key}".encode() if settings.api_key else b""
        self.held = 0  # bytes of all bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with its body, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers, body = dict(scope["headers"]), bytearray()
        sending = b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"
        try:
            self.check(scope, headers)
            if sending:
                await self.read(receive, body)
                receive, sending = replay(bytes(body), receive), False
            await self.app(scope, receive, send)
        except Refused as refused:
            await refuse(refused, receive, send, sending=sending)
        except Gone:
            pass
        finally:
            self.held -= len(body)

    def check(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        """Raise Refused for what the head of a request shows already."""
        check_head(scope, self.settings.max_head)
        length, path = headers.get(b"content-length"), scope["path"]
        if length is not None and b"transfer-encoding" in headers:
            raise Refused(400, "two lengths: want either Content-Length or Transfer-Encoding", CLOSE)
        if self.key and path not in OPEN and not hmac.compare_digest(headers.get(b"authorization", b""), self.key):
            line = "want the header 'Authorization: Bearer KEY' with the right key"
            raise Refused(401, line, {"www-authenticate": "Bearer"})
        client = (scope["client"] or ("",))[0]
        if self.rate and path not in PROBES and (seconds := self.rate.wait(client)):
            after = {"retry-after": str(int(seconds) + 1)}
            raise Refused(429, f"too many requests: want at most {self.settings.rate:g} a second", after)
        if length is not None and int(length) > self.settings.max_body:
            raise Refused(413, f"the body has {int(length)} bytes: want at most {self.settings.max_body}")

    async def read(self, receive: Receive, body: bytearray) -> None:
        """Read a body of a limited size in limited time."""
        most = self.settings.max_body
        try:
            async with asyncio.timeout(self.settings.body_seconds):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Gone
                    part, more = message.get("body", b""), message.get("more_body", False)
                    body += part
                    self.held += len(part)
                    if len(body) > most:
                        raise Refused(413, f"the body is too long: want at most {most} bytes")
                    if self.held > NUM_BODIES * most:
                        raise Refused(503, "too much is being sent at once: try again", {"retry-after": "1"})
        except TimeoutError:
            seconds = self.settings.body_seconds
            raise Refused(408, f"the body did not come within {seconds:g} seconds: send it faster") from None


def check_head(scope: Scope, most: int) -> None:
    """Raise Refused for a head that is too long, or that not every server would read in the same way."""
    if scope["http_version"] not in {"1.0", "1.1"}:
        raise Refused(400, f"HTTP/{scope['http_version']} is not spoken here: want HTTP/1.1", CLOSE)
    if scope["http_version"] == "1.1" and [name for name, _ in scope["headers"]].count(b"host") != 1:
        raise Refused(400, "want one header 'Host'", CLOSE)
    if len(scope["raw_path"]) + sum(len(name) + len(value) for name, value in scope["headers"]) > most:
        raise Refused(431, f"the head of the request is too long: want at most {most} bytes", CLOSE)


def replay(body: bytes, receive: Receive) -> Receive:
    """Return what hands out a body that was read, and after it what else comes from the client."""
    first = [body]

    async def again() -> Message:
        return {"type": "http.request", "body": first.pop(), "more_body": False} if first else await receive()

    return again


def error_body(line: str) -> bytes:
    """Return what every refusal says."""
    return json.dumps({"error": line}).encode() + b"\n"


async def refuse(refused: Refused, receive: Receive, send: Send, *, sending: bool) -> None:
    """Answer that a request is refused; who is still sending gets a moment to read that, then the line is closed."""
    body = error_body(refused.line)
    own = {"content-type": "application/json", "content-length": str(len(body)), **refused.headers}
    own |= CLOSE if sending else {}
    headers = [(name.encode(), value.encode()) for name, value in own.items()]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": sending})
    if sending:
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                while (await receive()).get("more_body", False):
                    pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})
