"""How good a classifier of rows is: as any classifier, with the rows that it got wrong written out."""

from typing import Any

from ..data.loader import DataConfig, Dataset
from ..models.tabular import Standardise
from ..types import Batch
from . import classification
from .classification import answers, measure, measure_fully

__all__ = ["answers", "baselines", "measure", "measure_fully", "pictures"]


def baselines(train: Dataset, other: Dataset, data: DataConfig) -> dict[str, float]:
    """Return those of any classifier, on standardised inputs: on others logistic regression learns too slowly."""
    standardise = Standardise(train.inputs.shape[1])
    standardise.fit(train.inputs)
    one, two = (Batch(standardise(split.inputs), split.targets, split.targets) for split in (train, other))
    return classification.baselines(one, two, data)


def pictures(dataset: Dataset, metrics: dict[str, Any]) -> dict[str, Any]:
    """Return what the page shows beside the figures: the rows of the worst errors, by column."""
    return {"rows": dataset.rows([error["row"] for error in metrics["worst"]])}
