# copier: filter replace("my_project", package_name)
"""Rows of a table are classified as `predict` does it, each by itself, and wrong ones are refused in one line."""

import csv
import math
from typing import Any

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

NAMES = presets("tabular_classification")
FILE = EXAMPLES / "jobs.csv"


def rows() -> list[dict[str, Any]]:
    with FILE.open(newline="", encoding="utf-8") as file:
        lines = [*csv.DictReader(file)]
    words = {column["name"] for column in untrained(NAMES[0]).data.manifest["columns"] if "values" in column}
    return [{name: cell if name in words else float(cell) for name, cell in line.items()} for line in lines]


def as_predicted(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"label": record["answer"], "probabilities": record["probabilities"]} for record in records]


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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"day": "Monday"}, "day: got 'Monday', want 'Mon', 'Tue'"),
        ({"day": None}, "day: got None, want 'Mon', 'Tue'"),
        ({"hour": "13"}, "hour: got '13', want a valid number"),
        ({"hour": math.inf}, "hour: got inf, want"),
        ({"hour": 1e39}, "hour: got 1e+39, want less than or equal to 3.4"),
        ({"compounds": -1}, "compounds: got -1, want greater than or equal to 0"),
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
    ],
)
def test_a_cell_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    assert message in refusal(untrained(NAMES[0]), {**rows()[0], **changes})


def test_a_row_that_lacks_a_column_is_refused() -> None:
    assert "protocol: Field required" in refusal(untrained(NAMES[0]), {"hour": 1})


def test_every_column_is_watched_as_the_row_has_it() -> None:
    predictor = untrained(NAMES[0])
    features = predictor.answer(predictor.check(rows())).features
    assert [*features] == [column["name"] for column in predictor.data.manifest["columns"]]
    assert features["day"].tolist() == [3, 2, 4]
    assert features["hour"].tolist() == pytest.approx([row["hour"] for row in rows()])


def test_an_answer_that_is_no_number_says_so_and_the_others_are_answered() -> None:
    predictor = untrained(NAMES[0])
    far = {**rows()[0], "hour": 3e38}
    first, second = predictor([far, rows()[1]])
    if first["answer"] is None:  # not every network leaves what can be counted
        assert "no finite number" in first["error"]
    assert equal(second, predictor([rows()[1]])[0])
    # copier: endfilter
