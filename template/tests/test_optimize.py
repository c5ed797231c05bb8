# copier: filter replace("my_project", package_name)
"""Each way to make a model smaller leaves a file that answers, and the table says what it costs."""

import json
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from my_project import config as configs
from my_project import run as commands
from my_project.__main__ import main
from my_project.serving import optimize as optimizing
from my_project.serving.folding import folded
from my_project.training.storage import load_checkpoint

from .sample import PRESET, Rows, SampleConfig, measure, predict

WIDE = {"model.dim": 256, "model.depth": 3, "train.steps": 60, "train.eval_every": 60, "train.device": "cpu"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that is wide enough for its weights to be most of a file."""
    folder = tmp_path_factory.mktemp("wide") / "run"
    return commands.fit(configs.load(PRESET, {**WIDE, "train.out": str(folder)}))


@pytest.fixture(scope="module")
def table(run: Path) -> dict[str, dict[str, Any]]:
    """Everything but the compiler, on that run."""
    record = optimizing.optimize(run, ["quantize", "prune", "bf16", "fold"], 0.7)
    return {line["mode"]: line for line in record["table"]}


@pytest.fixture
def rows() -> Tensor:
    return torch.randn(50, 4, generator=torch.Generator().manual_seed(3))


def test_int8_is_smaller_and_close_to_fp32(table: dict[str, dict[str, Any]], run: Path, rows: Tensor) -> None:
    line = table["quantize"]
    assert line["size_mb"] < 0.4 * line["fp32_onnx"]["size_mb"]
    session = import_module("onnxruntime").InferenceSession(run / "optimize" / line["file"])
    (found,) = session.run(None, {"inputs": rows.numpy()})
    expected = predict(commands.open_run(run)[1], Rows(rows))
    assert 0 < float((torch.from_numpy(found) - expected).abs().max()) < 0.05 * float(expected.max())
    assert abs(line["value"] - table["before"]["value"]) < 0.05


def test_pruning_reaches_its_share_and_leaves_no_masks(table: dict[str, dict[str, Any]], run: Path) -> None:
    assert table["prune"]["sparsity"] == pytest.approx(0.7, abs=1e-4)
    _, model, _ = commands.open_run(run / "optimize" / "pruned.pt")
    weights = [layer.weight for layer in model.modules() if isinstance(layer, nn.Linear)]
    gone = sum(int((weight == 0).sum()) for weight in weights)
    assert gone / sum(weight.numel() for weight in weights) == pytest.approx(0.7, abs=1e-4)
    names = load_checkpoint(run / "optimize" / "pruned.pt")["model"]
    assert {*names} == {*commands.open_run(run)[1].state_dict()}


def test_pruning_takes_the_smallest_weights(run: Path, table: dict[str, dict[str, Any]]) -> None:
    assert table["prune"]["file"] == "pruned.pt"
    before, after = (
        torch.cat([layer.weight.detach().flatten() for layer in model.modules() if isinstance(layer, nn.Linear)])
        for model in (commands.open_run(run)[1], commands.open_run(run / "optimize" / "pruned.pt")[1])
    )
    assert float(before[after == 0].abs().max()) <= float(before[after != 0].abs().min())
    torch.testing.assert_close(after[after != 0], before[after != 0], rtol=0, atol=0)


def test_a_pruned_checkpoint_answers_as_any_other(
    table: dict[str, dict[str, Any]], run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("rows.csv").write_text("0.5,1,0,2\n")
    assert main(["predict", str(run / "optimize" / "pruned.pt"), "rows.csv"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["length"] > 0
    config, model, _ = commands.open_run(run / "optimize" / "pruned.pt")
    assert table["prune"]["value"] == measure(model, config.data.build("val")).value


def test_bf16_takes_about_half_and_is_close(table: dict[str, dict[str, Any]], run: Path, rows: Tensor) -> None:
    line = table["bf16"]
    assert line["size_mb"] < 0.7 * table["before"]["size_mb"]
    program = torch.export.load(run / "optimize" / line["file"]).module()
    with torch.inference_mode():
        found, expected = program(rows), predict(commands.open_run(run)[1], Rows(rows))
    assert found.dtype == torch.float32
    assert 0 < float((found - expected).abs().max()) < 0.05 * float(expected.max())


def test_what_does_not_apply_says_so_by_the_name_of_the_model(table: dict[str, dict[str, Any]]) -> None:
    assert table["fold"] == {
        "mode": "fold",
        "reason": "sample: it has no layer like BatchNorm1d, BatchNorm2d, BatchNorm3d",
    }


def test_the_table_begins_with_the_figure_of_the_run_on_validation_rows(
    table: dict[str, dict[str, Any]], run: Path
) -> None:
    config, model, _ = commands.open_run(run)
    assert table["before"]["value"] == measure(model, config.data.build("val")).value
    saved = json.loads((run / "optimize.json").read_text("utf-8"))
    assert (saved["split"], [line["mode"] for line in saved["table"]]) == ("val", [*table])
    for line in table.values():
        assert "reason" in line or 0 < line["latency_ms"]["p50"] <= line["latency_ms"]["p95"]


def test_one_mode_can_be_asked_for(trained: Path, workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = shutil.copytree(trained, workspace / "run")
    assert main(["optimize", str(run), "--mode", "prune", "--amount", "0.25"]) == 0
    told = capsys.readouterr()
    line = json.loads(told.out)["table"][1]
    assert line["sparsity"] == pytest.approx(0.25, abs=0.02)
    assert [path.name for path in (run / "optimize").iterdir()] == ["pruned.pt"]
    assert "error" in told.err.splitlines()[-1]  # the primary figure stands in the line


def test_what_other_modes_made_of_the_same_checkpoint_stays(
    trained: Path, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(trained, workspace / "run")
    for mode, files in (("prune", ["pruned.pt"]), ("bf16", ["bf16.pt2", "pruned.pt"]), ("prune", None)):
        assert main(["optimize", str(run), "--mode", mode]) == 0
        table = json.loads(capsys.readouterr().out)["table"]
        found = sorted(path.name for path in (run / "optimize").iterdir())
        assert found == (files or ["bf16.pt2", "pruned.pt"])
        assert sorted(line["file"] for line in table[1:]) == found
    torch.save({**torch.load(run / "best.pt", weights_only=True), "seed": 7}, run / "best.pt")
    assert main(["optimize", str(run), "--mode", "prune"]) == 0
    assert [path.name for path in (run / "optimize").iterdir()] == ["pruned.pt"]


@pytest.mark.parametrize("amount", ["0", "1", "1.5", "-0.1"])
def test_a_share_that_is_none_is_refused(amount: str, trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["optimize", str(trained), "--mode", "prune", f"--amount={amount}"]) == 2
    assert "--amount: got" in capsys.readouterr().err
    assert not (trained / "optimize").exists()


def test_without_a_compiler_nothing_is_compiled_and_a_line_says_so(
    trained: Path, workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: Any, **__: Any) -> Any:
        def form(*_: Tensor) -> Tensor:
            raise RuntimeError("No working C++ compiler found")

        return form

    monkeypatch.setattr(torch, "compile", none)
    run = shutil.copytree(trained, workspace / "run")
    assert main(["optimize", str(run), "--mode", "compile"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["table"][1]["reason"] == "sample: RuntimeError: No working C++ compiler found"
    assert "compile   not done: sample: RuntimeError: No working C++ compiler found" in told.err.splitlines()


def test_the_test_split_stays_closed(trained: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = SampleConfig.build

    def watched(self: SampleConfig, split: Any, **options: Any) -> Rows:
        assert split != "test"
        return build(self, split, **options)

    monkeypatch.setattr(SampleConfig, "build", watched)
    run = shutil.copytree(trained, workspace / "run")
    assert "value" in optimizing.optimize(run, ["prune"], 0.5)["table"][1]


class Normed(nn.Module):
    """A convolution that a batch normalisation reads, and one that it does not."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3)
        self.second, self.apart = nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3)
        for norm in (self.norm, self.apart):
            nn.init.uniform_(norm.weight, 0.5, 2)
            nn.init.uniform_(norm.bias)
            norm.running_mean, norm.running_var = torch.randn(3), torch.rand(3) + 0.5

    def forward(self, images: Tensor) -> Tensor:
        apart: Tensor = self.apart(self.second(self.norm(self.first(images))).relu())
        return apart


def test_a_batch_normalisation_that_reads_a_convolution_goes_into_it() -> None:
    torch.manual_seed(0)
    model, images = Normed().eval(), torch.randn(4, 1, 8, 8)
    after, count = folded(model, {"images": images})
    assert count == 1
    assert isinstance(after.get_submodule("norm"), nn.Identity)
    assert isinstance(after.get_submodule("apart"), nn.BatchNorm2d)
    torch.testing.assert_close(after(images), model(images), rtol=1e-5, atol=1e-5)
    # copier: endfilter
