# copier: filter replace("my_project", package_name)
"""Rows of a table get a number as `predict` gives it, each by itself, and wrong ones are refused in one line."""

import csv
from typing import Any

import pytest
import torch

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

NAMES = presets("regression")
FILE = EXAMPLES / "concrete.csv"


def rows() -> list[dict[str, Any]]:
    with FILE.open(newline="", encoding="utf-8") as file:
        return [{name: float(cell) for name, cell in line.items()} for line in csv.DictReader(file)]


def as_predicted(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = ("low", "answer", "high")
    return [{name: record[name] for name in names if record[name] is not None} for record in records]


@pytest.mark.parametrize("preset", NAMES)
def test_answers_are_those_of_predict(preset: str) -> None:
    predictor = untrained(preset)
    assert equal(as_predicted(predictor(rows())), predicted(predictor, FILE))


def test_a_run_folder_answers_as_predict_answers() -> None:
    run = trained(NAMES[0])
    assert equal(as_predicted(Predictor.load(run)(rows())), commands.predict(run, FILE))


@pytest.mark.parametrize("preset", NAMES)
def test_a_batch_answers_each_row_as_it_is_answered_alone(preset: str) -> None:
    predictor = untrained(preset)
    together = predictor(rows())
    assert equal(together, answers_alone(predictor, rows()))
    assert not equal(together[0], together[1])


@pytest.mark.parametrize("preset", NAMES)
def test_the_uncertainty_is_half_the_interval_and_none_without_one(preset: str) -> None:
    for record in untrained(preset)(rows()):
        assert (record["confidence"], record["unit"]) == (None, "MPa")
        if record["low"] is None:
            assert (record["high"], record["uncertainty"]) == (None, None)
        else:
            assert record["uncertainty"] == pytest.approx((record["high"] - record["low"]) / 2)
            assert record["low"] <= record["answer"] <= record["high"]


def test_some_presets_have_an_interval_and_some_have_none() -> None:
    assert {untrained(preset)(rows()[:1])[0]["low"] is None for preset in NAMES} == {True, False}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"age": -1}, "age: got -1, want greater than or equal to 0"),
        ({"water": "much"}, "water: got 'much', want a valid number"),
        ({"water": None}, "water: got None, want a valid number"),
        ({"water": float("nan")}, "water: got nan, want"),
        ({"sand": 1}, "sand: Extra inputs are not permitted"),
    ],
)
def test_a_cell_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    assert message in refusal(untrained(NAMES[0]), {**rows()[0], **changes})


def test_an_answer_that_is_no_number_says_so_and_the_others_are_answered() -> None:
    predictor = untrained("regression")
    network: Any = predictor.model
    with torch.no_grad():  # of this column more than a number can hold
        network.inputs.scale[0] = 1e-3
    first, second = predictor([{**rows()[0], "cement": 3e38}, rows()[1]])
    assert (first["answer"], first["confidence"], first["uncertainty"]) == (None, None, None)
    assert "no finite number" in first["error"]
    assert equal(second, predictor([rows()[1]])[0])
    untrained.cache_clear()
    # copier: endfilter
