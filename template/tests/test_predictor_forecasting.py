# copier: filter replace("my_project", package_name)
"""Histories are foretold as `predict` does it, each by itself, with the times of what follows."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from my_project import run as commands
from my_project.serving.predictor import Predictor

from .predictors import (
    EXAMPLES,
    answers_alone,
    equal,
    predicted,
    presets,
    refusal,
    trained,
    untrained,
)

NAMES = presets("forecasting")
FILE = EXAMPLES / "series.csv"


def row() -> dict[str, Any]:
    """The file's values on equal steps, null where a week is missing."""
    with FILE.open(newline="", encoding="utf-8") as file:
        _, *lines = csv.reader(file)
    days = np.array([day for day, _ in lines], "datetime64[D]").astype(int)
    places = (days - days[0]) // 7
    history: list[float | None] = [None] * (int(places[-1]) + 1)
    for place, (_, value) in zip(places.tolist(), lines, strict=True):
        history[place] = float(value)
    return {"history": history, "last_time": lines[-1][0]}


def rows() -> list[dict[str, Any]]:
    history = row()["history"]
    gap = [value if place % 5 else None for place, value in enumerate(history[:-1])] + history[-1:]
    return [row(), {"history": gap}, {"history": [value and -value for value in history]}]


def as_predicted(record: dict[str, Any]) -> list[dict[str, Any]]:
    parts = zip(record["times"], record["answer"], record["quantiles"], strict=True)
    return [
        {"time": time, "step": step, "forecast": middle, "quantiles": quantiles}
        for step, (time, middle, quantiles) in enumerate(parts, start=1)
    ]


@pytest.mark.parametrize("preset", NAMES)
def test_answers_are_those_of_predict(preset: str) -> None:
    predictor = untrained(preset)
    assert equal(as_predicted(predictor([row()])[0]), predicted(predictor, FILE))


def test_a_run_folder_answers_as_predict_answers() -> None:
    run = trained(NAMES[0])
    assert equal(as_predicted(Predictor.load(run)([row()])[0]), commands.predict(run, FILE))


@pytest.mark.parametrize("preset", NAMES)
def test_a_batch_answers_each_row_as_it_is_answered_alone(preset: str) -> None:
    predictor = untrained(preset)
    together = predictor(rows())
    assert equal(together, answers_alone(predictor, rows()))
    assert not equal(together[0]["answer"], together[1]["answer"])


def test_a_missing_value_is_read_as_predict_reads_an_empty_line(workspace: Path) -> None:
    predictor, gap = untrained(NAMES[0]), rows()[1]["history"]
    (workspace / "gap.csv").write_text("\n".join("" if value is None else str(value) for value in gap))
    (record,) = predictor([{"history": [None, *gap]}])
    wanted = [step["quantiles"] for step in predicted(predictor, workspace / "gap.csv")]
    assert equal(record["quantiles"], wanted)
    assert not equal(predictor([row()])[0]["quantiles"], wanted)


def test_the_uncertainty_is_the_mean_width_of_the_widest_interval() -> None:
    (record,) = untrained(NAMES[0])([rows()[1]])
    widths = [step["0.95"] - step["0.05"] for step in record["quantiles"]]
    assert record["uncertainty"] == pytest.approx(np.mean(widths), rel=1e-4)
    assert (record["confidence"], record["times"], record["unit"]) == (None, None, "ppmv")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"history": [1.0] * 10}, "history: got 10 steps from the first value on, want 104 or more"),
        ({"history": [None] * 200}, "history: got 0 steps from the first value on"),
        ({"history": [None] * 200 + [1.0] * 103}, "history: got 103 steps"),
        ({"history": [1.0] * 103 + [float("nan")]}, "history.103: got nan, want a finite number"),
        ({"history": [1.0] * 103 + ["x"]}, "history.103: got 'x', want a valid number"),
        ({"history": [1.0] * 103 + [1e40]}, "history.103: got 1e+40, want less than or equal to"),
        ({"last_time": "yesterday"}, "last_time: got 'yesterday', want a time, as in 1970-01-01"),
        ({"last_time": "NaT"}, "last_time: got 'NaT', want a time"),
        ({"last_time": "2001-02-30"}, "last_time: got '2001-02-30', want a time"),
        ({"last_time": "2001-01-01T00:00Z"}, "want a time"),
        ({"last_time": 7}, "last_time: got 7, want a valid string"),
    ],
)
def test_a_history_that_cannot_be_gone_on_from_is_refused(changes: dict[str, Any], message: str) -> None:
    assert message in refusal(untrained(NAMES[0]), {**row(), **changes})


def test_what_is_watched_of_a_history_is_in_its_unit() -> None:
    predictor = untrained(NAMES[0])
    features = predictor.answer(predictor.check(rows())).features
    assert features["last"].tolist()[:2] == pytest.approx([row()["history"][-1]] * 2)
    missing = features["missing"].tolist()
    assert missing[0] < missing[1]
    # copier: endfilter
