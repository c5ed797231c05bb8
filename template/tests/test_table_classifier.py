# copier: filter replace("my_project", package_name)
"""A classifier of rows has a logit for each class, and scales its inputs by the training rows only."""

import pytest
import torch

from my_project import config as configs
from my_project import run as commands
from my_project.models.table_classifier import TableClassifier

PRESETS = ("table", "table_resnet")


@pytest.mark.parametrize("preset", PRESETS)
def test_logits_have_a_column_for_each_class(preset: str) -> None:
    config = configs.load(preset)
    for size in (0, 1, 3):
        batch = config.data.build("train")[torch.arange(size), 0]
        assert config.model.build()(batch).outputs.shape == (size, len(config.data.labels))


def test_means_and_deviations_come_from_the_training_split_alone() -> None:
    config = configs.load("table", {"train.steps": 1})
    _, model, _ = commands.open_run(commands.fit(config))
    train, other = config.data.build("train").inputs, config.data.build("val").inputs
    numbers = (train != 0).logical_and(train != 1).any(0)
    assert isinstance(model, TableClassifier)
    torch.testing.assert_close(model.standardise.mean[numbers], train.mean(0)[numbers])
    torch.testing.assert_close(model.standardise.scale[numbers], train.std(0, correction=0)[numbers])
    assert not torch.isclose(model.standardise.mean[numbers], other.mean(0)[numbers]).any()
    assert not model.standardise.mean[~numbers].any()


def test_a_row_with_a_word_has_its_own_answer() -> None:
    config = configs.load("table")
    model, rows = config.model.build().eval(), config.data.build("train")
    values = rows.values[:1].repeat(2, 1)
    values[1, 0] = (values[0, 0] + 1) % 14
    first, second = model.layers(type(rows)(values, rows.targets[:2], rows.columns).inputs)
    assert not torch.allclose(first, second)
    # copier: endfilter
