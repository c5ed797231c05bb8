# copier: filter replace("my_project", package_name)
"""The sample's task as the service has it, and a service on the loopback, in a thread that is ended and waited for."""

import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Annotated, Any

import httpx
import pytest
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

import my_project
from my_project import config as configs
from my_project.serving.cache import Cache
from my_project.serving.limits import ServiceConfig
from my_project.serving.predictor import Answers, Predictor
from my_project.serving.server import bind, make_server, url_of
from my_project.serving.service import Service, build_app
from my_project.types import UNKNOWN, Batch

from .sample import PRESET, Net, SampleConfig, register

register()
HOME = f"{my_project.__name__}.serving.sample"  # where this file stands in
LIMIT = 30.0  # seconds after which a test gives up


class Row(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)

    vector: Annotated[list[Annotated[float, Field(ge=-1e6, le=1e6)]], Field(min_length=4, max_length=4)]


def row(_: SampleConfig) -> type[Row]:
    return Row


def encode(rows: list[Row], _: SampleConfig) -> Tensor:
    return torch.tensor([row.vector for row in rows])


def forward(model: Net, inputs: Tensor, _: list[Row]) -> Tensor:
    index = torch.arange(len(inputs))
    outputs: Tensor = model(Batch(inputs, torch.full([len(inputs)], float(UNKNOWN)), index), None).outputs
    return outputs


def decode(outputs: Tensor, rows: list[Row], _: SampleConfig) -> list[dict[str, Any]]:
    """The confidence is the first number of the vector, where that can be one."""
    sure = [row.vector[0] if 0 <= row.vector[0] <= 1 else None for row in rows]
    return [
        {"answer": length, "confidence": c, "uncertainty": None, "vector": row.vector}
        for length, c, row in zip(outputs.tolist(), sure, rows, strict=True)
    ]


def features(inputs: Tensor, _: list[Row], __: SampleConfig) -> dict[str, Tensor]:
    return {f"number {n}": inputs[:, n] for n in range(inputs.shape[1])}


def make_predictor(folder: Path) -> Predictor:
    """A predictor whose model never learned anything, and its run folder."""
    config = configs.load(PRESET)
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    (checkpoint := folder / "best.pt").write_bytes(b"weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, HOME, sys.modules[__name__])
        return Predictor(config, config.model.build(), checkpoint, torch.device("cpu"))


def vector(first: float, *others: float) -> dict[str, list[float]]:
    return {"vector": [first, *others, *[0.0] * (3 - len(others))]}


class FakeWatch:
    """Notes what it is told; alerts once a first number is above 100."""

    def __init__(self) -> None:
        self.rows, self.labels = list[float](), dict[str, Any]()
        self.ids, self.asked = list[str](), 0

    def add(self, rows: list[Row], answers: Answers) -> None:
        self.rows += [row.vector[0] for row in rows]
        self.ids += [record["id"] for record in answers.records]

    def verdict(self) -> dict[str, Any]:
        self.asked += 1
        alert = max(self.rows, default=0) > 100
        figures = {"number 0": {"psi": 0.5, "name": "a"}, "confidence": 0.25}
        return {"alert": alert, "findings": ["number 0 is larger"] * alert, "figures": figures}

    def label(self, key: str, target: Any) -> None:
        if key not in self.ids:
            raise LookupError(f"no answer has the id {key}")
        self.labels[key] = target


class Gate:
    """Holds a model back until a test opens it; knows how many rows it has begun and answered, batch by batch."""

    def __init__(self, predictor: Predictor) -> None:
        self.open, self.begun, self.function = Event(), list[list[float]](), predictor.answer
        vars(predictor)["answer"] = self

    def __call__(self, rows: list[Any]) -> Answers:
        self.begun.append([row.vector[0] for row in rows])
        assert self.open.wait(LIMIT)
        return self.function([*rows])


@dataclass
class Served:
    client: httpx.Client
    service: Service
    port: int

    def ask(self, *rows: Any) -> httpx.Response:
        return self.client.post("/predict", json={"rows": [*rows]})

    def raw(self, *parts: bytes, pause: float = 0.0) -> bytes:
        """Send bytes as they are; return everything that comes back until the service closes."""
        with socket.create_connection(("127.0.0.1", self.port), LIMIT) as line:
            try:
                for part in parts:
                    line.sendall(part)
                    time.sleep(pause)
            except OSError:
                pass  # it has closed already
            return everything(line)

    def metric(self, line: str) -> float:
        text = self.client.get("/metrics").text
        return next((float(found.rpartition(" ")[2]) for found in text.splitlines() if found.startswith(f"{line} ")), 0)


def everything(line: socket.socket) -> bytes:
    found = b""
    try:
        while part := line.recv(65536):
            found += part
    except ConnectionResetError:
        pass
    return found


def until(condition: Callable[[], object]) -> None:
    """Wait for what another thread does."""
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.002)


@contextmanager
def served(
    predictor: Predictor, settings: ServiceConfig | None = None, watch: Any = None, cache: Cache | None = None
) -> Iterator[Served]:
    app = build_app(predictor, settings or ServiceConfig(), watch, cache)
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        server = make_server(app, settings or ServiceConfig(), "ready")
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        until(lambda: server.started or not thread.is_alive())
        try:
            with httpx.Client(base_url=url_of(listener), timeout=LIMIT, trust_env=False) as client:
                yield Served(client, app.state.service, port)
        finally:
            server.should_exit = True
            thread.join(LIMIT)
    assert not thread.is_alive()
    # copier: endfilter
