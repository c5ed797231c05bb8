"""Writes rows of a run's validation split as lines of JSON, as a client would send them: `served_rows.py RUN FILE`."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

RUN, FILE, COUNT = Path(sys.argv[1]), Path(sys.argv[2]), 600
(PACKAGE,) = (path.parents[1].name for path in Path("src").glob("*/serving/predictor.py"))


def texts(tokens: torch.Tensor, vocabulary: list[str]) -> list[str]:
    """The words of texts [B, L]; what the vocabulary lacks is a word that it lacks."""
    return [" ".join(vocabulary[word] if word > 1 else "qqq" for word in row if word) for row in tokens.tolist()]


def rows_of(predictor: Any, dataset: Any, index: torch.Tensor) -> list[dict[str, Any]]:
    """Rows [B] of a data set as requests have them."""
    if hasattr(predictor.task, "requests"):
        return list(predictor.task.requests(dataset, index, predictor.data))
    inputs = dataset[index, 0].inputs
    if predictor.data.task == "forecasting":
        histories = [[value if mark else None for value, mark in steps] for steps in inputs.tolist()]
        return [{"history": history} for history in histories]
    if predictor.data.task == "text_classification":
        return [{"text": text} for text in texts(inputs, dataset.vocabulary)]
    images = inputs["image"] if isinstance(inputs, dict) else inputs
    rows = [{"pixels": image} for image in (images * 16).tolist()]
    if not isinstance(inputs, dict):
        return rows
    return [row | {"text": text} for row, text in zip(rows, texts(inputs["words"], dataset.vocabulary), strict=True)]


if __name__ == "__main__":
    predictor = import_module(f"{PACKAGE}.serving.predictor").Predictor.load(RUN)
    dataset = predictor.data.build("val")
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0))
    rows = rows_of(predictor, dataset, order[:COUNT])
    FILE.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
