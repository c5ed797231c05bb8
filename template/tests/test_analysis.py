# copier: filter replace("my_project", package_name)
"""The report of a run shows its diagnosis, groups, importance and saliency as one page; the gate knows budgets."""

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import torch

from my_project import run as commands
from my_project.__main__ import main
from my_project.evaluation import analysis, budgets, groups

VOID = {"meta", "br", "img", "hr", "input", "link"}


class Strict(HTMLParser):
    """Demands that every tag is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.links, self.words = list[str](), list[str](), list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href"}]

    def handle_endtag(self, tag: str) -> None:
        if tag == "p" and self.open[-1] != "p":
            raise AssertionError(f"p in {self.open} is closed by something else")
        assert self.open.pop() == tag, (tag, self.open, self.getpos())

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def read(page: str) -> str:
    """Return the words of a page that is well formed and complete in itself."""
    parser = Strict()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    assert [link for link in parser.links if not link.startswith("#")] == []
    assert not re.findall(
        r"url\(|@import|<script|https?://(?!www\.w3\.org/)", page.split("<details><summary>data", maxsplit=1)[0]
    )
    return " ".join(parser.words)


@pytest.fixture
def run(trained: Path, workspace: Path) -> Path:
    shutil.copytree(trained, workspace / "run")
    return Path("run")


def test_the_page_is_well_formed_and_has_every_section(run: Path) -> None:
    assert main(["report", str(run)]) == 0
    words = read((run / "report.html").read_text())
    for title in ("Diagnosis", "Gap", "Importance of inputs", "What single answers rest on", "How to repeat it"):
        assert title in words
    assert "train --config run/config.yaml --train.out run-again" in words
    assert "reproduce run" in words


def test_the_figures_lie_beside_the_page_for_programs(run: Path) -> None:
    commands.report(run)
    found = json.loads((run / "analysis.json").read_text())
    record = json.loads((run / "evaluation.json").read_text())
    assert found["checkpoint_sha256"] == record["checkpoint_sha256"]
    assert found["diagnosis"]["gap"]["value"] == record["gap"]
    assert [part["name"] for part in found["importance"]["parts"]] == [f"input {n}" for n in range(4)]
    assert all(part["clear"] and part["drop"] > 0 for part in found["importance"]["parts"]), "a length has four sides"
    assert [one["row"] for one in found["saliency"][:3]] == record["metrics"]["worst"]


def test_the_learning_curves_are_a_picture_that_can_be_saved(run: Path) -> None:
    commands.report(run)
    picture = ET.fromstring((run / "learning_curves.svg").read_text())  # noqa: S314 (our own)
    assert picture.tag.endswith("svg")
    lines = [element for element in picture.iter() if element.tag.endswith("polyline")]
    assert len(lines) == 4
    assert {line.get("class") for line in lines} == {"train", "val"}


def test_what_a_report_says_follows_from_the_run_alone(run: Path) -> None:
    commands.report(run)
    before = (run / "report.html").read_text()
    commands.report(run)
    assert (run / "report.html").read_text() == before


def test_names_in_the_sections_cannot_break_the_page(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = "<b>x</i>&\"'"
    row = {"row": 1, "worst": True, "target": bad, "answer": bad, "words": [{"name": bad, "share": 0.5}]}
    way = {"by": bad, "primary": "error", "gap": 0.5, "few": 2, "groups": {bad: {"rows": 3, "error": 0.5}}}
    monkeypatch.setattr(analysis, "saliency", lambda *_: [row])
    monkeypatch.setattr(analysis, "measure_all", lambda *_: [way])
    commands.report(run)
    page = (run / "report.html").read_text()
    assert read(page).count(bad) >= 4
    assert bad not in page


@pytest.mark.parametrize("shown", ["pixels", "steps", "patch"])
def test_pictures_are_well_formed(shown: str, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = {"pixels": [[0.0, 1.0], [0.5, 0.0]], "steps": [1.0, 2.0, 3.0], "patch": [[1.0]]}[shown]
    shares = {"pixels": [[0.0, -1.0], [0.5, 0.0]], "steps": [0.0, -2.0, 3.0], "patch": [[0.0]]}[shown]
    one = {"row": 1, "worst": False, "steps" if shown == "steps" else "pixels": inputs, "shares": shares}
    part = {"name": "a", "drop": 0.1, "spread": 0.2, "clear": False, "place": (0, 0)}
    found = {"primary": "error", "value": 1.0, "rows": 9, "draws": 5, "by": "patch", "parts": [part]}
    monkeypatch.setattr(analysis, "saliency", lambda *_: [one])
    if shown == "patch":
        monkeypatch.setattr(analysis, "importance", lambda *_: found)
    commands.report(run)
    page = (run / "report.html").read_text()
    read(page)
    assert page.count("aria-label") == (2 if shown == "patch" else 1)


def test_a_section_that_a_model_cannot_bear_is_left_out_and_named(
    run: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("no gradient here")

    monkeypatch.setattr(analysis, "saliency", fail)
    commands.report(run)
    assert "report: saliency is left out (RuntimeError: no gradient here)" in caplog.text
    assert "What single answers rest on" not in read((run / "report.html").read_text())


def test_a_section_that_cannot_be_shown_costs_nothing_but_itself(
    run: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cube = {"row": 1, "worst": False, "pixels": [[[0.5]]], "shares": [[[0.5]]]}
    monkeypatch.setattr(analysis, "saliency", lambda *_: [cube])
    commands.report(run)
    assert "report: saliency is left out (TypeError" in caplog.text
    words = read((run / "report.html").read_text())
    assert "Importance of inputs" in words
    assert "What single answers rest on" not in words
    assert json.loads((run / "analysis.json").read_text())["saliency"] is None


@pytest.mark.parametrize(
    ("words", "more", "given"),
    [
        (["train", "--init-from", "old run"], " --init-from 'old run'", True),
        (["train", "x", "--overfit-batches=1"], " --overfit-batches 1", True),
        (["groups"], "", True),
        (["-f", "kernel-1.json"], "", False),
        ([], "", False),
    ],
)
def test_the_command_that_repeats_a_run_has_what_its_config_does_not_hold(
    words: list[str], more: str, given: bool
) -> None:
    found = analysis.repeat(Path("run"), {"code": {"commit": ""}, "command": ["here", *words]})
    assert (
        f"train --config run/config.yaml --train.out run-again{more}"
        in "\n".join(found["commands"]).replace(f"{analysis.PROGRAM} ", "").splitlines()
    )
    assert bool(found["given"]) == given


def test_changes_that_no_commit_has_are_named(run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    pages = list[str]()
    for changed, diff in ((False, ""), (True, ""), (True, "+ a line")):
        manifest["code"] |= {"commit": "c0ffee", "changed": changed}
        (run / "manifest.json").write_text(json.dumps({**manifest, "command": ["here", "-f", "kernel-1.json"]}))
        (run / "source.diff").write_text(diff)
        commands.report(run)
        pages.append(read((run / "report.html").read_text()))
    assert ["not kept" in page for page in pages] == [False, True, False]
    assert ["run/source.diff" in page for page in pages] == [False, False, True]
    assert not any("kernel-1.json" in page for page in pages)


def test_a_planted_gap_between_groups_is_found(run: Path) -> None:
    config, model, _ = commands.open_run(run)
    data, figures = config.data.build("val"), commands.task(config)
    far = data.inputs[:, 0] > 1
    data.targets = data.targets + 5.0 * far
    found = groups.measure_groups(figures, model, data, np.where(far.numpy(), "far", "near"))
    assert found["groups"]["far"]["rows"] == int(far.sum())
    few = found["groups"]["far"]["rows"] < groups.FEW
    assert found["gap"] == 0 if few else found["gap"] > 3
    names = np.where(far.numpy() | (np.arange(80) < 30), "far", "near")
    found = groups.measure_groups(figures, model, data, names)
    assert groups.ends(found) == ("near", "far")
    assert found["gap"] > 1


def test_rows_that_are_measured_against_one_another_have_no_groups() -> None:
    data, model = SimpleNamespace(searches=list), torch.nn.Identity()
    assert groups.measure_all(None, model, data, None) == []
    with pytest.raises(ValueError, match="against one another"):
        groups.measure_groups(None, model, data, np.zeros(3))


def test_every_way_to_group_that_the_data_offer_is_measured(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"targets": np.arange(40) % 2, "inputs": np.c_[np.arange(40.0), np.arange(40) % 4], "other": np.zeros(7)}
    columns = [{"name": "age"}, {"name": "hand"}]
    monkeypatch.setattr(groups, "read_val", lambda _: known)
    monkeypatch.setattr(groups, "read_manifest", lambda _: {"columns": columns})
    config = SimpleNamespace(root=workspace)
    assert {*groups.ways(config, 40)} == {"targets", "age", "hand"}
    assert groups.ways(SimpleNamespace(root="made"), 40) == {}


def test_slow_ways_to_group_are_left_out_and_named(
    run: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    config, model, _ = commands.open_run(run)
    ways = {"hand": np.arange(80) % 2, "day": np.arange(80) % 3, "age": np.arange(80) % 4}
    monkeypatch.setattr(groups, "ways", lambda *_: ways)
    now = iter(range(0, 1000, 6))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(now)))
    caplog.set_level("INFO")
    found = groups.measure_all(commands.task(config), model, config.data.build("val"), config.data)
    assert {one["by"] for one in found} == {"hand", "day"}
    assert "groups by age are left out" in caplog.text


@pytest.mark.parametrize("name", ["latency_ms", "memory_gb", "parameters", "size_mb"])
def test_the_gate_ends_with_status_1_where_a_budget_is_broken(
    name: str, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", str(run), "--gate"]
    Path("wide.yaml").write_text(f"{name}: 1.0e+12\n")
    monkeypatch.setattr(budgets, "FILE", Path("wide.yaml"))
    assert main(words) == 0
    Path("tight.yaml").write_text(f"{name}: 1.0e-9\n")
    monkeypatch.setattr(budgets, "FILE", Path("tight.yaml"))
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert re.match(rf"gate: {name} is \S+, at most 1e-09; take a smaller model", line)


def test_each_missed_demand_is_a_line_of_its_own(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = torch.load(run / "best.pt", weights_only=True)
    state["config"]["evaluation"] = {"target": 0.0, "max_gap": 0.0}
    torch.save(state, run / "best.pt")
    with pytest.raises(SystemExit):
        main(["evaluate", str(run), "--gate"])
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("gate: ")]
    assert "misses the target 0.0; train longer" in lines[0]
    assert all("; " in line for line in lines)


def test_the_package_opens_where_there_is_no_module_resource() -> None:
    show = "print(b.peak_memory(torch.device('cpu')))"
    code = f"import sys; sys.modules['resource'] = None; import {budgets.__name__} as b, torch; {show}"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.stdout.split() == ["nan"], ended.stderr


def test_the_shipped_budgets_are_those_of_the_docs() -> None:
    shipped = budgets.read_budgets(budgets.FILE)
    assert (shipped.latency_ms, shipped.memory_gb, shipped.size_mb) == (100, 6, 1000)
    # copier: endfilter
