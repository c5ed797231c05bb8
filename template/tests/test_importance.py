# copier: filter replace("my_project", package_name)
"""What decides everything comes out first, noise at nothing; what has no parts has no section."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from my_project.evaluation.importance import (
    MOST_SECONDS,
    affordable,
    doubling,
    find_parts,
    importance,
)
from my_project.types import Batch, Measurement, StepOutput

from .sample import Given


class Knowing(nn.Module):
    """Answers with a function of the inputs."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.weight, self.function = nn.Parameter(torch.ones(())), function

    def forward(self, batch: Batch, _: Any = None) -> StepOutput:
        outputs = self.function(batch.inputs).float() * self.weight
        return StepOutput(outputs.sum(), outputs, {})


@torch.inference_mode()
def measure(model: nn.Module, data: Any) -> Measurement:
    batch = data[torch.arange(len(data)), 0]
    error = float((model(batch).outputs - data.targets).square().mean().sqrt())
    return Measurement(primary="rmse", value=error, higher_is_better=False, metrics={"rmse": error})


FIGURES = SimpleNamespace(measure=measure)


def found(function: Any, inputs: Any, **offers: Any) -> Any:
    return importance(FIGURES, Knowing(function), Given(inputs, function(inputs).float(), **offers))


@pytest.fixture
def draw() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_a_column_that_decides_everything_comes_first_and_noise_at_nothing(draw: torch.Generator) -> None:
    result = found(lambda x: 3 * x[:, 2] + 0.5 * x[:, 0], torch.randn(300, 4, generator=draw))
    drops = {part["name"]: part for part in result["parts"]}
    assert result["by"] == "column"
    assert (result["rows"], result["draws"]) == (256, 5)
    assert max(drops, key=lambda name: drops[name]["drop"]) == "input 2"
    assert drops["input 2"]["drop"] == pytest.approx(3 * 2**0.5, rel=0.1)  # both rows vary
    assert drops["input 0"]["clear"]
    for name in ("input 1", "input 3"):
        assert abs(drops[name]["drop"]) <= 2 * drops[name]["spread"]
        assert not drops[name]["clear"]


def test_a_noise_column_that_a_model_looks_at_stays_within_its_spread(draw: torch.Generator) -> None:
    inputs = torch.randn(200, 3, generator=draw)
    data = Given(inputs, 3 * inputs[:, 0])
    model = Knowing(lambda x: 3 * x[:, 0] + 0.2 * x[:, 1])
    result = importance(FIGURES, model, data)
    assert result
    drops = {part["name"]: part for part in result["parts"]}
    assert drops["input 0"]["drop"] > 50 * abs(drops["input 1"]["drop"])
    assert abs(drops["input 1"]["drop"]) <= 3 * drops["input 1"]["spread"]


def test_a_category_is_one_part_under_its_name(draw: torch.Generator) -> None:
    kinds = torch.randint(3, (200,), generator=draw)
    inputs = torch.cat([torch.randn(200, 1, generator=draw), nn.functional.one_hot(kinds, 3).float()], dim=1)
    columns = [{"name": "age"}, {"name": "kind", "values": ["a", "b", "c"]}]
    result = found(lambda x: x[:, 1:] @ torch.tensor([0.0, 5.0, 9.0]), inputs, columns=columns)
    drops = {part["name"]: part["drop"] for part in result["parts"]}
    assert drops["kind"] > 1
    assert drops["age"] == 0


def test_columns_may_be_given_by_their_names_alone(draw: torch.Generator) -> None:
    result = found(lambda x: 3 * x[:, 1], torch.randn(100, 2, generator=draw), columns=["age", "height"])
    assert [part["name"] for part in result["parts"]] == ["age", "height"]
    assert result["parts"][1]["drop"] > 1


def test_the_patch_that_is_looked_at_is_found(draw: torch.Generator) -> None:
    result = found(lambda x: x[:, 5, 1], torch.randn(100, 8, 8, generator=draw))
    best = max(result["parts"], key=lambda part: part["drop"])
    assert result["by"] == "patch"
    assert len(result["parts"]) == 16
    assert best["place"] == (4, 0)


def test_the_patch_of_a_colour_image_is_found_wherever_its_channels_are(draw: torch.Generator) -> None:
    images = torch.randn(100, 8, 6, 3, generator=draw)
    last = found(lambda x: x[:, 5, 1, 2], images)
    first = found(lambda x: x[:, 2, 5, 1], images.permute(0, 3, 1, 2))
    for result in (last, first):
        assert result["by"] == "patch"
        assert len(result["parts"]) == 12
        assert max(result["parts"], key=lambda part: part["drop"])["place"] == (4, 0)
    assert [part["drop"] for part in last["parts"]] == [part["drop"] for part in first["parts"]]


def test_steps_back_and_places_of_words_are_found(draw: torch.Generator) -> None:
    series = found(lambda x: x[:, -3, 0], torch.randn(100, 40, 2, generator=draw))
    assert max(series["parts"], key=lambda part: part["drop"])["name"] == "3 to 4 back"
    words = found(lambda x: (x[:, 1] > 4).float(), torch.randint(1, 9, (100, 12), generator=draw))
    assert max(words["parts"], key=lambda part: part["drop"])["name"] == "place 2"


def test_of_several_sides_each_is_a_part(draw: torch.Generator) -> None:
    inputs = {"image": torch.randn(100, 4, 4, generator=draw), "words": torch.randint(1, 9, (100, 3), generator=draw)}
    result = found(lambda x: x["words"][:, 0].float() + 0 * x["image"].sum((1, 2)), inputs)
    drops = {part["name"]: part["drop"] for part in result["parts"]}
    assert drops["words"] > 1
    assert drops["image"] == 0


def test_a_slow_model_is_measured_on_fewer_rows_and_then_by_fewer_draws() -> None:
    rows = torch.arange(256)
    assert [(len(kept), draws) for kept, draws in (affordable(rows, s) for s in (0.0, 2.0, 4.0, 20.0))] == [
        *((256, 5), (256, 5)),
        *((128, 5), (32, 4)),
    ]
    for count, seconds in ((256, 4.0), (256, 20.0), (20, 3.0)):
        kept, draws = affordable(rows[:count], seconds)
        assert draws * seconds * len(kept) / count <= MOST_SECONDS


def test_a_model_that_is_too_slow_for_a_few_rows_is_left_out_with_a_line(
    monkeypatch: pytest.MonkeyPatch, draw: torch.Generator
) -> None:
    with pytest.raises(TimeoutError, match="32 rows would take about 810 s, at most 10 s"):
        affordable(torch.arange(256), 2160.0)  # a draw on all of them
    now = iter(range(0, 1000, 40))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(now)))
    measured = list[int]()

    def function(inputs: Tensor) -> Tensor:
        measured.append(len(inputs))
        return inputs[:, 0]

    with pytest.raises(TimeoutError):
        found(function, torch.randn(300, 4, generator=draw))
    assert measured == [300, 32, 32], "beside the targets, nothing but a few rows"


def test_what_has_no_parts_of_its_own_has_no_importance(draw: torch.Generator) -> None:
    tokens = torch.randint(1, 9, (20, 6), generator=draw)
    assert find_parts(Given(tokens, tokens))[0] == []  # an answer for each place
    assert find_parts(Given(tokens, tokens[:, 0], searches=[]))[0] == []
    constant = Knowing(lambda x: torch.zeros(len(x)))
    assert importance(FIGURES, constant, Given(torch.randn(20, 3), torch.zeros(20))) is None


def test_pieces_double_until_the_end() -> None:
    assert doubling(10) == [(0, 1), (1, 2), (2, 4), (4, 8), (8, 10)]
    assert doubling(1) == [(0, 1)]
    # copier: endfilter
