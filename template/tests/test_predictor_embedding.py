# copier: filter replace("my_project", package_name)
"""Queries find what `predict` finds, each by itself, and what nothing can be looked for by is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from my_project import run as commands
from my_project.serving.predictor import Predictor

from .predictors import (
    EXAMPLES,
    Record,
    answers_alone,
    equal,
    predicted,
    presets,
    refusal,
    trained,
    untrained,
)

NAMES = presets("embedding")
FILES = {"families": "queries.txt", "digit_names": "names.txt", "interactions": "airports.txt"}
STRANGE = {"families": " ... ", "digit_names": "bird", "interactions": "nowhere"}


def file_of(preset: str) -> Path:
    return EXAMPLES / FILES[untrained(preset).config.data.kind]


def rows(preset: str) -> list[Record]:
    return [{"query": line} for line in file_of(preset).read_text("utf-8").splitlines()]


def as_predicted(records: list[Record], asked: list[Record]) -> list[Record]:
    pairs = zip(records, asked, strict=True)
    return [{"query": row["query"], "answers": record["answers"]} for record, row in pairs]


@pytest.mark.parametrize("preset", NAMES)
def test_answers_are_those_of_predict(preset: str) -> None:
    predictor, asked = untrained(preset), rows(preset)
    assert equal(as_predicted(predictor(asked), asked), predicted(predictor, file_of(preset)))


@pytest.mark.parametrize("preset", NAMES)
def test_a_run_folder_answers_as_predict_answers(preset: str) -> None:
    run, asked = trained(preset), rows(preset)
    predictor = Predictor.load(run)
    assert equal(as_predicted(predictor(asked), asked), commands.predict(run, file_of(preset)))
    assert {path.name for path in predictor.files()} > {"manifest.json"}


@pytest.mark.parametrize("preset", NAMES)
def test_a_batch_answers_each_row_as_it_is_answered_alone(preset: str) -> None:
    predictor = untrained(preset)
    together = predictor(rows(preset))
    assert equal(together, answers_alone(predictor, rows(preset)))
    assert not equal(together[0]["answers"], together[1]["answers"])
    answers = predictor.answer(predictor.check(rows(preset)))
    assert (answers.embeddings.ndim, len(answers.embeddings)) == (2, len(together))
    assert answers.embeddings.any(1).all()


@pytest.mark.parametrize("preset", NAMES)
def test_the_uncertainty_falls_with_the_margin_of_the_first_over_the_second(preset: str) -> None:
    for record in untrained(preset)(rows(preset)):
        first, second = (answer["score"] for answer in record["answers"][:2])
        assert record["answer"] == record["answers"][0]["answer"]
        assert record["uncertainty"] == pytest.approx(1 / (1 + first - second))
        assert record["confidence"] is None


@pytest.mark.parametrize("preset", NAMES)
def test_what_nothing_can_be_looked_for_by_is_refused(preset: str) -> None:
    predictor = untrained(preset)
    strange = STRANGE[predictor.config.data.kind]
    assert f"query: got {strange!r}, want a " in refusal(predictor, {"query": strange})
    assert "query: got 7, want a valid string" in refusal(predictor, {"query": 7})
    assert "want" in refusal(predictor, {}) or "required" in refusal(predictor, {})


@pytest.mark.parametrize("preset", presets("embedding", kind="digit_names"))
def test_an_image_looks_for_names_beside_names_that_look_for_images(preset: str, workspace: Path) -> None:
    predictor = untrained(preset)
    pixels = predictor.config.data.build("val").images[:2] * 16
    np.save(workspace / "images.npy", pixels.numpy())
    wanted = predicted(predictor, workspace / "images.npy")
    asked: list[Any] = [{"pixels": image} for image in pixels.tolist()]
    mixed = [asked[0], {"query": "seven"}, asked[1]]
    found = predictor(mixed)
    assert equal([record["answers"] for record in (found[0], found[2])], [each["answers"] for each in wanted])
    assert equal(found, answers_alone(predictor, mixed))
    assert "want query or pixels, one of them" in refusal(predictor, {**asked[0], "query": "seven"})
    assert "pixels.0.0: got 17" in refusal(predictor, {"pixels": [[17] * 8] * 8})
    # copier: endfilter
