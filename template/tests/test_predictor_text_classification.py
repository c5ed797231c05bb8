# copier: filter replace("my_project", package_name)
"""Texts are answered as `predict` answers them, each by itself, and what is no text is refused in one line."""

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

NAMES = presets("text_classification")
FILE = EXAMPLES / "texts.txt"


def rows() -> list[dict[str, Any]]:
    lines = FILE.read_text("utf-8").splitlines()
    return [{"text": text} for text in [*lines, "bird", "qqq zzz", "a bird of prey " * 40]]


def as_predicted(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"label": record["answer"], "probabilities": record["probabilities"]} for record in records]


@pytest.mark.parametrize("preset", NAMES)
def test_answers_are_those_of_predict(preset: str) -> None:
    predictor = untrained(preset)
    assert equal(as_predicted(predictor(rows()[:-3])), predicted(predictor, FILE))


def test_a_run_folder_answers_as_predict_answers() -> None:
    run = trained(NAMES[0])
    assert equal(as_predicted(Predictor.load(run)(rows()[:-3])), commands.predict(run, FILE))


@pytest.mark.parametrize("preset", NAMES)
def test_a_batch_answers_each_row_as_it_is_answered_alone(preset: str) -> None:
    predictor = untrained(preset)  # rows are filled up to one length whatever is beside them
    together = predictor(rows())
    assert equal(together, answers_alone(predictor, rows()))
    assert not equal(together[0], together[-1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "text: got '', want a text with a word in it"),
        (" ... !?", "want a text with a word in it"),
        (7, "text: got 7, want a valid string"),
        (None, "text: got None, want a valid string"),
        ("\ud800 a", "text: "),
        ("a " * 2**16, "at most 65536 characters"),
    ],
)
def test_what_is_no_text_is_refused(text: Any, message: str) -> None:
    assert message in refusal(untrained(NAMES[0]), {"text": text})


def test_words_that_nobody_knows_are_counted() -> None:
    predictor = untrained(NAMES[0])
    features = predictor.answer(predictor.check(rows())).features
    assert features["unknown_words"].tolist()[-3:-1] == [0, 1]
    assert features["words"].tolist()[-3:] == [1, 2, predictor.data.manifest["arrays"]["inputs"]["shape"][0]]
    assert features["rarity"].isnan().tolist() == [False] * (len(rows()) - 2) + [True, False]
    # copier: endfilter
