# copier: filter replace("my_project", package_name)
"""Factors learn what users take: the loss is the formula's, a run beats popularity, its page shows whose neighbours."""

import json
from pathlib import Path

import pytest
import torch

from my_project import run as commands
from my_project.models.matrix_factorisation import MatrixFactorisationConfig
from my_project.types import UNKNOWN, Batch

EXAMPLE = Path(__file__).parents[1] / "examples" / "airports.txt"


@pytest.fixture(scope="module")
def recommender(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "recommender"
    options = {"train.steps": 300, "train.eval_every": 150, "train.out": str(out)}
    return Path(commands.train("matrix_factorisation", options)["run"])


def batch_of(rows: list[list[int]], known: bool = True) -> Batch:
    inputs = torch.tensor(rows)
    return Batch(inputs, inputs[:, 1] if known else torch.full((len(rows),), UNKNOWN), torch.arange(len(rows)))


def test_with_one_item_drawn_the_loss_is_that_of_bayesian_personalised_ranking() -> None:
    model = MatrixFactorisationConfig().build()
    output = model(batch_of([[4, 7, 9], [5, 8, 2]]))
    apart = []
    for user, item, other in ((4, 7, 9), (5, 8, 2)):
        scores = [model.users.weight[user] @ model.items.weight[n] + model.bias.weight[n] for n in (item, other)]
        apart.append(-torch.nn.functional.logsigmoid(scores[0] - scores[1]))
    torch.testing.assert_close(output.loss, torch.cat(apart).mean())


def test_the_inner_product_of_the_answers_is_the_score_of_user_and_item() -> None:
    model = MatrixFactorisationConfig().build()
    torch.nn.init.normal_(model.bias.weight)
    user, item = model(batch_of([[4, 7]])).outputs[0]
    torch.testing.assert_close(user @ item, model.users.weight[4] @ model.items.weight[7] + model.bias.weight[7, 0])


def test_items_marked_as_taken_do_not_count() -> None:
    model = MatrixFactorisationConfig().build()
    with_mark, without = (model(batch_of([[4, 7, 9, *mark]])).loss for mark in ([UNKNOWN], []))
    torch.testing.assert_close(with_mark, without)


def test_rows_that_nobody_knows_are_left_out_of_the_loss() -> None:
    model = MatrixFactorisationConfig().build()
    assert model(batch_of([[4, 7, 9]], known=False)).loss.item() == 0


def test_a_short_run_beats_popularity_clearly(recommender: Path) -> None:
    record = json.loads((recommender / "evaluation.json").read_text())
    assert (record["split"], record["primary"]) == ("val", "recall_at_10")
    assert record["value"] > record["baselines"]["popularity"] + 0.05


def test_predictions_are_new_places_for_each_airport(recommender: Path) -> None:
    answers = commands.predict(recommender, EXAMPLE)
    assert [row["query"] for row in answers] == EXAMPLE.read_text().split()
    for row in answers:
        names = [answer["answer"] for answer in row["answers"]]
        assert len(set(names)) == 10
        assert row["query"] not in names


def test_the_report_shows_neighbours_curves_and_a_map(recommender: Path) -> None:
    page, record = (recommender / "report.html").read_text(), json.loads((recommender / "evaluation.json").read_text())
    for figure in (record["value"], record["metrics"]["mrr"], *record["baselines"].values()):
        assert f"<b>{figure:.4f}</b>" in page
    assert page.count('<div class="query">') == 8
    assert page.count('<svg class="figure"') == 4  # two learning curves, one of recall, the map
    assert page.count("<title>") == 1 + 305
    # copier: endfilter
