# copier: filter replace("my_project", package_name)
"""Runs are compared by what can be claimed of them: seeds of a method as one, checkpoints as checkpoints."""

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from torch import nn

from my_project import config as configs
from my_project import run as commands
from my_project.__main__ import main
from my_project.commands import compare as command
from my_project.evaluation.row_statistics import Scores, score_rows

from .sample import PRESET, Rows, predict

QUICK = {"train.steps": 40, "train.eval_every": 40, "train.log_every": 40, "optim.warmup_steps": 5}
WORSE = {"model.dim": 2, "train.steps": 5, "train.eval_every": 5}  # a network of two units that hardly learns

SCORES = f"{configs.__package__}.evaluation.sample_scores"


def scores(model: nn.Module, dataset: Rows) -> Scores:
    errors = (predict(model, dataset) - dataset.targets).square()
    return score_rows(errors, dataset.targets, primary="error", higher_is_better=False, root=True)


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, SCORES, SimpleNamespace(scores=scores))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Three seeds each of a good and of a worse network."""
    folder, found = tmp_path_factory.mktemp("compared"), dict[str, str]()
    for name, options in (("good", {}), ("worse", WORSE)):
        for seed in range(3):
            out = str(folder / f"{name}-{seed}")
            overrides = {**QUICK, **options, "train.seed": seed, "train.out": out}
            commands.fit(configs.load(PRESET, overrides))
            found[f"{name}-{seed}"] = out
    return found


def compare(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[dict[str, Any], str]:
    assert main(["compare", *words, "--out", "compared"]) == 0
    said = capsys.readouterr()
    return json.loads(said.out), said.err


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["compare", *words]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: ")
    return said


def test_a_better_method_is_claimed(runs: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    found, said = compare(capsys, *runs.values())
    first, other = found["methods"]
    assert (first["seeds"], other["seeds"]) == ([0, 1, 2], [0, 1, 2])
    assert first["low"] < first["value"] < first["high"]
    assert other["difference"]["claimed"]
    wanted = (
        r"sample \(model.dim 2, train.steps 5, train.eval_every 5\) is worse than sample by [\d.]+ to [\d.]+ error, p"
    )
    assert re.search(wanted, said)
    assert found["sentences"] == said.splitlines()[-2:-1]


def test_the_first_is_what_others_are_compared_to(runs: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    found, _ = compare(capsys, *reversed(runs.values()))
    assert " is better than sample by " in found["sentences"][0]
    difference, (worse, good) = found["methods"][1]["difference"], found["methods"]
    assert difference["value"] == pytest.approx(good["value"] - worse["value"])
    assert difference["low"] < difference["value"] < difference["high"] < 0


def test_a_run_is_measured_as_evaluate_measures_it(runs: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    found, _ = compare(capsys, runs["good-0"], runs["worse-0"])
    wanted = commands.evaluate(Path(runs["good-0"]))
    assert found["methods"][0]["value"] == pytest.approx(wanted["value"], rel=1e-6)
    assert found["primary"] == wanted["primary"]


def test_a_checkpoint_is_not_different_from_itself(runs: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    found, _ = compare(capsys, runs["good-0"], runs["good-0"])
    first, second = found["methods"]
    assert (first["name"], second["name"]) == ("sample", "sample (2)")
    assert (second["difference"]["value"], second["difference"]["claimed"]) == (0, False)
    assert found["sentences"][0].startswith(
        "This compares two checkpoints: no difference between sample and sample (2) can be claimed: every piece of data"
    )


def test_one_seed_a_side_speaks_of_the_checkpoints(runs: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    found, _ = compare(capsys, runs["good-0"], runs["worse-0"])
    first, second = found["sentences"]
    assert first.startswith("This compares two checkpoints: sample (model.dim 2")
    assert second.startswith("Train more seeds of sample and sample (model.dim 2")
    mixed, _ = compare(capsys, runs["good-0"], runs["good-1"], runs["worse-0"])
    assert mixed["sentences"][0].startswith("This compares checkpoints: ")


def test_where_nothing_can_be_claimed_the_seeds_that_would_show_it_are_named(
    runs: dict[str, str], workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = [str(workspace / f"alike-{seed}") for seed in (3, 4)]
    for seed, out in zip((3, 4), other, strict=True):
        overrides = {**QUICK, "train.seed": seed, "train.out": out, "optim.weight_decay": 0.011}
        commands.fit(configs.load(PRESET, overrides))
    words = [runs["good-0"], runs["good-1"], *other]
    found, _ = compare(capsys, *words)
    assert not found["methods"][1]["difference"]["claimed"]
    first, second = found["sentences"][0].split("; ")
    assert re.fullmatch(r"No difference between sample and sample \(optim.*\) can be claimed \(.*\)", first)
    assert re.match(r"(about \d+ more|not even 1,000) seeds a side would show one of [\d.]+ error", second)
    large, _ = compare(capsys, *words, "--size", "1e9")
    assert "these would most likely show one of 1e+09 error" in large["sentences"][0]


def test_p_is_corrected_for_several_comparisons(runs: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    one, _ = compare(capsys, runs["good-0"], runs["worse-1"])
    several, _ = compare(capsys, runs["good-0"], runs["worse-1"], runs["good-0"])
    pair = [found["methods"][1]["difference"]["p"] for found in (one, several)]
    assert pair[1] == pytest.approx(2 * pair[0])
    assert several["sentences"][-1] == "p is corrected for 2 comparisons (Holm), intervals are not."


def test_rows_of_one_group_are_one_piece(
    runs: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, _ = compare(capsys, runs["good-0"], runs["worse-0"])
    monkeypatch.setattr(command, "groups_of", lambda *_: np.arange(alone["pieces"]) // 4)
    together, _ = compare(capsys, runs["good-0"], runs["worse-0"])
    assert (alone["pieces"], together["pieces"]) == (80, 20)
    assert together["methods"][0]["value"] == pytest.approx(alone["methods"][0]["value"])


def test_the_page_needs_no_other_file(runs: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    found, _ = compare(capsys, *runs.values())
    page = Path("compared/comparison.html").read_text("utf-8")
    assert not re.search(r"""(src|href)=|<script|url\(|@import""", page)
    assert found["sentences"][0] in page
    assert len(re.findall('class="seed"', page)) == len(runs)
    saved = json.loads(Path("compared/comparison.json").read_text("utf-8"))
    assert {**found, "written": 0} == {**saved, "written": 0}


def test_runs_of_other_code_are_another_method(
    runs: dict[str, str], workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = copy(runs["good-1"], workspace / "other", code={"commit": "", "changed": True, "sha256": "abcdef0123"})
    found, _ = compare(capsys, runs["good-0"], copied)
    assert found["methods"][1]["name"] == "sample (code abcdef0)"
    assert "got seeds of one method only (2)" in refused(capsys, runs["good-0"], copied, "--any-code")


def test_runs_that_began_with_other_weights_are_another_method(
    runs: dict[str, str], workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = copy(runs["good-1"], workspace / "other", command=["train", "--init-from=runs/old-1"])
    found, _ = compare(capsys, runs["good-0"], copied)
    assert found["methods"][1]["name"] == "sample (init-from runs/old-1)"


def copy(run: str, folder: Path, **changed: Any) -> str:
    """Return a copy of a run whose manifest says something else."""
    folder.mkdir()
    for name in ("best.pt", "config.yaml"):
        (folder / name).write_bytes((Path(run) / name).read_bytes())
    manifest = json.loads((Path(run) / "manifest.json").read_text("utf-8"))
    (folder / "manifest.json").write_text(json.dumps({**manifest, **changed}), encoding="utf-8")
    return str(folder)


def test_what_could_not_be_said_is_refused_before_anything_is_measured(
    runs: dict[str, str], workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "measure", None)
    (file := workspace / "file").write_text("", encoding="utf-8")
    for out in (file, file / "deeper"):
        assert "is a file, want a folder" in refused(capsys, runs["good-0"], runs["worse-0"], "--out", str(out))
    manifest = Path(copy(runs["good-1"], workspace / "bare")) / "manifest.json"
    manifest.write_text("{", encoding="utf-8")
    assert "bare/manifest.json is not there or damaged" in refused(capsys, runs["good-0"], str(manifest.parent))
    manifest.unlink()
    assert "bare/manifest.json is not there or damaged" in refused(capsys, runs["good-0"], str(manifest.parent))


def test_what_cannot_be_compared_is_refused(
    runs: dict[str, str], workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runs["good-0"]
    assert "got seeds of one method only (2)" in refused(capsys, run, runs["good-1"])
    assert "is not a run folder" in refused(capsys, run, "nowhere")
    assert "--size: got -1.0" in refused(capsys, run, runs["worse-0"], "--size", "-1")
    assert "--size: got inf" in refused(capsys, run, runs["worse-0"], "--size", "inf")
    assert "'test'" in refused(capsys, run, runs["worse-0"], "--split", "test")
    data = {"name": "x", "files": {"rows.npz": "0"}}
    assert "have other data: rows.npz" in refused(capsys, run, copy(runs["good-1"], workspace / "data", data=data))
    answered = iter([1.0, 2.0])

    def other_rows(model: nn.Module, dataset: Rows) -> Scores:
        return score_rows(predict(model, dataset), dataset.targets * next(answered), primary="e", higher_is_better=True)

    monkeypatch.setitem(sys.modules, SCORES, SimpleNamespace(scores=other_rows))
    assert "were measured on other rows" in refused(capsys, run, runs["worse-0"])
    monkeypatch.setitem(sys.modules, SCORES, None)
    assert "want evaluation/sample_scores.py" in refused(capsys, run, runs["worse-0"])
    # copier: endfilter
