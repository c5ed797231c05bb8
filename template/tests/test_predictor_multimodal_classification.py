# copier: filter replace("my_project", package_name)
"""Images with captions are answered as `predict` answers them, each by itself, and wrong rows are refused."""

import csv
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

NAMES = presets("multimodal_classification")
FILE = EXAMPLES / "captioned_digits.csv"


def rows() -> list[dict[str, Any]]:
    with FILE.open(newline="", encoding="utf-8") as file:
        lines = [*csv.reader(file)]
    images = [np.array(pixels, np.float32).reshape(8, 8).tolist() for _, *pixels in lines]
    return [{"pixels": image, "text": text} for image, (text, *_) in zip(images, lines, strict=True)]


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
    given = [*rows(), {**rows()[0], "text": ""}]
    together = predictor(given)
    assert equal(together, answers_alone(predictor, given))
    assert not equal(together[0], together[-1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pixels": [[0] * 8]}, "pixels: List should have at least 8 items"),
        ({"pixels": [[0.0] * 7 + [16.5]] * 8}, "pixels.0.7: got 16.5, want less than or equal to 16"),
        ({"text": None}, "text: got None, want a valid string"),
        ({"caption": ""}, "caption: Extra inputs are not permitted"),
    ],
)
def test_a_side_of_another_form_is_refused(changes: dict[str, Any], message: str) -> None:
    assert message in refusal(untrained(NAMES[0]), {**rows()[0], **changes})


def test_both_sides_are_watched() -> None:
    predictor = untrained(NAMES[0])
    features = predictor.answer(predictor.check(rows())).features
    assert {"ink", "pixel 63", "words", "unknown_words"} <= features.keys()
    assert features["words"].tolist() == [len(row["text"].split()) for row in rows()]
    # copier: endfilter
