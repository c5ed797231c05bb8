# copier: filter replace("my_project", package_name)
"""What a running service knows of drift: a window in bounded memory, warnings, labels, and what outlives a restart."""

import json
import logging
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from my_project.serving import reference as references
from my_project.serving.monitoring import Limits, read_limits
from my_project.serving.predictor import Predictor
from my_project.serving.store import Store
from my_project.serving.watch import WAITING, Watch, open_watch
from my_project.serving.watched import Reference

from .watched_sample import predictor_of, rows_like

LIMITS = Limits(window=200)
LOG = Path("predictions.db")


@pytest.fixture(scope="module")
def predictor(trained: Path) -> Predictor:
    return predictor_of(trained)


@pytest.fixture(scope="module")
def reference(predictor: Predictor) -> Reference:
    return references.make(predictor)


def feed(watch: Watch, predictor: Predictor, rows: list[dict[str, Any]], name: str = "") -> None:
    """Answer rows in batches of 50, with ids if a name is given."""
    for first in range(0, len(rows), 50):
        checked = predictor.check(rows[first : first + 50])
        answers = predictor.answer(checked)
        for number, record in enumerate(answers.records, start=first):
            record["id"] = f"{name}-{number}" if name else ""
        watch.add(checked, answers)


def test_the_same_rows_are_no_drift_and_shifted_ones_are(predictor: Predictor, reference: Reference) -> None:
    watch = Watch(reference, limits=Limits())
    feed(watch, predictor, rows_like(500, 1))
    assert not watch.verdict()["alert"]
    feed(watch, predictor, rows_like(500, 2, shift=0.5))
    verdict = watch.verdict()
    assert verdict["alert"]
    assert verdict["findings"][0].startswith("input second: on average 0.")
    assert json.loads(json.dumps(verdict, allow_nan=False)) == verdict
    gauges = watch.figures()
    assert gauges["drift_alert"] == {"": 1.0}
    assert gauges["drift_size"]["input second"] > 0.1 > gauges["drift_size"]["input third"]


def test_an_alert_is_said_when_it_begins_and_when_it_ends(
    predictor: Predictor, reference: Reference, caplog: pytest.LogCaptureFixture
) -> None:
    watch, said = Watch(reference, limits=LIMITS), list[int]()
    for seed, shift in enumerate((0.0, 2.0, 2.0, 0.0, 0.0)):
        feed(watch, predictor, rows_like(200, seed, shift=shift))
        for _ in range(2):
            watch.verdict()
        said.append(len(caplog.records))
    assert said == [0, 1, 1, 2, 2]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    assert caplog.messages[0].startswith("drift, alert: input second: on average ")
    assert caplog.messages[1] == "drift, all clear: the newest 200 rows are like the reference again"


def test_an_alert_ends_only_with_a_window_that_is_all_new(predictor: Predictor, reference: Reference) -> None:
    watch = Watch(reference, limits=LIMITS)
    feed(watch, predictor, rows_like(200, 1, shift=2))
    assert watch.verdict()["in_alert"]
    feed(watch, predictor, rows_like(190, 2))
    found = watch.verdict()
    assert (found["alert"], found["in_alert"]) == (False, True)
    feed(watch, predictor, rows_like(50, 3))
    assert not watch.verdict()["in_alert"]


def test_too_few_rows_give_no_verdict(predictor: Predictor, reference: Reference) -> None:
    watch = Watch(reference)
    feed(watch, predictor, rows_like(50, 1, shift=9))
    assert watch.verdict()["waiting"] == "50 rows, and 100 are wanted for a verdict"
    assert not watch.verdict()["alert"]


def test_memory_is_bounded(predictor: Predictor, reference: Reference) -> None:
    watch = Watch(reference, window=50)
    rows = predictor.check(rows_like(50, 1))
    answers = predictor.answer(rows)
    for number in range(3 * WAITING):
        watch.add(rows, answers, [f"{number}-{row}" for row in range(50)])
    assert (len(watch.rows), len(watch.answers), watch.total) == (50, WAITING * 50, 3 * WAITING * 50)


def test_labels_that_show_worse_answers_raise_an_alert(predictor: Predictor, reference: Reference) -> None:
    watch = Watch(reference, limits=Limits())
    rows = rows_like(120, 1)
    feed(watch, predictor, rows, "a")
    for number, row in enumerate(rows):
        watch.label(f"a-{number}", float(np.linalg.norm(row["vector"])))
    assert not watch.verdict()["alert"]
    feed(watch, predictor, rows, "b")
    for number, row in enumerate(rows):
        watch.label(f"b-{number}", 3 + float(np.linalg.norm(row["vector"])))
    verdict = watch.verdict()
    assert [line.partition(":")[0] for line in verdict["findings"]] == ["errors"]
    assert verdict["labelled"] == 240


def test_the_truth_of_an_answer_counts_once(predictor: Predictor, reference: Reference) -> None:
    store = Store(LOG)
    watch = Watch(reference, store, limits=LIMITS)
    feed(watch, predictor, rows_like(10, 1), "a")
    for _ in range(3):
        watch.label("a-1", 2.0)
    store.flush()
    again = Watch(reference, store, limits=LIMITS)
    again.label("a-1", 2.0)
    assert (len(watch.errors), len(again.errors)) == (1, 1)
    watch.close()


def test_a_label_of_an_unknown_answer_is_refused(reference: Reference) -> None:
    with pytest.raises(ValueError, match="id 'nobody': no answer with that id is known"):
        Watch(reference).label("nobody", 1.0)


def test_a_restart_changes_nothing(
    predictor: Predictor, reference: Reference, caplog: pytest.LogCaptureFixture
) -> None:
    first = Watch(reference, Store(LOG), limits=LIMITS)
    feed(first, predictor, rows_like(300, 1, shift=2), "a")
    first.label("a-299", 1.0)
    before = first.verdict()
    first.close()
    second = Watch(reference, Store(LOG), limits=LIMITS)
    after = second.verdict()
    assert {**after, "seen": 0} == {**before, "seen": 0}
    assert len(caplog.records) == 1  # the alert has begun once
    second.label("a-150", 1.0)
    feed(second, predictor, rows_like(200, 2), "b")
    assert not second.verdict()["in_alert"]
    second.close()


def test_a_log_of_another_checkpoint_is_not_taken_for_this_ones(predictor: Predictor, reference: Reference) -> None:
    store = Store(LOG)
    feed(Watch(reference, store, limits=LIMITS), predictor, rows_like(100, 1))
    store.flush()
    others = Reference(**{**vars(reference), "checkpoint_sha256": "another"})
    assert not Watch(others, store, limits=LIMITS).rows
    store.close()


def test_truth_of_another_models_answers_is_logged_and_counts_for_that_one(
    predictor: Predictor, reference: Reference
) -> None:
    store = Store(LOG)
    feed(Watch(reference, store, limits=LIMITS), predictor, rows_like(100, 1), "a")
    store.flush()
    watch = Watch(Reference(**{**vars(reference), "checkpoint_sha256": "another"}), store, limits=LIMITS)
    watch.label("a-1", 100.0)
    store.flush()
    assert not watch.errors
    assert len(Watch(reference, store, limits=LIMITS).errors) == 1
    store.close()


def test_threads_may_add_while_others_look(predictor: Predictor, reference: Reference) -> None:
    watch = Watch(reference, Store(LOG), limits=LIMITS)
    rows = predictor.check(rows_like(20, 1))
    answers = predictor.answer(rows)

    def add(name: str) -> None:
        for number in range(20):
            watch.add(rows, answers, [f"{name}-{number}-{row}" for row in range(20)])
            watch.label(f"{name}-{number}-0", 1.0)

    threads = [threading.Thread(target=add, args=(str(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        watch.verdict()
        watch.figures()
    assert (watch.total, len(watch.errors)) == (4 * 20 * 20, 80)
    watch.close()
    store = Store(LOG)
    assert len(store.newest(5000, reference.checkpoint_sha256)) == 4 * 20 * 20
    store.close()


def test_adding_a_batch_is_cheap_and_does_not_wait_for_a_verdict(predictor: Predictor, reference: Reference) -> None:
    watch, held = Watch(reference, Store(LOG), limits=LIMITS), threading.Event()
    assert watch.store
    watch.store.put(lambda _: held.wait(30))
    rows = predictor.check(rows_like(50, 1))
    answers = predictor.answer(rows)
    with watch.looking:  # somebody looks, and the disk does not answer
        started = time.perf_counter()
        watch.add(rows, answers)
        assert time.perf_counter() - started < 1
    held.set()
    watch.close()


def test_the_watch_of_a_run_folder_has_the_limits_of_the_project(trained: Path, workspace: Path) -> None:
    run = workspace / "run"
    run.mkdir()
    (run / "best.pt").write_bytes((trained / "best.pt").read_bytes())
    (workspace / "configs").mkdir()
    (workspace / "configs" / "monitoring.yaml").write_text("window: 150\n")
    predictor = predictor_of(run)
    references.write(predictor, run / "export")
    watch = open_watch(run / "export")
    feed(watch, predictor, rows_like(200, 1), "a")
    assert len(watch.rows) == 150
    watch.close()
    assert (run / "monitor" / "predictions.db").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("window: 3", "window: got 3"),
        ("psi: -1", "psi: got -1"),
        ("cost: {price: 3}", "cost.price: got 3"),
        ("windows: 500", "windows: got 500"),
        ("[", "want YAML"),
    ],
)
def test_limits_that_make_no_sense_are_refused(text: str, message: str) -> None:
    Path("limits.yaml").write_text(text)
    with pytest.raises(ValueError, match=f"^limits.yaml: {message}"):
        read_limits(Path("limits.yaml"))
    # copier: endfilter
