# copier: filter replace("my_project", package_name)
"""The pixel, column, step and word that an answer rests on are found, and shares add up to the answer."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from my_project.evaluation.saliency import blank, integrated_gradients, saliency
from my_project.types import Batch, StepOutput

from .sample import Given


class Knowing(nn.Module):
    """Answers with a function of the inputs."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.weight, self.function = nn.Parameter(torch.ones(())), function

    def forward(self, batch: Batch, _: Any = None) -> StepOutput:
        outputs = self.function(batch.inputs) * self.weight
        return StepOutput(outputs.sum(), outputs, {})


@pytest.fixture
def draw() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_the_planted_pixel_is_found_and_named_with_its_answer(draw: torch.Generator) -> None:
    images = torch.rand(20, 8, 8, generator=draw)
    model = Knowing(lambda x: torch.stack([5 * x[:, 2, 6], torch.zeros(len(x))], dim=1))
    rows = saliency(model, Given(images, torch.ones(20, dtype=torch.long)), [7, 3], ("no", "yes"))
    assert [one["row"] for one in rows[:2]] == [7, 3]
    assert [one["worst"] for one in rows] == [True, True] + [False] * 4
    for one in rows:
        shares = torch.tensor(one["shares"])
        assert shares.abs().argmax() == 2 * 8 + 6
        assert shares.sum() == pytest.approx(5 * images[one["row"], 2, 6].item(), rel=1e-4)
        assert (one["target"], one["answer"]) == ("yes", "no")


def test_shares_add_up_to_the_difference_of_the_answers(draw: torch.Generator) -> None:
    layers = nn.Sequential(nn.Linear(4, 16), nn.GELU(), nn.Linear(16, 1))
    inputs = torch.randn(12, 4, generator=draw)
    data = Given(inputs, torch.zeros(12))
    model = Knowing(lambda x: layers(x)[:, 0])
    batch = data[torch.arange(12), 0]
    nothing = blank(data, inputs)
    shares, _ = integrated_gradients(model, batch, nothing)
    assert shares is not None
    with torch.no_grad():
        wanted = layers(inputs)[:, 0] - layers(nothing)[:, 0]
    assert shares.sum(1).tolist() == pytest.approx(wanted.tolist(), abs=1e-3)


def test_the_column_that_decides_comes_first_with_its_value(draw: torch.Generator) -> None:
    inputs = torch.randn(12, 3, generator=draw)
    columns = [{"name": name} for name in ("a", "b", "c")]
    (one, *_) = saliency(Knowing(lambda x: 4 * x[:, 1]), Given(inputs, torch.zeros(12), columns=columns), [5])
    assert one["columns"][0]["name"] == "b"
    assert one["columns"][0]["value"] == pytest.approx(inputs[5, 1].item())
    assert one["columns"][0]["share"] == pytest.approx(4 * (inputs[5, 1] - inputs[:, 1].mean()).item(), abs=1e-4)


def test_the_step_of_a_series_is_found(draw: torch.Generator) -> None:
    data = Given(torch.randn(12, 30, 2, generator=draw), torch.zeros(12, 5, 2))
    (one, *_) = saliency(Knowing(lambda x: x[:, -4, :1].expand(-1, 5)), data, [])
    assert torch.tensor(one["shares"]).abs().argmax() == 26
    assert one["steps"] == data.inputs[one["row"], :, 0].tolist()


def test_the_word_that_decides_is_found(draw: torch.Generator) -> None:
    tokens = torch.randint(2, 6, (12, 7), generator=draw)
    tokens[:, 3], tokens[:, 6] = 6, 0
    model = Knowing(lambda x: torch.stack([3.0 * (x == 6).any(1), torch.zeros(len(x))], dim=1))
    data = Given(tokens, torch.zeros(12, dtype=torch.long), vocabulary=["", "?", "c", "d", "e", "f", "planted"])
    for one in saliency(model, data, [2]):
        assert len(one["words"]) == 6, "padding is no word"
        assert max(one["words"], key=lambda word: word["share"])["name"] == "planted"


@pytest.mark.parametrize("offers", [{}, {"searches": []}])
def test_rows_without_words_or_numbers_have_no_shares(offers: dict[str, Any]) -> None:
    tokens = torch.ones(5, 4, dtype=torch.long)
    assert saliency(Knowing(lambda x: x.float()), Given(tokens, tokens, **offers), []) == []


def own(values: np.ndarray, columns: list[str] | None = None) -> Any:
    """Return rows of one's own, as `data import` leaves them."""
    name = "my_project.data.arrays"
    arrays: Any = pytest.importorskip(name, reason="a project without data of one's own")
    return arrays.ArrayRows(values, np.zeros(len(values), np.int64), np.arange(len(values)), 1.0, columns or [])


def test_the_pixel_of_a_colour_image_of_ones_own_is_found() -> None:
    images = np.random.default_rng(0).random((12, 8, 6, 3))
    for one in saliency(Knowing(lambda x: 5 * x[:, 2, 4, 1]), own(images), [7]):
        shares = torch.tensor(one["shares"])
        assert shares.shape == torch.tensor(one["pixels"]).shape == (8, 6)
        assert shares.argmax() == 2 * 6 + 4
        assert shares.sum() == pytest.approx(5 * images[one["row"], 2, 4, 1], rel=1e-4), "measured from paper"


@pytest.mark.parametrize("sides", [(224, 224, 3), (3, 50, 97), (224, 224)])
def test_large_pictures_are_shown_small_and_keep_their_shares(sides: tuple[int, ...], draw: torch.Generator) -> None:
    data = Given(torch.rand(2, *sides, generator=draw), torch.zeros(2))
    (one, *_) = saliency(Knowing(lambda x: x.flatten(1).sum(1)), data, [1])
    pixels, shares = torch.tensor(one["pixels"]), torch.tensor(one["shares"])
    assert pixels.shape == shares.shape == {50: (17, 33), 224: (45, 45)}[sides[1]]
    assert shares.sum() == pytest.approx(data.inputs[1].sum().item(), rel=1e-3)
    assert 0.3 < pixels.min() < pixels.max() < 0.7, "means"


def test_a_table_of_ones_own_shows_its_columns_by_name_or_by_place() -> None:
    values = np.random.default_rng(0).random((12, 20)).astype(np.float32)
    model = Knowing(lambda x: 4 * x[:, 18])
    for columns, name in ((["a"] + [f"c{n}" for n in range(1, 20)], "c18"), ([], "input 18")):
        for one in saliency(model, own(values, columns), [5]):
            assert one["columns"][0]["name"] == name
            assert one["columns"][0]["value"] == pytest.approx(values[one["row"], 18].item())


def test_rows_of_more_columns_than_a_person_reads_are_not_shown() -> None:
    assert saliency(Knowing(lambda x: x[:, 18]), own(np.random.default_rng(0).random((12, 61))), [5]) == []


def test_inputs_of_more_axes_than_a_picture_has_are_not_shown(draw: torch.Generator) -> None:
    data = Given(torch.rand(12, 5, 4, 8, 6, generator=draw), torch.zeros(12))
    assert saliency(Knowing(lambda x: x[:, 2, 1, 4, 1]), data, [7]) == []


@pytest.mark.parametrize("words", [False, True])
def test_a_model_that_is_too_slow_is_left_alone(
    words: bool, monkeypatch: pytest.MonkeyPatch, draw: torch.Generator
) -> None:
    inputs = torch.randint(2, 6, (12, 7), generator=draw) if words else torch.randn(12, 3, generator=draw)
    now = iter(range(0, 1000, 4))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(now)))
    data = Given(inputs, torch.zeros(12, dtype=torch.long), **({"vocabulary": "abcdef"} if words else {}))
    with pytest.raises(TimeoutError, match="at most 10 s"):
        saliency(Knowing(lambda x: torch.stack([1.0 * x[:, 0], 0.0 * x[:, 0]], dim=1)), data, [5])
    assert next(now) < 40


def test_a_model_without_a_gradient_has_no_shares(draw: torch.Generator) -> None:
    data = Given(torch.randn(5, 4, generator=draw), torch.zeros(5))
    assert saliency(SimpleModel(), data, []) == []


class SimpleModel(Knowing):
    """Rounds its inputs, through which no gradient flows."""

    def __init__(self) -> None:
        super().__init__(None)

    def forward(self, batch: Batch, _: Any = None) -> StepOutput:
        outputs = batch.inputs.detach().round().sum(1)
        return SimpleNamespace(outputs=outputs)  # type: ignore[return-value]  # all that is looked at
        # copier: endfilter
