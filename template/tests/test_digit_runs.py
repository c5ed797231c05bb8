# copier: filter replace("my_project", package_name)
"""The digits are learnt: a run of the default preset, its predictions and its report."""

import json
from pathlib import Path

import pytest

from my_project import run as commands

EXAMPLE = Path(__file__).parents[1] / "examples" / "digit.csv"


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run of the default preset: evaluated, reported, good enough to be worth looking at."""
    out = tmp_path_factory.mktemp("runs") / "classifier"
    done = commands.train(overrides={"train.steps": 200, "train.eval_every": 100, "train.out": str(out)})
    return Path(done["run"])


def test_a_short_run_beats_both_baselines_clearly(classifier: Path) -> None:
    record = json.loads((classifier / "evaluation.json").read_text())
    assert (record["split"], record["primary"]) == ("val", "accuracy")
    assert record["value"] >= max(0.95, *record["baselines"].values())  # 0.95: labels that teach nothing beat nothing
    assert sum(map(sum, record["metrics"]["confusion"])) == record["metrics"]["num_rows"] == 270


def test_predictions_are_probabilities_with_a_label(classifier: Path) -> None:
    (answer,) = commands.predict(classifier, EXAMPLE)
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert answer["label"] == max(answer["probabilities"], key=answer["probabilities"].__getitem__) == "3"


def test_the_report_shows_the_figures_of_a_classifier(classifier: Path) -> None:
    page, record = (classifier / "report.html").read_text(), json.loads((classifier / "evaluation.json").read_text())
    for figure in (record["value"], record["metrics"]["macro_f1"], *record["baselines"].values()):
        assert f"<b>{figure:.4f}</b>" in page
    assert page.count("<figcaption>") == len(record["metrics"]["worst"])
    assert page.count('<svg class="figure"') == 3  # two curves and the calibration


def test_labels_in_a_report_cannot_break_the_page(classifier: Path) -> None:
    record = json.loads((classifier / "evaluation.json").read_text())
    record["metrics"]["per_class"][0]["label"] = "<script>"
    (classifier / "evaluation.json").write_text(json.dumps(record))
    commands.report(classifier)
    assert "<script>" not in (classifier / "report.html").read_text()
    commands.evaluate(classifier)
    commands.report(classifier)
    # copier: endfilter
