# copier: filter replace("my_project", package_name)
"""A run becomes files that answer as its model does, without the project; what is off ends with status 1."""

import hashlib
import json
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from my_project import config as configs
from my_project import run as commands
from my_project.__main__ import main
from my_project.evaluation.budgets import Budgets
from my_project.serving import export as exporting
from my_project.serving import forms, parity, reference
from my_project.types import Batch

from .sample import Rows, SampleConfig, predict, smaller

FILES = {"program.pt2", "model.onnx", "export.json"}


def figures(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main([*words]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.fixture(scope="module")
def run(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the trained run, exported."""
    folder = shutil.copytree(trained, tmp_path_factory.mktemp("exported") / "run")
    assert main(["export", str(folder)]) == 0
    return folder


@pytest.fixture
def fresh(trained: Path, workspace: Path) -> Path:
    """A copy of the trained run."""
    return shutil.copytree(trained, workspace / "run")


@pytest.mark.parametrize("size", [1, 5, 200])
def test_both_files_answer_as_the_model_does(size: int, run: Path) -> None:
    config, model, _ = commands.open_run(run)
    rows = Rows(10 * torch.randn(size, 4, generator=torch.Generator().manual_seed(size)))
    expected = predict(model, rows)
    program = torch.export.load(run / "export" / "program.pt2").module()
    session = import_module("onnxruntime").InferenceSession(run / "export" / "model.onnx")
    (onnx,) = session.run(None, {"inputs": rows.inputs.numpy()})
    assert config.data.task == "sample"
    torch.testing.assert_close(program(rows.inputs), expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(torch.from_numpy(onnx), expected, rtol=0, atol=1e-4)


def test_the_files_need_nothing_of_the_project(run: Path) -> None:
    lines = (
        "import sys, numpy, onnxruntime, torch",
        "rows = numpy.ones((3, 4), numpy.float32)",
        "print(torch.export.load('program.pt2').module()(torch.from_numpy(rows)).shape[0])",
        "print(len(onnxruntime.InferenceSession('model.onnx').run(None, {'inputs': rows})[0]))",
        f"print([name for name in sys.modules if name.startswith('{forms.__package__.partition('.')[0]}')])",
    )
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], cwd=run / "export", capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["3", "3", "[]"]


def test_what_was_compared_is_written_down(run: Path) -> None:
    record = json.loads((run / "export" / "export.json").read_text("utf-8"))
    assert {path.name for path in (run / "export").iterdir()} >= FILES
    assert record["inputs"] == {"inputs": {"dtype": "float32", "shape": ["rows", 4]}}
    for form in record["forms"].values():
        assert [*form["parity"]] == [
            *("validation rows", "random", "zeros", "lowest", "highest", "one row", f"{parity.UNSEEN} rows")
        ]
        assert all(case["absolute"] < record["tolerance"] for case in form["parity"].values())
        assert form["size_mb"] == (run / "export" / form["file"]).stat().st_size / 1e6
        assert 0 < form["latency_ms"]["p50"] <= form["latency_ms"]["p95"]
    assert record["failures"] == []


def test_what_a_library_prints_while_it_writes_is_not_in_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    with forms.quiet():
        sys.stdout.write("Applied 1 of general pattern rewrite rules.\n")
    assert capsys.readouterr().out == ""


@pytest.fixture
def known_forms(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is traced anew: what is tested is the folder around them."""
    record = json.loads((run / "export" / "export.json").read_text("utf-8"))

    def write(_: forms.Opened, folder: Path) -> tuple[dict[str, Any], dict[str, int]]:
        (folder / "program.pt2").write_text("anew")
        return record["forms"], {}

    monkeypatch.setattr(exporting, "write_forms", write)


@pytest.mark.usefixtures("known_forms")
def test_a_second_export_replaces_the_first(fresh: Path) -> None:
    assert main(["export", str(fresh)]) == 0
    run = fresh
    (run / "export" / "stray.txt").touch()
    (run / "export.new").mkdir()
    assert main(["export", str(run)]) == 0
    assert {path.name for path in run.glob("export*")} == {"export"}
    assert not (run / "export" / "stray.txt").exists()
    assert (run / "export" / "program.pt2").read_text("utf-8") == "anew"


@pytest.mark.usefixtures("known_forms")
def test_an_export_that_breaks_off_leaves_the_one_before(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (run / "export" / "export.json").read_bytes()

    def full(*_: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(exporting, "write_json", full)
    assert main(["export", str(run)]) == 4
    assert (run / "export" / "export.json").read_bytes() == before
    assert (run / "export" / "program.pt2").read_bytes() != b"anew"
    assert {path.name for path in run.glob("export*")} == {"export"}


def test_answers_that_differ_end_with_status_1(
    fresh: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def shift(name: str) -> None:
        right = getattr(forms, name)

        def shifted(*arguments: Any) -> Any:
            form = right(*arguments)
            return lambda *tensors: form(*tensors) + 2e-4 * (tensors[0] == 0).all(1)

        monkeypatch.setattr(forms, name, shifted)

    for name in ("open_program", "open_onnx"):
        shift(name)
    with pytest.raises(SystemExit) as ended:
        main(["export", str(fresh)])
    assert ended.value.code == 1
    told = capsys.readouterr()
    lines = [f"{name} differs from the model by 0.0002 (zeros), at most 0.0001" for name in ("program", "onnx")]
    assert json.loads(told.out)["failures"] == lines
    assert told.err.splitlines()[-1] == f"export: {'; '.join(lines)}"
    assert {path.name for path in (fresh / "export").iterdir()} >= FILES


def test_a_broken_budget_ends_with_status_1(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("tight.yaml").write_text("size_mb: 1.0e-9\nlatency_ms: 1.0e-9\n")
    with pytest.raises(SystemExit) as ended:
        main(["export", str(fresh), "--budgets", "tight.yaml"])
    assert ended.value.code == 1
    told = capsys.readouterr()
    found = json.loads(told.out)["failures"]
    for start in ("program: size_mb is ", "program: latency_ms is ", "onnx: size_mb is ", "onnx: latency_ms is "):
        assert sum(line.startswith(start) for line in found) == 1
    assert f"export: {found[0]}; " in told.err
    assert {path.name for path in (fresh / "export").iterdir()} >= FILES


def test_budgets_that_are_not_there_are_refused_before_anything_is_written(
    fresh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(fresh), "--budgets", "none.yaml"]) == 2
    assert "none.yaml is not there" in capsys.readouterr().err
    Path("broken.yaml").write_text("latency_ms: [")
    assert main(["export", str(fresh), "--budgets", "broken.yaml"]) == 2
    assert "broken.yaml: want YAML (" in capsys.readouterr().err
    assert not (fresh / "export").exists()


def test_a_folder_without_a_checkpoint_is_refused(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(workspace)]) == 2
    assert "is not a run folder" in capsys.readouterr().err


def test_a_form_that_cannot_be_written_says_why_by_the_name_of_the_model(
    fresh: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("Failed\nat length") from NotImplementedError("no function for aten.odd")

    monkeypatch.setattr(torch.onnx, "export", refuse)
    assert main(["export", str(fresh)]) == 0
    told = capsys.readouterr()
    why = "sample: NotImplementedError: no function for aten.odd"
    assert f"not exported: {why}" in told.err.splitlines()
    assert json.loads(told.out)["forms"]["onnx"] == {"reason": why}
    assert {path.name for path in (fresh / "export").iterdir()} == FILES - {"model.onnx"}


def test_a_model_without_a_graph_ends_with_status_1(
    fresh: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from .sample import Net  # noqa: PLC0415 (what is changed here)

    forward = Net.forward

    def picky(self: Net, batch: Batch, carry: Any = None) -> Any:
        return forward(self, batch, carry) if float(batch.inputs.sum()) > -1e9 else None

    monkeypatch.setattr(Net, "forward", picky)
    with pytest.raises(SystemExit) as ended:
        main(["export", str(fresh)])
    assert ended.value.code == 1
    told = capsys.readouterr()
    assert "export: neither form could be written" in told.err
    assert all(form["reason"].startswith("sample: ") for form in json.loads(told.out)["forms"].values())


def test_inputs_of_several_tensors_have_their_names(
    fresh: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Rows.__getitem__

    def in_pieces(self: Rows, key: tuple[Tensor, int]) -> Batch:
        self.pieces = True
        return whole(self, key)

    monkeypatch.setattr(Rows, "__getitem__", in_pieces)
    found = figures(capsys, "export", str(fresh))
    sizes = {name: one["shape"][1:] for name, one in found["inputs"].items()}
    assert sizes == {"first": [1], "rest_0": [2], "rest_1": [1]}


@pytest.mark.usefixtures("known_forms")
def test_the_test_split_stays_closed(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = SampleConfig.build

    def watched(self: SampleConfig, split: Any, **options: Any) -> Rows:
        assert split != "test"
        return build(self, split, **options)

    monkeypatch.setattr(SampleConfig, "build", watched)
    exporting.export(fresh, Budgets())


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default preset of the project, trained for two steps, with what `export` returns."""
    folder = tmp_path_factory.mktemp("preset") / "run"
    few = {"train.steps": 2, "train.eval_every": 2, "train.log_every": 1, "train.device": "cpu"}
    few |= {"train.out": str(folder)}
    run = commands.fit(configs.load(overrides=smaller(configs.DEFAULT_PRESET) | few))
    exporting.export(run, Budgets())
    return run


def test_the_default_preset_of_the_project_is_exported(preset: Path) -> None:
    record = json.loads((preset / "export" / "export.json").read_text("utf-8"))
    assert record["failures"] == []
    assert [*record["forms"]] == ["program", "onnx"]
    assert all("reason" not in form for form in record["forms"].values())


def test_the_reference_of_the_monitoring_lies_beside_the_files(preset: Path) -> None:
    found = reference.read(preset / "export")
    assert found.checkpoint_sha256 == hashlib.sha256((preset / "best.pt").read_bytes()).hexdigest()
    assert len(found.inputs[0].values) > 1
    assert {"answer", "confidence", "uncertainty"} & {column.name for column in found.outputs}


def test_cases_reach_from_one_row_to_all_limits() -> None:
    rows = {"a": torch.arange(60.0).view(20, 3), "b": torch.arange(80).view(20, 4)}
    found = dict(parity.cases(rows, {"b": 1}))
    assert {name: len(case["a"]) for name, case in found.items() if "row" in name} == {
        "validation rows": 20,
        "one row": 1,
        f"{parity.UNSEEN} rows": parity.UNSEEN,
    }
    assert not any(tensor.any() for tensor in found["zeros"].values())
    assert found["lowest"]["a"].tolist() == [[0, 1, 2]] * 3
    assert found["highest"]["b"].tolist() == [[76, 77, 78, 79]] * 3
    assert ((found["random"]["b"] >= rows["b"][0]) & (found["random"]["b"] <= rows["b"][-1])).all()
    assert not torch.equal(found["random"]["a"], rows["a"])
    assert [found[name]["b"].shape[1] for name in ("shortest length", "longest length")] == [1, 4]


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_an_answer_that_is_not_finite_on_one_side_alone_differs_without_bound(odd: float) -> None:
    one, other = torch.tensor([1.0, 2.0]), torch.tensor([1.0, odd])
    assert parity.difference(one, other)["absolute"] == np.inf
    assert parity.difference(other, other) == {"absolute": 0.0, "relative": 0.0}
    assert parity.difference(one, 2 * one) == {"absolute": 2.0, "relative": 0.5}


def test_only_tokens_that_the_model_answers_at_another_length_may_vary() -> None:
    class Mean(nn.Module):
        def forward(self, words: Tensor, cells: Tensor, image: Tensor) -> Tensor:
            return words.float().mean(1) + cells.view(-1, 8).float().sum(1)[: len(words)] + image.sum(1)

    rows = {"words": torch.ones(4, 8).long(), "cells": torch.ones(4, 8).long(), "image": torch.ones(4, 8)}
    assert forms.lengths(Mean(), rows) == {"words": 1}
    # copier: endfilter
