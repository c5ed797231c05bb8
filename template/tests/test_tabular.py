# copier: filter replace("my_project", package_name)
"""Columns are put on one scale by the rows that were fitted, nothing else; layers are as wide and deep as told."""

import pytest
import torch

from my_project.models.tabular import LAYERS, Block, Standardise


def test_fitted_columns_have_mean_nought_and_deviation_one() -> None:
    rows = torch.randn(500, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([1e-3, 1.0, 1e5]) + 7
    standardise = Standardise(3)
    standardise.fit(rows)
    found = standardise(rows)
    torch.testing.assert_close(found.mean(0), torch.zeros(3), rtol=0, atol=1e-3)
    torch.testing.assert_close(found.std(0, correction=0), torch.ones(3), rtol=1e-3, atol=0)


def test_columns_of_one_value_and_of_ones_and_noughts_stay_as_they_are() -> None:
    rows = torch.tensor([[3.0, 0.0, 0.0], [3.0, 0.0, 10.0], [3.0, 1.0, 20.0]])
    standardise = Standardise(3)
    standardise.fit(rows)
    torch.testing.assert_close(standardise(rows)[:, :2], rows[:, :2], rtol=0, atol=0)
    torch.testing.assert_close(standardise(rows)[:, 2], torch.tensor([-1.0, 0.0, 1.0]) * 1.5**0.5)


def test_one_column_alone_can_be_fitted() -> None:
    standardise = Standardise()
    standardise.fit(torch.tensor([1.0, 3.0]))
    assert (standardise.mean.item(), standardise.scale.item()) == (2, 1)


def test_what_was_fitted_is_saved_with_the_weights() -> None:
    standardise, other = Standardise(2), Standardise(2)
    standardise.fit(torch.tensor([[1.0, 2.0], [3.0, 8.0]]))
    other.load_state_dict(standardise.state_dict())
    torch.testing.assert_close(other(torch.ones(1, 2)), torch.tensor([[-1.0, -4 / 3]]))


@pytest.mark.parametrize("layers", sorted(LAYERS))
def test_layers_have_their_width_and_depth(layers: str) -> None:
    network = LAYERS[layers]((5, 2), 16, 3, 0.0)
    assert network(torch.zeros(4, 5)).shape == (4, 2)
    assert sum(isinstance(layer, Block if layers == "residual" else torch.nn.GELU) for layer in network) == 3


def test_a_block_adds_to_what_goes_past_it() -> None:
    block, features = Block(4, 0.0), torch.randn(2, 4)
    for parameter in block.layers[4].parameters():
        torch.nn.init.zeros_(parameter)
    torch.testing.assert_close(block(features), features, rtol=0, atol=0)
    # copier: endfilter
