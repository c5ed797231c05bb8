# copier: filter replace("my_project", package_name)
"""A classifier of rows beats a fair linear one, and its report writes out the rows that it got wrong."""

import json
from pathlib import Path

import pytest
import torch

from my_project import run as commands
from my_project.data.columns import Table
from my_project.data.labelled_table import LabelledTableConfig
from my_project.evaluation import tabular_classification

EXAMPLE = Path(__file__).parents[1] / "examples" / "jobs.csv"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run: evaluated, reported, good enough to be worth looking at."""
    options = {"train.steps": 300, "train.eval_every": 100, "train.out": str(tmp_path_factory.mktemp("runs") / "run")}
    return Path(commands.train("table", options)["run"])


def test_the_linear_baseline_does_not_depend_on_the_unit_of_a_column() -> None:
    draw = torch.Generator().manual_seed(0)
    values = torch.randn(200, 2, generator=draw)
    targets, columns = (values.sum(1) > 0).long(), [{"name": "a"}, {"name": "b"}]
    found = [
        tabular_classification.baselines(rows, rows, LabelledTableConfig())
        for rows in (Table(values * torch.tensor([1.0, scale]), targets, columns) for scale in (1, 1e6))
    ]
    assert found[0]["linear"] > 0.95
    assert found[1] == pytest.approx(found[0], abs=0.01)


def test_a_short_run_beats_both_baselines_clearly(trained: Path) -> None:
    record = json.loads((trained / "evaluation.json").read_text())
    assert (record["split"], record["primary"], record["higher_is_better"]) == ("val", "accuracy", True)
    assert record["value"] > record["baselines"]["linear"] + 0.02 > record["baselines"]["majority"] + 0.2
    assert [row["rows"] for row in record["metrics"]["per_class"]] == [335, 198, 78, 39]


def test_predictions_are_probabilities_with_a_label(trained: Path) -> None:
    found = commands.predict(trained, EXAMPLE)
    assert len(found) == 3
    for row in found:
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert row["label"] == max(row["probabilities"], key=row["probabilities"].__getitem__)


def test_the_report_writes_out_the_rows_of_the_worst_errors_once(trained: Path) -> None:
    page, record = (trained / "report.html").read_text(), json.loads((trained / "evaluation.json").read_text())
    rows, worst = LabelledTableConfig().build("val"), record["metrics"]["worst"]
    assert page.count("<h2>Worst errors</h2>") == page.count("<th>num_pending</th>") == 1
    for error, row in zip(worst, rows.rows([error["row"] for error in worst]), strict=True):
        assert f"<td>{error['label']}</td><td>{error['answer']}</td>" in page
        assert f"<td>{row['protocol']}</td>" in page
    assert "<h2>Confusion matrix</h2>" in page
    # copier: endfilter
