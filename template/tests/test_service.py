# copier: filter replace("my_project", package_name)
"""The service over HTTP: answers with their hashes, what it says of itself, and how it ends."""

import hashlib
import json
import re
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import my_project
from my_project.serving import metrics
from my_project.serving.cache import Memory
from my_project.serving.limits import ServiceConfig
from my_project.serving.openapi import value_of
from my_project.serving.predictor import Answers, Predictor

from .served import LIMIT, FakeWatch, Gate, Row, Served, make_predictor, served, until, vector

numbers = st.floats(-1e6, 1e6, allow_nan=False) | st.integers(-(10**6), 10**6)


@pytest.fixture
def predictor(workspace: Path) -> Predictor:
    return make_predictor(workspace / "runs/sample-1")


def sha256(row: Any) -> str:
    return hashlib.sha256(json.dumps(row, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def test_answers_are_the_predictors_own_each_with_the_hash_of_its_input(predictor: Predictor) -> None:
    rows = [vector(0.25, 1), vector(0.75, 2.5, -3), vector(7)]
    with served(predictor) as service:
        said = service.ask(*rows)
    reply = said.json()
    assert [*reply] == ["answers", "version", "input_sha256"]
    assert (said.status_code, reply["version"]) == (200, "sample/sample-1")
    assert reply["input_sha256"] == [sha256(row) for row in rows]
    for found, wanted in zip(reply["answers"], predictor(rows), strict=True):
        assert found["answer"] == pytest.approx(wanted["answer"], rel=1e-5)
        assert (found["vector"], found["confidence"]) == (wanted["vector"], wanted["confidence"])
    assert [answer["id"] for answer in reply["answers"]] == [f"{said.headers['x-request-id']}-{n}" for n in range(3)]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=st.lists(st.lists(st.lists(numbers, min_size=4, max_size=4), min_size=1, max_size=4), max_size=20))
def test_of_requests_at_once_each_gets_its_own_answers(shared: Served, asked: list[list[list[float]]]) -> None:
    def ask(vectors: list[list[float]]) -> None:
        rows = [{"vector": row} for row in vectors]
        reply = shared.ask(*rows).json()
        assert reply["input_sha256"] == [sha256(row) for row in rows]
        assert [answer["vector"] for answer in reply["answers"]] == vectors

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, asked))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(make_predictor(tmp_path_factory.mktemp("runs") / "shared"), ServiceConfig(batch_size=8)) as service:
        yield service


@pytest.mark.parametrize(
    ("body", "status", "line"),
    [
        (b"nope", 400, "the body is not JSON: Expecting value: line 1 column 1 (char 0)"),
        (b"\xff{}", 400, "the body is not UTF-8: invalid start byte at byte 0"),
        (b'{"rows": [], "rows": []}', 400, "the body is not JSON: an object has one name twice"),
        (b'{"rows": [{"vector": [NaN,0,0,0]}]}', 400, "the body is not JSON: NaN and Infinity are no numbers of JSON"),
        (b"[" * 100_000, 400, "the body is nested too deeply"),
        (b'{"rows": [%s]}' % (b"[" * 600 + b"]" * 600), 422, ""),
        (b'{"rows": [{"vector": [1e400,0,0,0]}]}', 422, "row 0: a number is too large, or it is nested too deeply"),
        (b'{"rows": [{"vector": "\\ud800"}]}', 422, "row 0: a text holds half a character (a lone surrogate)"),
        (b"[]", 422, 'want {"rows": [...]} with 1 to 256 rows, as /openapi.json has them'),
        (b'{"rows": []}', 422, 'want {"rows": [...]} with 1 to 256 rows, as /openapi.json has them'),
        (b'{"rows": [1], "more": 1}', 422, 'want {"rows": [...]} with 1 to 256 rows, as /openapi.json has them'),
        (b'{"rows": [{"vector": [1,2,3]}]}', 422, "row 0: vector: List should have at least 4 items after validation"),
        (b'{"rows": [{"vector": [1,2,3,4], "x": 1}]}', 422, "row 0: x: Extra inputs are not permitted"),
    ],
)
def test_a_body_that_is_wrong_is_refused_in_one_line(body: bytes, status: int, line: str, shared: Served) -> None:
    said = shared.client.post("/predict", content=body, headers={"content-type": "application/json"})
    assert said.status_code == status
    assert said.json()["error"].startswith(line)
    assert "\n" not in said.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/nowhere", {}, 404),
        ("GET", "/predict", {}, 405),
        ("POST", "/predict/", {}, 404),
        ("POST", "/predict", {"content-type": "text/plain"}, 415),
        ("POST", "/predict", {"content-type": "application/json", "content-encoding": "gzip"}, 415),
        ("POST", "/labels", {"content-type": "application/json"}, 422),
    ],
)
def test_a_path_or_a_method_that_is_not_there_is_refused_in_one_line(
    method: str, path: str, headers: dict[str, str], status: int, shared: Served
) -> None:
    said = shared.client.request(method, path, headers=headers, content=b"{}" if headers else None)
    assert (said.status_code, [*said.json()]) == (status, ["error"])


def test_a_full_queue_says_503_and_when_to_try_again(predictor: Predictor) -> None:
    gate = Gate(predictor)
    with served(predictor, ServiceConfig(queue=2, max_rows=2)) as service, ThreadPoolExecutor(2) as pool:
        first = pool.submit(service.ask, vector(1))
        until(lambda: gate.begun)
        second = pool.submit(service.ask, vector(2), vector(3))
        until(lambda: service.service.batcher.waiting == 2)
        refused = service.ask(vector(4))
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.json() == {"error": "2 rows wait already: try again"}
        unread: dict[str, Any] = {"content": b"{", "headers": {"content-type": "application/json"}}
        assert service.client.post("/predict", **unread).status_code == 503  # to read it would take time from others
        ready = service.client.get("/ready")
        assert (ready.status_code, ready.json()) == (503, {"ready": False, "reason": "the queue is full"})
        assert service.client.get("/health").json() == {"alive": True}
        gate.open.set()
        assert {first.result().status_code, second.result().status_code} == {200}
        assert service.client.post("/predict", **unread).status_code == 400
        assert service.client.get("/ready").json() == {"ready": True, "reason": ""}
    assert [number for batch in gate.begun for number in batch] == [1, 2, 3]


def test_when_all_who_wait_have_left_a_full_queue_takes_rows_again(predictor: Predictor) -> None:
    gate = Gate(predictor)
    limits = ServiceConfig(queue=1, max_rows=1, timeout=1)
    with served(predictor, limits) as service, ThreadPoolExecutor(2) as pool:
        first = pool.submit(service.ask, vector(1))
        until(lambda: gate.begun)
        second = pool.submit(service.ask, vector(2))
        until(lambda: service.service.batcher.waiting)
        assert service.ask(vector(3)).status_code == 503
        assert {first.result().status_code, second.result().status_code} == {504}
        gate.open.set()
        assert service.ask(vector(4)).status_code == 200
    assert gate.begun == [[1], [4]]


def test_who_waits_too_long_gets_504_and_his_rows_are_not_computed(predictor: Predictor) -> None:
    gate = Gate(predictor)
    with served(predictor, ServiceConfig(timeout=0.3)) as service, ThreadPoolExecutor(1) as pool:
        first = pool.submit(service.ask, vector(1))
        until(lambda: gate.begun)
        late = service.ask(vector(2))
        assert (late.status_code, late.json()) == (504, {"error": "no answer within 0.3 seconds: try again"})
        first.result()
        gate.open.set()
        assert service.ask(vector(3)).status_code == 200
    assert gate.begun == [[1], [3]]


def test_for_a_client_that_went_away_nothing_is_computed(
    predictor: Predictor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", my_project.__name__)
    gate = Gate(predictor)
    with served(predictor) as service, ThreadPoolExecutor(1) as pool:
        first = pool.submit(service.ask, vector(1))
        until(lambda: gate.begun)
        body = json.dumps({"rows": [vector(2)]}).encode()
        head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        with socket.create_connection(("127.0.0.1", service.port), LIMIT) as line:
            line.sendall(head % len(body) + body)
            until(lambda: service.service.batcher.waiting)
        until(lambda: not service.service.batcher.waiting)
        gate.open.set()
        first.result()
        assert service.ask(vector(3)).status_code == 200
    assert gate.begun == [[1], [3]]
    assert '"status": 499' in caplog.text


def test_a_model_that_fails_is_a_500_in_one_line_and_the_service_goes_on(
    predictor: Predictor, caplog: pytest.LogCaptureFixture
) -> None:
    function = predictor.answer

    def fragile(rows: list[Row]) -> Answers:
        if rows[0].vector[0] in {13, 12}:
            raise (RuntimeError if rows[0].vector[0] == 13 else ValueError)(f"cannot answer {rows}")
        found = function([*rows])
        found.records[0]["answer"] = float("nan") if rows[0].vector[0] == 14 else 0.0
        return found

    vars(predictor)["answer"] = fragile
    with served(predictor) as service:
        for number in (13, 12):
            said = service.ask(vector(number))
            assert (said.status_code, said.json()) == (500, {"error": "the model failed; the log says where"})
        said = service.ask(vector(14))
        assert (said.status_code, said.json()) == (500, {"error": "the model's answer is not a finite number"})
        assert service.ask(vector(15)).status_code == 200
    assert "the model failed, RuntimeError in test_service.py:" in caplog.text
    assert "vector" not in caplog.text


def test_rows_from_the_cache_have_ids_and_hashes_of_their_own_and_are_watched(predictor: Predictor) -> None:
    watch, gate = FakeWatch(), Gate(predictor)
    gate.open.set()
    with served(predictor, watch=watch, cache=Memory()) as service:
        first, second = (service.ask(vector(0.9), vector(0.25)).json() for _ in range(2))
        until(lambda: len(watch.rows) == 4)
        assert service.metric("service_cached_rows_total") == 2
    assert gate.begun == [[0.9, 0.25]]
    assert watch.rows == [0.9, 0.25] * 2
    assert len({*watch.ids}) == 4
    assert first["input_sha256"] == second["input_sha256"]
    assert [answer["vector"] for answer in second["answers"]] == [row["vector"] for row in (vector(0.9), vector(0.25))]
    assert [answer["id"] for answer in first["answers"] + second["answers"]] == watch.ids


def test_each_request_is_one_line_of_json_without_its_inputs(
    predictor: Predictor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", my_project.__name__)
    with served(predictor) as service:
        said = service.ask(vector(0.9, 123456.5), vector(0.25, 4), vector(0.125, 4))
        service.client.get("/nowhere?secret=654321")
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("{")]
    first, second = (json.loads(line) for line in lines)
    assert {**first, "time": 0, "ms": 0} == {
        "time": 0,
        "path": "/predict",
        "status": 200,
        "ms": 0,
        "id": said.headers["x-request-id"],
        "method": "POST",
        "rows": 3,
        "least_confidence": 0.125,
        "uncertain": 2,
    }
    assert (second["path"], second["status"]) == ("/nowhere", 404)
    assert first["ms"] > 0
    own = [record for record in caplog.records if record.name != "httpx"]  # the client's
    assert not [record for record in own if re.search("123456|654321", record.getMessage())]


def test_uncertain_answers_are_marked_and_counted(predictor: Predictor) -> None:
    with served(predictor, ServiceConfig(uncertain=0.4)) as service:
        answers = service.ask(vector(0.3), vector(0.4), vector(0.9), vector(7)).json()["answers"]
        assert [answer["uncertain"] for answer in answers] == [True, False, False, False]
        assert service.metric("service_uncertain_answers_total") == 1
        assert service.metric('service_confidence_bucket{le="0.5"}') == 2
        assert service.metric("service_confidence_count") == 3


def test_the_metrics_count_requests_and_rows(predictor: Predictor) -> None:
    with served(predictor) as service:
        service.ask(vector(1), vector(2))
        service.ask()
        for path in ("/a", "/b", "/health"):
            service.client.get(path)
        assert service.metric('service_requests_total{path="/predict",status="200"}') == 1
        assert service.metric('service_requests_total{path="/predict",status="422"}') == 1
        assert service.metric('service_requests_total{path="other",status="404"}') == 2
        assert service.metric('service_request_seconds_count{path="/health"}') == 1
        assert service.metric("service_batch_rows_sum") == 2
        assert service.metric("service_queue_rows") == 0
        assert service.metric("process_resident_memory_bytes") > 1e6


def test_the_monitoring_is_told_asked_and_labelled(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "PERIOD", 0.01)
    with served(predictor, watch=(watch := FakeWatch())) as service:
        answers = service.ask(vector(1), vector(2)).json()["answers"]
        assert service.metric("drift_alert") == 0
        assert service.metric('drift_figure{feature="number 0",figure="psi"}') == 0.5
        assert service.metric('drift_figure{feature="confidence",figure=""}') == 0.25
        service.ask(vector(200))
        assert service.metric("drift_alert") == 1
        labels = [{"id": answers[1]["id"], "target": 2.5}]
        assert service.client.post("/labels", json={"labels": labels}).json() == {"taken": 1}
        unknown = service.client.post("/labels", json={"labels": [{"id": "x", "target": 1}]})
        assert (unknown.status_code, unknown.json()) == (422, {"error": "no answer has the id x"})
    assert watch.rows == [1, 2, 200]
    assert watch.labels == {answers[1]["id"]: 2.5}
    assert watch.asked > 3


def test_labels_that_cannot_be_kept_are_not_said_to_be_taken(predictor: Predictor) -> None:
    def full(*_: Any) -> None:
        raise OSError("the log of predictions takes no more labels just now: try again")

    vars(watch := FakeWatch())["label"] = full
    with served(predictor, watch=watch) as service:
        said = service.client.post("/labels", json={"labels": [{"id": "x", "target": 1}]})
        assert (said.status_code, said.headers["retry-after"]) == (503, "1")
        assert "takes no more labels" in said.json()["error"]


def test_a_monitoring_that_fails_takes_no_answer_away(predictor: Predictor, caplog: pytest.LogCaptureFixture) -> None:
    watch = FakeWatch()
    vars(watch).update(add=lambda *_: 1 / 0, verdict=lambda: 1 / 0)
    with served(predictor, watch=watch) as service:
        assert service.ask(vector(1)).status_code == service.ask(vector(2)).status_code == 200
        assert service.metric("drift_alert") == 0
    assert caplog.text.count("the monitoring failed, ZeroDivisionError in test_service.py:") == 3


def test_the_page_is_shown_and_may_run_nothing_but_its_own(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = SimpleNamespace(render=lambda given: f"<p>{given.config.name}</p>", policy=lambda text: f"hash-{len(text)}")
    monkeypatch.setitem(sys.modules, f"{my_project.__name__}.serving.page", page)
    with served(predictor) as service:
        said = service.client.get("/")
    assert (said.status_code, said.text) == (200, "<p>sample</p>")
    assert said.headers["content-security-policy"] == "hash-13"
    assert said.headers["content-type"] == "text/html; charset=utf-8"


def test_labels_without_monitoring_are_refused(shared: Served) -> None:
    said = shared.client.post("/labels", json={"labels": [{"id": "x", "target": 1}]})
    assert said.status_code == 409


def test_the_version_names_the_weights_the_code_and_the_data(predictor: Predictor, workspace: Path) -> None:
    folder = workspace / "runs/sample-1"
    (folder / "manifest.json").write_text('{"code": {"commit": "abc"}, "data": {"name": "rows"}}')
    with served(predictor) as service:
        assert service.client.get("/version").json() == {
            "model": "sample/sample-1",
            "name": "sample",
            "version": "sample-1",
            "task": "sample",
            "checkpoint_sha256": hashlib.sha256(b"weights").hexdigest(),
            "code": {"commit": "abc"},
            "data": {"name": "rows"},
        }
    (folder / "metadata.json").write_text('{"name": "lengths", "version": "3"}')
    with served(predictor) as service:
        assert service.ask(vector(1)).json()["version"] == "lengths/3"


def test_openapi_names_the_paths_the_row_of_the_task_and_a_right_example(shared: Served) -> None:
    found = shared.client.get("/openapi.json").json()
    routes = {
        path: {verb: sorted(each["responses"]) for verb, each in verbs.items()}
        for path, verbs in found["paths"].items()
    }
    refusals = ["400", "401", "408", "413", "415", "422", "429", "500", "503", "504"]
    assert routes == {
        "/predict": {"post": ["200", *refusals]},
        "/labels": {"post": sorted(["200", "409", *refusals])},
        "/health": {"get": ["200"]},
        "/ready": {"get": ["200", "503"]},
        "/version": {"get": ["200", "401", "429"]},
        "/metrics": {"get": ["200", "401", "429"]},
    }
    fields = {name: sorted(each["properties"]) for name, each in found["components"]["schemas"].items()}
    assert fields == {  # what clients were written against: a change of it is one for your page on the service, too
        "Row": ["vector"],
        "Reply": ["answers", "input_sha256", "version"],
        "Answer": ["answer", "confidence", "id", "uncertain", "uncertainty"],
        "Label": ["id", "target"],
        "Trouble": ["error"],
    }
    content = found["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert (content["schema"]["properties"]["rows"]["minItems"], content["schema"]["additionalProperties"]) == (
        1,
        False,
    )
    assert found["components"]["schemas"]["Row"]["properties"]["vector"]["minItems"] == 4
    assert shared.client.post("/predict", json=content["example"]).status_code == 200
    answer = found["paths"]["/predict"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": "#/components/schemas/Reply"}
    assert sorted(found["components"]["schemas"]["Reply"]["required"]) == ["answers", "input_sha256", "version"]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string", "minLength": 8}, "a text.."),
        ({"type": "string", "maxLength": 3}, "a t"),
        ({"type": "integer", "minimum": 3}, 4),
        ({"type": "number", "maximum": -3}, -4),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, 0.5),
        ({"enum": ["b", "a"]}, "b"),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, 0),
        ({"type": "string", "examples": ["1.3"], "default": "x"}, "1.3"),
        ({"$ref": "#/$defs/Yes"}, False),
        ({"type": "null"}, None),
    ],
)
def test_an_example_follows_its_schema(schema: dict[str, Any], value: Any) -> None:
    assert value_of(schema, {"Yes": {"type": "boolean"}}) == value
    # copier: endfilter
