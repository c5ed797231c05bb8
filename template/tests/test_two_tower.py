# copier: filter replace("my_project", package_name)
"""Two towers learn which texts are kindred: a run beats TF-IDF, answers queries, and its page shows neighbours."""

import json
from pathlib import Path

import pytest
import torch

from my_project import config as configs
from my_project import run as commands
from my_project.types import Batch

EXAMPLE = Path(__file__).parents[1] / "examples" / "queries.txt"


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "search"
    options = {"train.steps": 200, "train.eval_every": 100, "train.out": str(out), "model.token_dropout": 0.3}
    return Path(commands.train("two_tower", options)["run"])


def test_padding_and_the_other_side_change_no_embedding() -> None:
    config = configs.load("two_tower")
    model, batch = config.model.build().eval(), config.data.build("val")[torch.arange(5), 0]
    expected = model(batch).outputs
    longer = Batch(torch.nn.functional.pad(batch.inputs, (0, 7)), batch.targets, batch.index)
    torch.testing.assert_close(model(longer).outputs, expected)
    torch.testing.assert_close(expected.norm(dim=2), torch.ones(5, 2))
    other = torch.stack([batch.inputs[:, 0], batch.inputs[:, 1].flip(0)], dim=1)
    found = model(Batch(other, batch.targets, batch.index)).outputs
    torch.testing.assert_close(found[:, 0], expected[:, 0])
    assert not torch.allclose(found[:, 1], expected[:, 1])


def test_a_text_without_a_token_has_a_finite_embedding() -> None:
    model = configs.load("two_tower").model.build().eval()
    output = model(Batch(torch.zeros(2, 2, 4, dtype=torch.long), torch.arange(2), torch.arange(2)))
    assert output.outputs.isfinite().all()


def test_tokens_are_left_out_in_training_only() -> None:
    config = configs.load("two_tower", {"model.dropout": 0.0})
    model, batch = config.model.build(), config.data.build("val")[torch.arange(5), 0]
    assert not torch.equal(model(batch).outputs, model(batch).outputs)
    model.eval()
    assert torch.equal(model(batch).outputs, model(batch).outputs)


def test_a_short_run_beats_both_kinds_of_tfidf_clearly(search: Path) -> None:
    record = json.loads((search / "evaluation.json").read_text())
    assert (record["split"], record["primary"]) == ("val", "recall_at_10")
    assert {*record["baselines"]} == {"tfidf_words", "tfidf_letters"}
    assert record["value"] > max(record["baselines"].values()) + 0.05


def test_predictions_are_texts_of_the_dictionary(search: Path) -> None:
    answers = commands.predict(search, EXAMPLE)
    assert [row["query"] for row in answers] == EXAMPLE.read_text().splitlines()
    texts = {label for split in ("train", "val") for label in configs.load("two_tower").data.build(split).labels}
    for row in answers:
        assert len(row["answers"]) == 10
        assert {answer["answer"] for answer in row["answers"]} <= texts
        assert all(-1.001 < answer["score"] < 1.001 for answer in row["answers"])


def test_the_report_shows_neighbours_curves_and_a_map(search: Path) -> None:
    page, record = (search / "report.html").read_text(), json.loads((search / "evaluation.json").read_text())
    for figure in (record["value"], record["metrics"]["mrr"], *record["baselines"].values()):
        assert f"<b>{figure:.4f}</b>" in page
    assert page.count('<div class="query">') == 8
    assert page.count('<svg class="figure"') == 4  # two learning curves, one of recall, the map
    rights = sum(place <= 5 for place in (one["place"] for one in record["metrics"]["searches"][0]["examples"]))
    assert page.count('<li class="right"') >= rights
    # copier: endfilter
