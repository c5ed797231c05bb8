# copier: filter replace("my_project", package_name)
"""Classes are drawn as `predict` draws them, each row by its own seed whatever is beside it."""

from pathlib import Path
from typing import Any

import pytest

from my_project import run as commands
from my_project.serving.predictor import Predictor

from .predictors import EXAMPLES, answers_alone, equal, presets, refusal, trained, untrained

NAMES = presets("diffusion")
LABELS = (EXAMPLES / "classes.csv").read_text("utf-8").strip().split(",")


def test_a_run_folder_draws_what_predict_draws_of_each_class_alone(workspace: Path) -> None:
    run = trained(NAMES[0])
    records = Predictor.load(run)([{"label": label} for label in LABELS])
    for record, label in zip(records, LABELS, strict=True):  # in a file of several each would have noise of its own
        (workspace / "class.csv").write_text(label)
        (wanted,) = commands.predict(run, workspace / "class.csv")
        assert (record["label"], record["answer"]) == (wanted["class"], wanted["pixels"])
    assert records[0]["answer"] == records[1]["answer"] != records[2]["answer"]
    assert (records[0]["confidence"], records[0]["uncertainty"]) == (None, None)


@pytest.mark.parametrize("preset", NAMES)
def test_each_row_of_a_batch_has_its_own_seed(preset: str) -> None:
    predictor = untrained(preset)
    rows = [{"label": "7", "seed": 1}, {"label": "7", "seed": 2}, {"label": "7", "seed": 1}]
    together = predictor(rows)
    assert equal(together, answers_alone(predictor, rows))
    assert together[0] == together[2]
    assert together[0]["answer"] != together[1]["answer"]
    assert predictor.answer(predictor.check(rows)).features["label"].tolist() == [7, 7, 7]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"label": "10"}, "label: got '10', want '0', '1'"),
        ({"label": 7}, "label: got 7, want '0', '1'"),
        ({"label": "7", "seed": 1.5}, "seed: got 1.5, want a valid integer"),
        ({"seed": 1}, "label: Field required"),
    ],
)
def test_what_cannot_be_drawn_is_refused(row: dict[str, Any], message: str) -> None:
    assert message in refusal(untrained(NAMES[0]), row)
    # copier: endfilter
