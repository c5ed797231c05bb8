# copier: filter replace("my_project", package_name)
"""The reference of every preset: made, and the rows of the service are those of the reference."""

from pathlib import Path

import numpy as np
import pytest
import torch

from my_project.serving import reference as references
from my_project.serving.predictor import Predictor
from my_project.serving.watched import OUTPUTS

from .predictors import presets, untrained

FEW = 6


@pytest.mark.parametrize("preset", presets())
def test_every_preset_has_a_reference_that_is_read_as_it_was_written(
    preset: str, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(references, "MOST_ROWS", FEW)
    monkeypatch.setattr(references, "MOST_ANSWERS", FEW)
    (workspace / "best.pt").write_bytes(b"weights")
    known = untrained(preset)
    predictor = Predictor(known.config, known.model, workspace / "best.pt", torch.device("cpu"))
    path = references.write(predictor, workspace / "export")
    reference = references.read(path.parent)
    assert reference.inputs
    assert "answer" in {column.name for column in reference.outputs} <= {*OUTPUTS}
    dataset = predictor.config.data.build("train")
    index = next(references.batches(dataset, FEW))
    inputs, rows = references.encoded(predictor, dataset, index)
    table = reference.table(predictor.answer_inputs(inputs, rows))
    given = np.column_stack([column.values for column in reference.inputs])
    assert np.array_equal(table[:, : given.shape[1]], given, equal_nan=True)
    # copier: endfilter
