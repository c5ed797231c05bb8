# copier: filter replace("my_project", package_name)
"""Relative positional attention that was specified in words is built from YAML, and sees distances, not places."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from my_project import config as configs
from my_project.models.text_transformer import (
    Block,
    TextTransformerConfig,
    score_distances,
)
from my_project.types import Batch

CONFIG = configs.load(Path(__file__).with_name("specified_attention.yaml"))
LAYERS, HEADS, WIDTH, CLASSES, WORDS, FURTHEST = 2, 8, 512, 12, 100, 16


def block_of(positions: str, max_distance: int = 3) -> Block:
    """Return a block whose vectors of distances are large enough to be seen."""
    torch.manual_seed(0)
    sizes = {"dim": 8, "num_heads": 2, "max_distance": max_distance}
    block = Block(TextTransformerConfig(positions=positions, **sizes)).eval()  # type: ignore[arg-type]  # one of the two
    if block.distances is not None:
        torch.nn.init.normal_(block.distances)
    return block


def everything_of(tokens: Tensor) -> Tensor:
    return torch.ones(tokens.shape[:2], dtype=torch.bool)


def test_the_specified_attention_has_as_many_parameters_as_its_sizes_imply() -> None:
    model = CONFIG.model.build()
    attention, feed_forward, norm = 4 * (WIDTH * WIDTH + WIDTH), 4 * WIDTH * WIDTH + 3 * WIDTH, 2 * WIDTH
    distances = (2 * FURTHEST + 1) * (WIDTH // HEADS)
    assert [tuple(block.distances.shape) for block in model.blocks] == [(33, 64)] * LAYERS
    ends = WORDS * WIDTH + WIDTH + norm + WIDTH * CLASSES + CLASSES
    implied = ends + LAYERS * (attention + feed_forward + 2 * norm + distances)
    assert sum(p.numel() for p in model.parameters()) == implied == 4_268_684
    assert model(CONFIG.data.build("train")[torch.arange(3), 0]).outputs.shape == (3, CLASSES)


def test_scores_of_distances_are_those_of_the_papers_equation() -> None:
    query, distances = torch.randn(2, 3, 6, 4), torch.randn(5, 4)
    found = score_distances(query, distances)
    for i in range(6):
        for j in range(6):
            vector = distances[min(max(j - i, -2), 2) + 2]  # from two words before to two words behind
            torch.testing.assert_close(found[:, :, i, j], query[:, :, i] @ vector / 4**0.5)


def test_where_a_text_begins_changes_nothing_and_its_order_does() -> None:
    block, words = block_of("relative"), torch.randn(1, 6, 8)
    alone = block(words, everything_of(words))
    later = torch.cat([torch.randn(1, 4, 8), words], dim=1)  # behind four words that nobody looks at
    there = everything_of(later)
    there[:, :4] = False
    torch.testing.assert_close(block(later, there)[:, 4:], alone)
    turned = block(words.flip(1), everything_of(words)).flip(1)
    assert not torch.allclose(turned, alone, atol=1e-3)
    blind = block_of("absolute")  # without vectors of distances, a block sees a set of words
    torch.testing.assert_close(blind(words.flip(1), there[:, 4:]).flip(1), blind(words, there[:, 4:]))


@pytest.mark.parametrize(("max_distance", "same"), [(1, True), (3, False)])
def test_words_further_apart_than_the_largest_distance_count_as_that(max_distance: int, same: bool) -> None:
    block, words = block_of("relative", max_distance), torch.randn(1, 4, 8)
    swapped = words[:, [0, 1, 3, 2]]  # the third and fourth, two and three words behind the first
    one, other = (block(rows, everything_of(rows))[0, 0] for rows in (words, swapped))
    assert torch.allclose(one, other, atol=1e-5) is same


def test_a_transformer_with_relative_positions_has_no_others_and_all_of_it_learns() -> None:
    config = configs.load("text_transformer", {"model.positions": "relative"})
    model = config.model.build()
    assert model.positions is None
    model(config.data.build("train")[torch.arange(32), 0]).loss.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_half_precision_stays_finite_where_everything_is_padding() -> None:
    model, index = CONFIG.model.build(), torch.arange(2)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(Batch(torch.zeros(2, 5, dtype=torch.long), index, index))
    assert output.outputs.isfinite().all()
    assert output.loss.isfinite()
    # copier: endfilter
