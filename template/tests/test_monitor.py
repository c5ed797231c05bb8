# copier: filter replace("my_project", package_name)
"""The command `monitor`: its verdict, its exit status, fresh labels, and the decision whether to train anew."""

import json
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from my_project.__main__ import main
from my_project.serving import decision, watch
from my_project.serving import reference as references
from my_project.serving.monitoring import Cost, Limits, read_limits
from my_project.serving.predictor import Predictor
from my_project.serving.store import Store

from .watched_sample import predictor_of, rows_like

CONFIGS = Path(__file__).parents[1] / "configs"
RUN = Path("run")


@pytest.fixture
def run(trained: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run that was exported, as far as monitoring needs that."""
    RUN.mkdir()
    for name in ("best.pt", "manifest.json", "evaluation.json"):
        (RUN / name).write_bytes((trained / name).read_bytes())
    monkeypatch.setattr(Predictor, "load", predictor_of)
    references.write(predictor_of(RUN), RUN / "export")
    return str(RUN)


def serve(size: int, seed: int, *, shift: float = 0.0) -> list[dict[str, list[float]]]:
    """Answer rows as the service would, with the ids seed-0, seed-1 and so on."""
    predictor, watching, rows = predictor_of(RUN), watch.open_watch(RUN / "export"), rows_like(size, seed, shift=shift)
    checked = predictor.check(rows)
    watching.add(checked, predictor.answer(checked), [f"{seed}-{number}" for number in range(size)])
    watching.close()
    return rows


def label(rows: list[dict[str, list[float]]], seed: int, *, wrong: float = 0.0) -> str:
    lines = [f"{seed}-{n},{np.linalg.norm(row['vector']) + wrong}" for n, row in enumerate(rows)]
    Path("labels.csv").write_text("\n".join(["id,target", *lines]))
    return "labels.csv"


def told(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> dict[str, Any]:
    if status:
        with pytest.raises(SystemExit) as ended:
            main(["monitor", *words])
        assert ended.value.code == status
    else:
        assert main(["monitor", *words]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_service_that_sees_what_it_knows_gives_status_0(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    serve(500, 1)
    found = told(capsys, run)
    assert (found["alert"], found["rows"], found["findings"]) == (False, 500, [])
    verdict = json.loads((RUN / "monitor" / "verdict.json").read_text())
    assert verdict["figures"]["input second"]["quantiles"]["0.5"] == pytest.approx(0, abs=0.2)
    assert verdict["figures"]["confidence"]["mean"] > 0


def test_a_shift_gives_status_1_and_a_line_that_names_it(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    serve(500, 1)
    serve(500, 2, shift=0.5)
    with pytest.raises(SystemExit) as ended:
        main(["monitor", run])
    said = capsys.readouterr()
    assert ended.value.code == 1
    assert "drift: input second: on average 0." in said.err
    assert json.loads(said.out)["alert"]
    assert json.loads((RUN / "monitor" / "verdict.json").read_text())["alert"]


def test_the_window_can_be_named(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    serve(300, 1, shift=2)
    serve(200, 2)
    assert told(capsys, run, "--window", "200")["rows"] == 200
    assert told(capsys, run, "--window", "500", status=1)["rows"] == 500


def test_a_log_elsewhere_can_be_named(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    serve(200, 1)
    (RUN / "monitor" / "predictions.db").rename("other.db")
    assert told(capsys, run, "--store", "sqlite:///other.db")["rows"] == 200


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv"])
@pytest.mark.parametrize(("shift", "status"), [(0.0, 0), (1.0, 1)])
def test_a_file_of_rows_is_looked_at_without_a_service(
    name: str, shift: float, status: int, run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = rows_like(300, 1, shift=shift)
    lines = [json.dumps(row) if name.endswith("l") else ",".join(map(str, row["vector"])) for row in rows]
    Path(name).write_text("\n".join(lines) + "\n")
    found = told(capsys, run, "--rows", name, status=status)
    assert (found["source"], found["rows"]) == (name, 300)


def test_a_sorted_file_is_no_drift(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = sorted(rows_like(300, 1), key=lambda row: row["vector"])
    Path("rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert not told(capsys, run, "--rows", "rows.jsonl")["alert"]


def test_fresh_labels_that_agree_leave_the_model_in_place(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, run, "--labels", label(serve(150, 1), 1))["decision"]
    assert (found["retrain"], found["reasons"]) == (False, ["nothing asks for it"])
    fresh = found["fresh_labels"]
    assert (fresh["primary"], fresh["rows"]) == ("mae", 150)
    assert fresh["low"] < fresh["value"] < fresh["high"]
    assert json.loads((RUN / "monitor" / "decision.json").read_text())["fresh_labels"] == fresh


def test_labels_that_come_late_are_kept_and_so_is_what_is_older(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = serve(150, 1)
    with closing(sqlite3.connect(RUN / "monitor/predictions.db")) as log, log:
        log.execute("UPDATE predictions SET time = time - 60 * 86400")
    assert told(capsys, run, "--labels", label(rows, 1))["labelled"] == 150


def test_labels_that_cannot_be_written_end_with_status_4(
    run: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["monitor", run, "--labels", label(serve(150, 1), 1)]

    def fail(*_: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(Store, "write", fail)
    assert main(words) == 4
    assert "not all could be written to the log" in capsys.readouterr().err.splitlines()[-1]


def test_fresh_labels_that_show_worse_answers_ask_for_training(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, run, "--labels", label(serve(150, 1), 1, wrong=3), status=1)
    assert found["decision"]["retrain"]
    assert found["decision"]["reasons"][0].startswith("its answers have become worse: the median error of 150 is")


def test_a_drift_that_labels_show_to_be_harmless_is_a_note(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    verdict = {"alert": True, "findings": ["input x: moved"], "labelled": 100, "figures": {}}
    some = references.read(Path(run) / "export")
    found = decision.decide(RUN, verdict, decision.Labels(None, 100), some, Limits())
    assert (found["retrain"], found["notes"]) == (
        False,
        ["drifted, but its answers are as good as they were: input x: moved"],
    )
    found = decision.decide(RUN, verdict, decision.Labels(None, 0), some, Limits())  # all of them are of older rows
    assert found["retrain"]
    assert not capsys.readouterr().out


def test_an_old_model_is_trained_anew_whatever_is_found(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    serve(200, 1)
    manifest = json.loads((RUN / "manifest.json").read_text())
    manifest["written"] = (datetime.now(UTC) - timedelta(days=100)).isoformat()
    (RUN / "manifest.json").write_text(json.dumps(manifest))
    found = told(capsys, run)["decision"]
    assert (found["retrain"], found["cadence_days"]) == (True, 90)
    assert found["reasons"] == ["it was trained 100 days ago, and 90 are the cadence"]


def test_classes_have_an_accuracy_with_wilsons_interval() -> None:
    found = decision.measure(np.r_[np.ones(10), np.zeros(90)], "error")
    assert (found["primary"], found["value"]) == ("accuracy", 0.9)
    assert (found["low"], found["high"]) == pytest.approx((0.8256, 0.9448), abs=1e-4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rows", "none.csv"], "--rows: none.csv is not there"),
        (["--rows", "rows.jsonl", "--window", "200"], "--rows goes without"),
        (["--window", "7"], "--window: got 7, want 100 or more"),
        (["--labels", "none.csv"], "--labels: none.csv: want a .csv"),
        (["--labels", "bad.csv"], "--labels: bad.csv, row 1: want a .csv"),
        (["--labels", "bad.jsonl"], "--labels: bad.jsonl, row 2: "),
        (["--labels", "blank.csv"], "--labels: blank.csv, row 2: want a .csv"),
        (["--labels", "list.jsonl"], "none of these ids has an answer in the log"),
        (["--limits", "small.yaml"], "small.yaml: window: got 80, want minimum (100) or more"),
        (["--labels", "other.csv"], "none of these ids has an answer in the log"),
        (["--rows", "bad.jsonl"], "--rows: bad.jsonl: want lines of JSON, or a CSV"),
        (["--store", "nonsense"], "--store: "),
        (["--limits", "none.yaml"], "--limits: none.yaml is not there"),
        ([], "there is no prediction of this checkpoint in the log"),
    ],
)
def test_wrong_words_are_refused_in_one_line(
    words: list[str], message: str, run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("rows.jsonl").write_text("{}\n")
    Path("bad.csv").write_text("name,target\n1,2\n")
    Path("bad.jsonl").write_text('{"id": "1", "target": 2}\n{"id"\n')
    Path("other.csv").write_text("id,target\nnobody,2\n")
    Path("blank.csv").write_text("id,target\n1,2\n2,\n")
    Path("list.jsonl").write_text('{"id": [1], "target": 2}\n')
    Path("small.yaml").write_text("window: 80\n")
    assert main(["monitor", run, *words]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_a_run_without_a_reference_is_refused(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    (RUN / "export" / "reference.json").unlink()
    assert main(["monitor", run]) == 2
    assert "make one: export run" in capsys.readouterr().err


def test_the_file_of_limits_says_the_defaults() -> None:
    assert read_limits(CONFIGS / "monitoring.yaml") == Limits()
    given = yaml.safe_load((CONFIGS / "monitoring.yaml").read_text("utf-8"))
    assert given.keys() == vars(Limits()).keys()


def test_costs_are_what_the_formula_says() -> None:
    cost = Cost(requests_per_second=130, capacity=100, utilisation=0.6, price_per_hour=0.05)
    assert cost.estimate() == {"replicas": 3, "cost_per_month": 109.5}
    assert Cost().estimate() == {"replicas": 1, "cost_per_month": 0.0}


def test_alert_rules_name_figures_that_the_watch_has(run: str) -> None:
    rules = [
        rule
        for group in yaml.safe_load((CONFIGS.parent / "deploy/alerts.yaml").read_text("utf-8"))["groups"]
        for rule in group["rules"]
    ]
    assert all(rule["expr"] and rule["annotations"]["summary"] and rule["labels"]["severity"] for rule in rules)
    watching = watch.open_watch(Path(run) / "export")
    watching.errors.extend([1.0] * 50)
    figures = watching.verdict()["figures"]
    watching.close()
    named = [re.findall(r'feature="([^"]+)", figure="([^"]+)"', rule["expr"]) for rule in rules]
    assert [figures[feature][figure] for pairs in named for feature, figure in pairs] == [True, 0]
    # copier: endfilter
