# copier: filter replace("my_project", package_name)
"""Embeddings are measured, shown and searched as they are, whatever the data."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from my_project import config as configs
from my_project import run as commands
from my_project.data.retrieval import Search, Side, lots
from my_project.evaluation import embedding
from my_project.types import Batch, Carry, StepOutput

COUNT = 30
NAMES = sorted(path.stem for path in configs.PRESETS.glob("*.yaml"))
PRESETS = [name for name in NAMES if configs.load(name).data.task == "embedding"]


class Echo(nn.Module):
    """A model whose embeddings are its inputs [B, 2, D]; its loss is the number of rows."""

    def __init__(self) -> None:
        super().__init__()
        self.zero = nn.Parameter(torch.zeros(1))

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        return StepOutput(self.zero + len(batch.index), batch.inputs["vectors"] + self.zero, {}, carry)


class Pairs:
    """Each of [N] queries has one right candidate, whose vector is its own, turned a little."""

    batch_size = 8

    def __init__(self, turn: float = 0.1) -> None:
        draw = torch.Generator().manual_seed(0)
        first, other = torch.randn(2, COUNT, 6, generator=draw)
        self.vectors = torch.nn.functional.normalize(torch.stack([first, first + turn * other], dim=1), dim=2)

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, key: tuple[Tensor, int]) -> Batch:
        return Batch({"vectors": self.vectors[key[0]]}, key[0], key[0])

    def searches(self) -> list[Search]:
        names, groups = [f"<{n}>" for n in range(COUNT)], [n % 3 for n in range(COUNT)]
        inputs, right = {"vectors": self.vectors}, torch.eye(COUNT, dtype=torch.bool)
        sides = [Side(inputs=inputs, part=part, labels=names, groups=groups, classes="abc") for part in (0, 1)]
        return [Search(name="pairs", queries=sides[0], candidates=sides[1], relevant=right)]


class PairsData:
    """What the settings of data answer."""

    def build(self, _: str) -> Pairs:
        return Pairs()

    def rivals(self, _: Pairs, other: Pairs) -> list[dict[str, Tensor]]:
        return [{"right": torch.eye(len(other)), "nothing": torch.zeros(len(other), len(other))}]

    def read(self, path: Path) -> Search:
        (search,) = Pairs().searches()
        known = {"others": torch.eye(COUNT, dtype=torch.bool), "three": torch.arange(COUNT).expand(COUNT, -1) > 2}
        return replace(search, known=known.get(path.name))


def test_scores_are_inner_products_in_the_order_of_the_rows() -> None:
    pairs = Pairs()
    (search,) = pairs.searches()
    found = embedding.score(Echo(), search)
    torch.testing.assert_close(found, pairs.vectors[:, 0] @ pairs.vectors[:, 1].T)
    parts = [embedding.embed(Echo(), search.queries, batch_size) for batch_size in (7, 100)]
    assert torch.equal(*parts)


def test_the_loss_is_that_of_batches_as_in_training() -> None:
    found = embedding.measure(Echo(), Pairs()).metrics["loss"]
    assert found == pytest.approx((8 * 8 * 3 + 6 * 6) / COUNT)


def test_evaluation_changes_neither_weights_nor_gradients() -> None:
    model = Echo()
    measurement = embedding.measure(model, Pairs())
    assert (measurement.primary, measurement.higher_is_better) == ("recall_at_10", True)
    assert measurement.value == measurement.metrics["recall_at_10"] > 0.9
    assert model.zero.item() == 0
    assert model.zero.grad is None


def test_baselines_are_measured_as_the_model_is() -> None:
    found = embedding.baselines(Pairs(), Pairs(), PairsData())
    assert found == {"right": 1.0, "nothing": pytest.approx(10 / COUNT)}
    metrics = embedding.measure_fully(Echo(), Pairs(), PairsData()).metrics
    assert metrics["num_rows"] == COUNT
    (table,) = metrics["searches"]
    assert {name: each["recall_at_10"] for name, each in table["figures"].items() if name != "model"} == found
    assert all(dict(points)[10] == table["figures"][name]["recall_at_10"] for name, points in table["curves"].items())


def test_examples_are_the_first_answers_with_the_place_of_the_right_one() -> None:
    pairs = Pairs(turn=1.0)
    metrics = embedding.measure_fully(Echo(), pairs, PairsData()).metrics
    scores = embedding.score(Echo(), pairs.searches()[0])
    places = [one["place"] for one in metrics["searches"][0]["examples"]]
    assert max(places) > 1, "nothing to see"
    for one in metrics["searches"][0]["examples"]:
        row = scores[one["query"]]
        assert one["place"] == 1 + int((row > row[one["query"]]).sum())
        assert [c for c, _ in one["answers"]] == row.argsort(descending=True)[:5].tolist()
    page = embedding.pictures(pairs, dict(metrics))
    rights = [[answer["right"] for answer in one["answers"]] for one in page["examples"][0]]
    assert [sum(right) for right in rights] == [int(place <= 5) for place in places]


def test_the_map_shows_the_directions_in_which_embeddings_differ_most() -> None:
    pairs = Pairs(turn=0.0)
    pairs.vectors = torch.zeros_like(pairs.vectors)
    pairs.vectors[..., 2] = torch.arange(float(COUNT))[:, None]
    points = embedding.project(Echo(), pairs.searches()[0])
    assert len(points) == 2 * COUNT
    by_number = sorted(points, key=lambda point: point["x"])
    numbers = [point["number"] for point in by_number[::2]]
    assert numbers in (sorted(numbers), sorted(numbers, reverse=True))
    assert all(abs(point["y"]) < 1e-3 for point in points)


def answered(name: str) -> list[dict[str, Any]]:
    return embedding.answers(Echo(), PairsData(), Path(name))


def test_answers_are_ranked_and_leave_out_what_is_known() -> None:
    for number, row in enumerate(answered("all")):
        scores = [answer["score"] for answer in row["answers"]]
        assert row["query"] == f"<{number}>"
        assert len(scores) == 10
        assert scores == sorted(scores, reverse=True)
    assert all(row["answers"][0]["answer"] != row["query"] for row in answered("others"))
    assert sum(row["answers"][0]["answer"] == row["query"] for row in answered("all")) > 0.9 * COUNT
    assert all({answer["answer"] for answer in row["answers"]} == {"<0>", "<1>", "<2>"} for row in answered("three"))


@pytest.mark.parametrize("preset", PRESETS)
def test_training_and_baselines_never_open_the_test_file(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, read_bytes = list[str](), Path.read_bytes

    def recording(path: Path) -> bytes:
        opened.append(path.name)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", recording)
    config = configs.load(preset, {"train.steps": 2})
    commands.fit(config)
    config.data.rivals(config.data.build("train"), config.data.build("val", num_rows=20))
    names = {name for name in opened if name.endswith(".npz")}
    assert len(names) == 1
    assert not any(name.endswith("_test.npz") for name in names)


def test_lots_follow_from_row_and_seed_and_are_near_uniform() -> None:
    index = torch.arange(4000)
    drawn = lots(index, 7, 3)
    assert torch.equal(lots(index[100:200], 7, 3), drawn[100:200])
    assert not torch.equal(lots(index, 8, 3), drawn)
    assert (drawn >= 0).all()
    counts = torch.bincount((drawn % 10).flatten(), minlength=10)
    assert ((counts - 1200).abs() < 5 * (1200 * 0.9) ** 0.5).all()
    assert (drawn[:, 0] % 10 == drawn[:, 1] % 10).double().mean().item() == pytest.approx(0.1, abs=0.025)
    # copier: endfilter
