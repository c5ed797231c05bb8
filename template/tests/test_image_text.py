# copier: filter replace("my_project", package_name)
"""Images and phrases meet: a run finds either by the other, also by phrases that it never learnt."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from my_project import config as configs
from my_project import run as commands
from my_project.data.digit_names import WORDS
from my_project.types import Batch

EXAMPLE = Path(__file__).parents[1] / "examples" / "names.txt"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "pair"
    options = {"train.steps": 200, "train.eval_every": 100, "train.out": str(out)}
    return Path(commands.train("image_text", options)["run"])


def test_padding_and_the_other_side_change_no_embedding() -> None:
    config = configs.load("image_text")
    model, batch = config.model.build().eval(), config.data.build("val")[torch.arange(5), 0]
    longer = {**batch.inputs, "text": torch.nn.functional.pad(batch.inputs["text"], (0, 4))}
    expected = model(batch).outputs
    torch.testing.assert_close(model(Batch(longer, batch.targets, batch.index)).outputs, expected)
    torch.testing.assert_close(expected.norm(dim=2), torch.ones(5, 2))
    black = {**batch.inputs, "image": torch.zeros(5, 8, 8)}
    found = model(Batch(black, batch.targets, batch.index)).outputs
    torch.testing.assert_close(found[:, 1], expected[:, 1])
    assert not torch.allclose(found[:, 0], expected[:, 0])


def test_a_short_run_finds_names_and_images(pair: Path) -> None:
    record = json.loads((pair / "evaluation.json").read_text())
    assert (record["split"], record["primary"]) == ("val", "recall_at_1")
    assert record["value"] > max(0.95, record["baselines"]["pixel_prototypes"])
    names, images = record["metrics"]["searches"]
    assert (
        (names["num_queries"], names["num_candidates"])
        == (images["num_candidates"], images["num_queries"])
        == (270, 80)
    )
    found = images["figures"]
    assert found["model"]["recall_at_10"] > 0.95


def test_predictions_go_both_ways(pair: Path) -> None:
    splits = {split: configs.load("image_text").data.build(split) for split in ("train", "val")}
    np.save("images.npy", (splits["val"].images[:20] * 16).numpy())
    firsts = [row["answers"][0]["answer"] for row in commands.predict(pair, Path("images.npy"))]
    right = [WORDS[digit] for digit in splits["val"].targets[:20]]
    assert sum(first == word for first, word in zip(firsts, right, strict=True)) >= 19
    for row, digit in zip(commands.predict(pair, EXAMPLE), (7, 3, 0), strict=True):
        places = [answer["answer"].split() for answer in row["answers"]]
        found = [int(splits[split].targets[int(number)]) for split, _, number in places]
        assert found.count(digit) >= 9


def test_the_report_shows_images_and_names_both_ways(pair: Path) -> None:
    page, record = (pair / "report.html").read_text(), json.loads((pair / "evaluation.json").read_text())
    for figure in (record["value"], record["metrics"]["mrr"], *record["baselines"].values()):
        assert f"<b>{figure:.4f}</b>" in page
    assert page.count('<div class="query">') == 16
    assert page.count('<svg class="ink"') == 8 + 8 * 5
    assert page.count('<svg class="figure"') == 5  # two learning curves, two of recall, the map
    # copier: endfilter
