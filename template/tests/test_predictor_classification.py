# copier: filter replace("my_project", package_name)
"""Rows of images are answered as `predict` answers them, each by itself, and wrong ones are refused in one line."""

import math
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

NAMES = presets("classification")
FILE = EXAMPLES / "digit.csv"


def rows() -> list[dict[str, Any]]:
    image = np.loadtxt(FILE, delimiter=",").reshape(-1, 8, 8)
    return [{"pixels": pixels.tolist()} for pixels in (*image, *image.transpose(0, 2, 1), *image * 0)]


def as_predicted(record: dict[str, Any]) -> dict[str, Any]:
    return {"label": record["answer"], "probabilities": record["probabilities"]}


@pytest.mark.parametrize("preset", NAMES)
def test_answers_are_those_of_predict(preset: str) -> None:
    predictor = untrained(preset)
    assert equal([as_predicted(record) for record in predictor(rows()[:1])], predicted(predictor, FILE))


def test_a_run_folder_answers_as_predict_answers() -> None:
    run = trained(NAMES[0])
    assert equal([as_predicted(record) for record in Predictor.load(run)(rows()[:1])], commands.predict(run, FILE))


@pytest.mark.parametrize("preset", NAMES)
def test_a_batch_answers_each_row_as_it_is_answered_alone(preset: str) -> None:
    predictor = untrained(preset)
    together = predictor(rows())
    assert equal(together, answers_alone(predictor, rows()))
    assert not equal(together[0], together[1])


def test_the_uncertainty_is_the_entropy_of_the_probabilities() -> None:
    (record,) = untrained(NAMES[0])(rows()[:1])
    shares = record["probabilities"].values()
    assert record["uncertainty"] == pytest.approx(-sum(p * math.log(p) for p in shares) / math.log(len(shares)))
    assert record["confidence"] == max(shares)
    assert sum(shares) == pytest.approx(1)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        ([[0] * 8] * 7, "pixels: List should have at least 8 items"),
        ([[0] * 8] * 7 + [[0] * 9], "pixels.7: List should have at most 8 items"),
        ([[0] * 8] * 7 + [[0] * 7 + [17]], "pixels.7.7: got 17, want less than or equal to 16"),
        ([[0] * 8] * 7 + [[0] * 7 + [-1]], "pixels.7.7: got -1, want greater than or equal to 0"),
        ([[math.nan] * 8] * 8, "pixels.0.0: got nan, want a finite number"),
        ([["7"] * 8] * 8, "pixels.0.0: got '7', want a valid number"),
        ([[True] * 8] * 8, "pixels.0.0: got True, want a valid number"),
        ("0" * 64, "pixels: got '000"),
        (None, "pixels: got None, want a valid list"),
    ],
)
def test_an_image_of_another_form_is_refused(pixels: Any, message: str) -> None:
    assert message in refusal(untrained(NAMES[0]), {"pixels": pixels})


@pytest.mark.parametrize(
    ("row", "message"), [({}, "pixels: Field required"), ({"pixels": [], "more": 1}, "List should"), ([], "dictionary")]
)
def test_a_row_of_another_form_is_refused(row: Any, message: str) -> None:
    assert message in refusal(untrained(NAMES[0]), row)


def test_what_is_watched_of_an_image_is_its_ink_and_each_pixel() -> None:
    predictor = untrained(NAMES[0])
    answers = predictor.answer(predictor.check(rows()))
    assert answers.features["ink"].tolist()[-1] == 0
    assert len(answers.features) == 65
    whole = np.array(rows()[1]["pixels"]).flatten() / 16
    np.testing.assert_allclose([float(answers.features[f"pixel {n}"][1]) for n in range(64)], whole)
    assert answers.embeddings.shape[0] == len(rows())


def test_a_file_that_is_not_there_is_no_run(workspace: Path) -> None:
    with pytest.raises(ValueError, match="nothing is not a run folder"):
        Predictor.load(workspace / "nothing")
    # copier: endfilter
