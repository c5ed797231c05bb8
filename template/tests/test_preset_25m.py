# copier: filter replace("my_project", package_name)
"""The preset of 25.6 million numbers is as large as it says, whole in its parts, and refuses what does not fit."""

from typing import Any

import pytest
import torch

from my_project import config as configs
from my_project.models.trm_text import TrmText

from .sample import smaller

MILLIONS = 25.6


def built(overrides: dict[str, Any] | None = None) -> TrmText:
    with torch.device("meta"):  # shapes without numbers
        model: TrmText = configs.load("25m", overrides).model.build()
    return model


def count(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_it_has_25_6_million_parameters_within_2_percent() -> None:
    assert 0.98 * MILLIONS <= count(built()) / 1e6 <= 1.02 * MILLIONS


def test_every_block_has_attention_and_a_two_layer_memory_that_learns_in_chunks_of_64() -> None:
    model = built()
    blocks: list[Any] = [*model.reader.blocks, *model.network.blocks]
    assert len(model.reader.blocks) > len(model.network.blocks) > 1
    for block in blocks:
        assert block.memory.config.chunk_size == 64
        assert len(block.memory.initial) == 2
        assert block.attention.window == 128


def test_segments_are_whole_chunks_and_come_as_often_as_they_are_thought_about() -> None:
    config = configs.load("25m")
    assert config.data.seq_len % config.model.reader.memory.chunk_size == 0
    assert config.data.repeat == config.model.max_steps
    assert config.data.vocab_size == config.model.vocab_size
    assert config.optim.ema_decay > 0


def test_other_numbers_of_steps_change_the_time_and_not_the_size() -> None:
    assert count(built({"model.max_steps": 1})) == count(built())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model.reader": "{dim: 384, num_heads: 7}"}, r"dim: got 384, want a multiple of 4 \* num_heads, 28"),
        ({"model.reader": "{dim: 384, num_heads: 6, memory: {max_step: 0.1}}"}, r"want max_step at most 0.003906"),
        ({"model.stack": "{dim: 384, depth: 0, num_heads: 6}"}, "greater than 0"),
        ({"model.vocab_size": 0}, "greater than 0"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        configs.load("25m", options)


def test_tests_of_every_preset_meet_the_same_kind_of_model_in_small() -> None:
    full, small = built(), built(smaller("25m"))
    assert count(small) < count(full) / 100
    names = [{name for name, _ in model.named_parameters()} for model in (full, small)]
    assert names[1] < names[0]
    # copier: endfilter
