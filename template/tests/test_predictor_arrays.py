# copier: filter replace("my_project", package_name)
"""Data of one's own are asked as their manifest says: pixels, columns by name, or numbers of any shape."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from my_project import config as configs
from my_project import run as commands
from my_project.data.folders import write_folder
from my_project.serving.predictor import Predictor

from .predictors import answers_alone, equal, predicted, refusal

CLASSES = (configs.PRESETS.parent / "evaluation" / "classification.py").is_file()


class Mean(torch.nn.Module):
    """Answers a weighted sum of a row's numbers."""

    def __init__(self, size: int, num_outputs: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = torch.nn.Linear(size, num_outputs)

    def forward(self, batch: Any, _: Any) -> Any:
        return type("Output", (), {"outputs": self.linear(batch.inputs.flatten(1))})


def brought(inputs: np.ndarray, **about: Any) -> Predictor:
    """Return a predictor on a new folder of these rows, with classes where the project tells classes."""
    count = len(inputs)
    targets = np.arange(count) % 3 if CLASSES else np.linspace(0, 1, count, dtype=np.float32)
    labels = {"labels": ["a", "b", "c"]} if CLASSES else {}
    rows: Any = {
        "train": np.arange(count - 4),
        "val": np.arange(count - 4, count - 2),
        "test": np.arange(count - 2, count),
    }
    manifest = {"name": "mine", "source": "a test", "licence": "MIT", "target": {"name": "y"}, **labels, **about}
    write_folder(Path("mine"), {"inputs": inputs, "targets": targets}, rows, manifest, "mine")
    config = configs.load(overrides={"data.kind": "arrays", "data.folder": "mine"})
    model = Mean(int(np.prod(inputs.shape[1:])), 3 if CLASSES else 1)
    return Predictor(config, model, Path("best.pt"), torch.device("cpu"))


def agrees(predictor: Predictor, rows: list[Any], inputs: np.ndarray) -> None:
    """Compare answers to rows with those to the same inputs in a file."""
    np.save("mine.npy", inputs)
    found, wanted = predictor(rows), predicted(predictor, Path("mine.npy"))
    name = "label" if CLASSES else "answer"
    assert equal([record["answer"] for record in found], [each[name] for each in wanted])
    if CLASSES:
        assert equal([record["probabilities"] for record in found], [each["probabilities"] for each in wanted])
    assert equal(found, answers_alone(predictor, rows))
    assert predictor([predictor.example])[0]["answer"] is not None


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 3)], ids=["grey", "colour"])
def test_bytes_are_pixels_in_the_range_of_the_manifest(shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (12, *shape), np.uint8)
    predictor = brought(images)
    agrees(predictor, [{"pixels": image.tolist()} for image in images[:3]], images[:3])
    assert "pixels.0.0" in refusal(predictor, {"pixels": np.full(shape, 256).tolist()})
    assert "pixels: List should have at least 5 items" in refusal(predictor, {"pixels": images[0, :4].tolist()})
    features = predictor.answer(predictor.check([{"pixels": images[0].tolist()}])).features
    assert float(features["ink"]) == pytest.approx(images[0].mean() / 255)
    assert len(features) == 21


def test_columns_have_their_names_whatever_these_are() -> None:
    table = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    names = ["height [m]", "model_config", "json"]
    predictor = brought(table, columns=[{"name": name} for name in names])
    rows = [dict(zip(names, row, strict=True)) for row in table[:3].tolist()]
    agrees(predictor, rows, table[:3])
    assert "height [m]: Field required" in refusal(predictor, {})
    assert "json: got 'x', want a valid number" in refusal(predictor, {**rows[0], "json": "x"})
    answers = predictor.answer(checked := predictor.check(rows))
    assert answers.features["model_config"].tolist() == table[:3, 1].tolist()
    assert checked[0].model_dump(by_alias=True) == rows[0]


@pytest.mark.parametrize("shape", [(6,), (3, 2), (2, 2, 2, 2)], ids=str)
def test_other_numbers_are_values_of_any_shape(shape: tuple[int, ...]) -> None:
    arrays = np.random.default_rng(0).normal(size=(12, *shape)).astype(np.float32)
    predictor = brought(arrays)
    agrees(predictor, [{"values": array.tolist()} for array in arrays[:3]], arrays[:3])
    assert "want a finite number" in refusal(predictor, {"values": np.full(shape, np.nan).tolist()})


def test_arrays_that_were_trained_on_are_asked_and_go_with_the_run() -> None:
    brought(np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8))
    preset = "linear" if CLASSES and "linear" in [p.stem for p in configs.PRESETS.glob("*.yaml")] else ""
    if not preset:
        pytest.skip("no network here reads images")
    overrides = {"data.kind": "arrays", "data.folder": "mine", "train.steps": 2, "model.num_classes": 3}
    run = commands.fit(configs.load(preset, overrides))
    predictor = Predictor.load(run)
    assert [path.name for path in predictor.files()] == ["manifest.json"]
    wanted = predictor([predictor.example])
    (run / "data").mkdir()
    Path("mine/manifest.json").rename(run / "data/manifest.json")
    assert equal(Predictor.load(run)([predictor.example]), wanted, near=0)
    (run / "data/manifest.json").unlink()
    with pytest.raises(ValueError, match="its data folder mine is not there; put manifest.json, mine.npz of it into"):
        Predictor.load(run)
    # copier: endfilter
