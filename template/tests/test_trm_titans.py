# copier: filter replace("my_project", package_name)
"""Titans blocks inside the recursive model: what a position sees, words and numbers, what is refused."""

from typing import Any

import pytest
import torch
from torch import Tensor

from my_project.models.memory import NeuralMemoryConfig
from my_project.models.titans_mag import MagConfig
from my_project.models.trm import Trm, TrmConfig
from my_project.types import Batch

STACK = MagConfig(num_heads=2, window=4, memory=NeuralMemoryConfig(chunk_size=4))
SIZES: dict[str, Any] = {"seq_len": 9, "dim": 16, "max_steps": 2, "num_latent": 2, "stack": STACK}


def build(**options: Any) -> Trm:
    torch.manual_seed(0)
    return TrmConfig(**(SIZES | options)).build().double().eval()


def ask(model: Trm, inputs: Tensor) -> Tensor:
    shape = inputs.shape[:1] if model.config.pooled else inputs.shape[:2]
    outputs: Tensor = model(Batch(inputs, torch.zeros(shape, dtype=torch.long), torch.arange(len(inputs)))).outputs
    return outputs.detach()


def tokens(*shape: int) -> Tensor:
    return torch.randint(1, 7, shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("both_ways", [False, True])
def test_a_position_sees_those_before_it_and_read_both_ways_all(*, both_ways: bool) -> None:
    model, inputs = build(both_ways=both_ways), tokens(2, 9)
    plain = ask(model, inputs)
    for place in range(9):
        changed = inputs.clone()
        changed[:, place] = changed[:, place] % 6 + 1
        moved = ((ask(model, changed) - plain).abs().amax(-1) > 1e-12).all(0)
        assert moved.tolist() == [both_ways or other >= place for other in range(9)]


def test_what_fills_up_a_row_of_words_changes_nothing() -> None:
    model = build(words=True, pooled=True, num_classes=3, seq_len=12)
    rows = tokens(3, 12)
    rows[:, 7:] = 0
    model.embed.weight.data[0] = 5.0
    filled = ask(model, rows)
    model.embed.weight.data[0] = -7.0
    torch.testing.assert_close(ask(model, rows), filled, rtol=1e-12, atol=1e-12)
    rows[1, 6] = 0
    assert not torch.isclose(ask(model, rows)[1], filled[1]).all()


def test_a_word_beyond_the_vocabulary_is_the_unknown_one() -> None:
    model, rows, other = build(words=True, pooled=True, num_classes=3), tokens(2, 9), tokens(2, 9)
    rows[:, 4], other[:, 4] = 1, 60_000
    torch.testing.assert_close(ask(model, rows), ask(model, other), rtol=0, atol=0)


def test_a_row_without_words_gets_an_answer() -> None:
    assert ask(build(words=True, pooled=True, num_classes=3), tokens(2, 9) * 0).isfinite().all()


class Numbers:
    """Rows of numbers for `prepare`."""

    def __init__(self, values: Tensor) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, key: tuple[Tensor, int]) -> Batch:
        return Batch(self.values[key[0]], key[0], key[0])


def test_numbers_are_scaled_by_what_the_training_split_is_like() -> None:
    random = torch.Generator().manual_seed(0)
    values = torch.randn(50, 9, 3, generator=random, dtype=torch.double)
    answers = list[Tensor]()
    for scale, shift in ((1.0, 0.0), (1000.0, -5.0)):
        model = build(features=3, num_classes=4, pooled=True)
        model.prepare(Numbers(values * scale + shift))
        answers.append(ask(model, values[:4] * scale + shift))
    torch.testing.assert_close(*answers, rtol=1e-5, atol=1e-5)


def test_what_does_not_change_in_the_training_split_is_no_division_by_zero() -> None:
    model = build(features=3, num_classes=4, pooled=True)
    model.prepare(Numbers(torch.ones(50, 9, 3)))
    assert ask(model, torch.ones(2, 9, 3, dtype=torch.double)).isfinite().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stack": None, "both_ways": True}, "both_ways wants stack"),
        ({"stack": None, "words": True}, "words wants stack, read forwards"),
        ({"both_ways": True, "words": True}, "words wants stack, read forwards"),
        ({"dim": 20}, "multiple of 4"),
    ],
)
def test_what_does_not_fit_together_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**options)
    # copier: endfilter
