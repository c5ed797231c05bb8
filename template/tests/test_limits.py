# copier: filter replace("my_project", package_name)
"""What is more than the service grants is refused in a line, and the service goes on."""

import json
from pathlib import Path
from threading import Thread, Timer
from typing import Any

import httpx
import pytest

from my_project.serving import limits
from my_project.serving.limits import KEY, Rate, ServiceConfig
from my_project.serving.predictor import Predictor

from .served import Gate, Served, make_predictor, served, until, vector

BODY = json.dumps({"rows": [vector(1)]}).encode()
HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n\r\n" % len(BODY)
NOT_TOLD = "a-key-of-24-letters-only"


@pytest.fixture
def predictor(workspace: Path) -> Predictor:
    return make_predictor(workspace / "run")


def refusal(answer: bytes) -> tuple[int, str]:
    """The status and the one line of a raw answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    line: str = json.loads(body)["error"]
    assert "\n" not in line
    return int(head.split()[1]), line


def still_answers(service: Served) -> bool:
    return service.ask(vector(1)).status_code == 200


def test_a_body_that_is_too_long_is_refused_by_its_length_and_as_it_comes(predictor: Predictor) -> None:
    with served(predictor, ServiceConfig(max_body=2000)) as service:
        many = {"content-type": "application/json"}
        said = service.client.post("/predict", content=b" " * 2001, headers=many)
        assert (said.status_code, said.json()) == (413, {"error": "the body has 2001 bytes: want at most 2000"})
        came = service.client.post("/predict", content=iter([b" " * 999] * 9), headers=many)
        assert (came.status_code, came.json()) == (413, {"error": "the body is too long: want at most 2000 bytes"})
        assert service.client.post("/predict", content=BODY.ljust(2000), headers=many).status_code == 200


def test_a_body_that_comes_too_slowly_is_refused(predictor: Predictor) -> None:
    with served(predictor, ServiceConfig(body_seconds=0.2)) as service:
        status, line = refusal(service.raw(HEAD + LENGTH + BODY[:5]))
        assert (status, line) == (408, "the body did not come within 0.2 seconds: send it faster")
        assert still_answers(service)


@pytest.mark.parametrize("begun", [b"", b"GET /health HTTP/1.1\r\nHost: x\r\n"], ids=["nothing", "half a head"])
def test_a_head_that_comes_too_slowly_is_refused(begun: bytes, predictor: Predictor) -> None:
    with served(predictor, ServiceConfig(head_seconds=0.2)) as service:
        drops = [b"X: y\r\n"] * 4 if begun else [b""]
        status, line = refusal(service.raw(begun, *drops, pause=0.1))
        assert (status, line) == (408, "no whole head of a request within 0.2 seconds")
        assert service.metric('service_requests_total{path="other",status="408"}') == 1


@pytest.mark.parametrize("at_once", [False, True])
def test_the_second_request_of_a_connection_has_its_time_as_well(at_once: bool, predictor: Predictor) -> None:
    whole = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    parts = [whole + whole[:20]] if at_once else [whole, whole[:20]]
    with served(predictor, ServiceConfig(head_seconds=0.2)) as service:
        said = service.raw(*parts, pause=0.1)
        assert said.count(b"HTTP/1.1 200 OK") == 1
        assert b"HTTP/1.1 408 Request Timeout" in said


def test_an_answer_that_takes_longer_than_a_head_may_is_still_given(predictor: Predictor) -> None:
    gate = Gate(predictor)
    with served(predictor, ServiceConfig(head_seconds=0.1)) as service:
        opening = Timer(0.4, gate.open.set)
        opening.start()
        assert service.raw(HEAD + b"Connection: close\r\n" + LENGTH + BODY).startswith(b"HTTP/1.1 200 OK")
        opening.join()


def test_what_is_refused_behind_a_request_is_not_taken_for_its_answer(predictor: Predictor) -> None:
    gate = Gate(predictor)
    with served(predictor) as service:
        opening = Timer(0.4, gate.open.set)
        opening.start()
        said = service.raw(HEAD + LENGTH + BODY, b"NONSENSE\r\n\r\n", pause=0.1)
        assert said.startswith(b"HTTP/1.1 200 OK")
        assert said.count(b"HTTP/1.1") == 1  # then it is closed
        opening.join()
        assert still_answers(service)


def test_a_head_that_is_too_long_is_refused(predictor: Predictor) -> None:
    with served(predictor) as service:
        status, line = refusal(service.raw(b"GET /health HTTP/1.1\r\nX: ", *[b"a" * 8000] * 9))
        assert (status, line) == (431, "the head of the request is too long: want at most 16384 bytes")
        assert still_answers(service)


def test_a_head_that_is_too_long_is_refused_though_it_came_at_once(predictor: Predictor) -> None:
    with served(predictor, ServiceConfig(max_head=300)) as service:
        said = service.client.get("/health", headers={"x": "a" * 300})
        assert (said.status_code, said.json()["error"][:4]) == (431, "the ")
        assert service.client.get(f"/health?{'a' * 20}").status_code == 200


@pytest.mark.parametrize(
    "head",
    [b"GET /health\r\n\r\n", b"GET /health HTTP/1.1\r\n\r\n", b"GET /health HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"],
)
def test_a_head_that_servers_read_in_different_ways_is_refused(head: bytes, predictor: Predictor) -> None:
    with served(predictor, ServiceConfig(head_seconds=0.2)) as service:
        assert service.raw(head).startswith(b"HTTP/1.1 400 ")


def test_a_request_whose_length_is_said_in_two_ways_is_refused(predictor: Predictor) -> None:
    with served(predictor) as service:
        said = service.raw(HEAD + b"Transfer-Encoding: chunked\r\n" + LENGTH + b"0\r\n\r\n")
        assert refusal(said)[0] == 400
        assert b"connection: close" in said.lower()
        assert said.count(b"\r\n\r\n") == 1
        assert still_answers(service)


def test_bodies_of_all_clients_together_have_a_limit(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "NUM_BODIES", 1)
    gate = Gate(predictor)
    with served(predictor, ServiceConfig(max_body=300)) as service:
        with httpx.Client(base_url=service.client.base_url, trust_env=False) as other:
            first = Thread(target=service.ask, args=[vector(1)])
            first.start()
            until(lambda: gate.begun)
            padded = BODY.ljust(290)
            refused = other.post("/predict", content=padded, headers={"content-type": "application/json"})
            gate.open.set()
            first.join()
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert still_answers(service)


def test_a_client_has_as_many_requests_a_second_as_were_granted(predictor: Predictor) -> None:
    with served(predictor, ServiceConfig(rate=3)) as service:
        said = [service.ask(vector(1)) for _ in range(5)]
        assert [one.status_code for one in said[:3]] == [200] * 3
        assert said[-1].status_code == 429
        assert said[-1].headers["retry-after"] == "1"
        assert said[-1].json() == {"error": "too many requests: want at most 3 a second"}
        assert {service.client.get("/health").status_code for _ in range(9)} == {200}


def test_tokens_come_back_with_time_and_each_client_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    rate = Rate(2)
    assert [rate.wait("a") for _ in range(3)] == [0, 0, 0.5]
    assert rate.wait("b") == 0
    now[0] = 0.5
    assert [rate.wait("a") for _ in range(2)] == [0, 0.5]
    now[0] = 100.0
    assert [rate.wait("a") for _ in range(3)] == [0, 0, 0.5]


def test_only_so_many_clients_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "NUM_CLIENTS", 3)
    rate = Rate(1)
    for name in "abcd":
        rate.wait(name)
    assert [*rate.clients] == ["b", "c", "d"]


def test_without_the_right_key_nothing_is_answered_but_the_probes(predictor: Predictor) -> None:
    with served(predictor, ServiceConfig(api_key=NOT_TOLD)) as service:
        for key in ("", "Bearer", f"Bearer {NOT_TOLD}x", f"Basic {NOT_TOLD}", NOT_TOLD, "Bearer \xe4\xf6"):
            for path in ("/version", "/metrics", "/openapi.json", "/labels", "/predict"):
                said = service.client.get(path, headers=[(b"authorization", key.encode("latin-1"))])
                assert (said.status_code, said.headers["www-authenticate"]) == (401, "Bearer"), (key, path)
        right = {"authorization": f"Bearer {NOT_TOLD}"}
        assert service.client.get("/version", headers=right).status_code == 200
        assert service.client.get("/health").status_code == service.client.get("/ready").status_code == 200
        schema = service.client.get("/openapi.json", headers=right).json()
        assert schema["components"]["securitySchemes"] == {"key": {"type": "http", "scheme": "bearer"}}
        open_ = {path for path, verbs in schema["paths"].items() for verb in verbs.values() if "security" not in verb}
        assert open_ == {"/health", "/ready"}


def test_the_key_is_in_no_log_and_no_words(predictor: Predictor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "my_project")
    settings = ServiceConfig(api_key=NOT_TOLD)
    with served(predictor, settings) as service:
        service.client.get("/version", headers={"authorization": f"Bearer {NOT_TOLD}"})
    assert caplog.text.count('"path": "/version"') == 1
    assert NOT_TOLD not in caplog.text + repr(settings)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"api_key": "short"}, f"{KEY}: want at least 16 letters"),
        ({"max_rows": 30, "queue": 20}, "queue: got 20, want at least the 30 rows"),
        ({"timeout": 0}, "greater than 0"),
        ({"uncertain": 2}, "less than or equal to 1"),
        ({"batchsize": 2}, "batchsize"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ServiceConfig(**given)
    # copier: endfilter
