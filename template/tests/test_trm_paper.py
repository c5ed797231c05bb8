# copier: filter replace("my_project", package_name)
"""The settings of the paper make the official models: as many parameters, and their first values."""

from pathlib import Path

import pytest
import torch

from my_project import config as configs
from my_project.models.trm_layers import CUT_STD

PAPER = Path(__file__).parents[1] / "configs" / "trm_paper.yaml"


@pytest.mark.parametrize(("mixer", "count"), [("tokens", 5_028_866), ("attention", 6_828_034)])
def test_the_papers_sizes_have_as_many_parameters_as_the_official_models(mixer: str, count: int) -> None:
    model = configs.load(PAPER, {"model.mixer": mixer}).model.build()
    assert sum(parameter.numel() for parameter in model.parameters()) == count


def test_weights_begin_with_the_deviation_of_lecun() -> None:
    torch.manual_seed(0)
    model = configs.load(PAPER).model.build()
    for name, weight in model.named_parameters():
        if weight.ndim > 1 and "act" not in name:
            want = weight.shape[1] ** -0.5
            assert weight.std().item() == pytest.approx(want, rel=0.03), name
            assert weight.abs().max().item() <= 2 * want / CUT_STD * 1.0001, name
    # copier: endfilter
