"""A rendered project of every family trains to better than its baselines, with the network blocked."""

from __future__ import annotations

import json

import pytest

from tests import answers
from tests.harness import Sample, Warm

LEAST = {  # that the primary figure has to reach on the validation split; an error must not be above it
    "classification-image": 0.97,
    "classification-tabular": 0.79,
    "regression": 7.2,  # MPa
    "embedding-search": 0.57,
    "embedding-recommendation": 0.55,
    "embedding-multimodal": 0.98,
    "forecasting": 0.40,  # MASE
    "generation": 2.25,  # bits per byte
    "reasoning": 0.70,  # of the puzzles
    "classification-text": 0.82,
    "classification-multimodal": 0.85,
}
EACH = answers.one_of_each_family()
MOST_BITS = 3.8  # per byte, of the smallest model that thinks and remembers; guessing by frequency takes 4.4


@pytest.mark.parametrize("project", EACH.values(), ids=EACH, indirect=True)
def test_it_trains_and_beats_its_baselines(project: Sample, warm: Warm) -> None:
    result = warm.run(project.folder, project.package, "train")
    assert result.status == 0, result.output
    runs = list((project.folder / "runs").iterdir())
    assert [run.name.rpartition("-")[2] for run in runs] == ["1"]
    evaluation = json.loads((runs[0] / "evaluation.json").read_text(encoding="utf-8"))
    assert evaluation["split"] == "val"
    sign = 1 if evaluation["higher_is_better"] else -1
    assert all(sign * evaluation["value"] > sign * value for value in evaluation["baselines"].values())
    assert sign * evaluation["value"] >= sign * LEAST[project.family]
    assert (runs[0] / "report.html").stat().st_size > 0
    assert "report.html" in result.output


@pytest.mark.parametrize("project", [answers.having("generation", "trm_titans_mag")], indirect=True)
def test_the_full_model_trains_as_well(project: Sample, warm: Warm) -> None:
    result = warm.run(project.folder, project.package, "train", "tiny")
    assert result.status == 0, result.output
    (run,) = (project.folder / "runs").glob("tiny-*")
    evaluation = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
    assert evaluation["value"] < min(MOST_BITS, evaluation["baselines"]["unigram"])
