# copier: filter replace("my_project", package_name)
"""The gate says what is missed, the test split opens once, the report is one file that shows the figures."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from my_project import run as commands
from my_project.__main__ import main
from my_project.evaluation.report import EvaluationConfig


@pytest.mark.parametrize(
    ("values", "failures"),
    [
        ({}, 0),
        ({"value": 0.5}, 2),
        ({"gap": 0.2}, 1),
        ({"baselines": {"linear": 0.99}}, 1),
    ],
)
def test_the_gate_names_each_demand_that_is_missed(values: dict[str, Any], failures: int) -> None:
    figures = {"primary": "accuracy", "value": 0.9, "gap": 0.01, "higher_is_better": True}
    record = {**figures, "baselines": {"majority": 0.1, "linear": 0.8}, **values}
    assert len(EvaluationConfig(target=0.85).failures(record)) == failures


def test_where_lower_is_better_a_gate_looks_downwards() -> None:
    figures = {"primary": "rmse", "value": 2.0, "gap": 0.01, "higher_is_better": False, "baselines": {"mean": 3.0}}
    assert EvaluationConfig().failures(figures) == []
    assert EvaluationConfig(target=0.0).failures(figures) == [
        "rmse 2.0000 misses the target 0.0; train longer or otherwise"
    ]
    assert EvaluationConfig(target=2.5).failures({**figures, "value": 3.5}) == [
        "rmse 3.5000 misses the target 2.5; train longer or otherwise",
        "rmse 3.5000 does not beat the mean baseline 3.0000; tune it",
    ]


def test_the_test_split_opens_once_for_each_checkpoint(trained: Path, workspace: Path) -> None:
    checkpoint, run = (trained / "best.pt").read_bytes(), workspace / "run"
    run.mkdir()
    (run / "best.pt").write_bytes(checkpoint)
    with pytest.raises(ValueError, match="sealed"):
        commands.evaluate(run, split="test")
    with pytest.raises(ValueError, match="sealed"):
        commands.evaluate(run, final=True)
    assert commands.evaluate(run, split="test", final=True)["split"] == "test"
    receipt = (run / "final.json").read_text()
    with pytest.raises(ValueError, match="opened for it already"):
        commands.evaluate(run, split="test", final=True)
    assert (run / "final.json").read_text() == receipt
    (run / "best.pt").write_bytes((trained / "previous.pt").read_bytes())
    commands.evaluate(run, split="test", final=True)
    (run / "best.pt").write_bytes(checkpoint)
    with pytest.raises(ValueError, match="opened for it already"):
        commands.evaluate(run, split="test", final=True)


def test_a_copied_or_renamed_run_stays_sealed_and_other_names_of_a_checkpoint_do_not_open_it(
    trained: Path, workspace: Path
) -> None:
    shutil.copytree(trained, workspace / "run")
    commands.evaluate(workspace / "run", split="test", final=True)
    shutil.copytree(workspace / "run", workspace / "copy")
    (workspace / "run").rename(workspace / "renamed")
    (workspace / "copy" / "mine.pt").write_bytes((workspace / "copy" / "best.pt").read_bytes())
    for name in ("copy", "renamed", "copy/best.pt", "copy/mine.pt"):
        with pytest.raises(ValueError, match="opened for it already"):
            commands.evaluate(workspace / name, split="test", final=True)


@pytest.mark.parametrize(
    "content", ["", "{", "{}", "[]", "null", '{"earlier": 3}', '{"checkpoint_sha256": "a", "earlier": [{}]}']
)
def test_a_damaged_receipt_keeps_the_test_split_closed(
    content: str, trained: Path, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workspace / "best.pt").write_bytes((trained / "best.pt").read_bytes())
    (workspace / "final.json").write_text(content)
    assert main(["evaluate", ".", "--split", "test", "--final"]) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert "final.json is damaged" in line
    assert "stays closed" in line
    assert (workspace / "final.json").read_text() == content


def test_the_training_split_is_measured_when_asked_for_and_its_record_stands_apart(
    trained: Path, workspace: Path
) -> None:
    shutil.copytree(trained, workspace / "run")
    assert unchanged(workspace / "run" / "evaluation.json", lambda: main(["evaluate", "run", "--split", "train"]))
    record = json.loads((workspace / "run" / "evaluation_train.json").read_text())
    assert (record["split"], record["gap"], record["metrics"]["num_rows"]) == ("train", 0, 320)
    with pytest.raises(ValueError, match="sealed"):
        commands.evaluate(workspace / "run", split="train", final=True)


def test_an_evaluation_says_what_was_measured_and_beside_what(trained: Path) -> None:
    record = json.loads((trained / "evaluation.json").read_text())
    assert record.keys() >= {"split", "primary", "value", "higher_is_better", "baselines", "metrics"}
    assert (record["split"], record["primary"], record["higher_is_better"]) == ("val", "error", False)
    assert record["value"] == record["metrics"]["error"] < min(record["baselines"].values()) / 2
    assert record["gap"] == pytest.approx(record["value"] - record["train_value"])


def test_answers_are_those_of_the_task(trained: Path, workspace: Path) -> None:
    (workspace / "vectors.csv").write_text("1.5,0,2,0\n0,0,0,1\n")
    first, second = commands.predict(trained, workspace / "vectors.csv")
    assert first["length"] == pytest.approx(2.5, abs=0.5)
    assert second["length"] == pytest.approx(1, abs=0.5)


def test_the_report_is_one_file_with_the_figures_of_the_evaluation(trained: Path) -> None:
    page, record = (trained / "report.html").read_text(), json.loads((trained / "evaluation.json").read_text())
    for figure in (record["value"], *record["baselines"].values()):
        assert f"<b>{figure:.4f}</b>" in page
    assert page.count('<svg class="figure"') == 2  # a curve of the loss and one of the error
    assert page.count("<h2>Worst errors</h2>") == 1  # of the task's own page
    assert not re.findall(r"""(?:src|href)=["'](?!#)""", page)
    assert "[[" not in page


def test_a_report_is_made_from_what_lies_in_the_run_folder(trained: Path) -> None:
    before = (trained / "report.html").read_text()
    assert commands.report(trained) == str(trained / "report.html")
    assert (trained / "report.html").read_text() == before


def test_names_in_a_report_cannot_break_the_page(trained: Path) -> None:
    record = json.loads((trained / "evaluation.json").read_text())
    record["baselines"]["<script>"] = 1.0
    (trained / "evaluation.json").write_text(json.dumps(record))
    commands.report(trained)
    page = (trained / "report.html").read_text()
    assert "&lt;script&gt; baseline" in page
    assert "<script>" not in page
    commands.evaluate(trained)
    commands.report(trained)


def unchanged(path: Path, act: Callable[[], object]) -> bool:
    before = path.read_bytes()
    act()
    return path.read_bytes() == before


def test_a_gate_that_fails_ends_with_status_one_after_writing_everything(
    trained: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert unchanged(trained / "best.pt", lambda: commands.evaluate(trained, gate=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EvaluationConfig, "failures", lambda *_: ["too low", "too far"])
        with pytest.raises(SystemExit) as failed:
            commands.evaluate(trained, gate=True)
    assert failed.value.code == 1
    assert caplog.messages[-1] == "gate: too low\ngate: too far"
    # copier: endfilter
