# copier: filter replace("my_project", package_name)
"""Figures of rankings equal those counted by hand and by a naive loop."""

import math

import pytest
import torch
from torch import Tensor

from my_project.data.retrieval import Search, Side
from my_project.evaluation.rankings import curve, figures, rank


def search_of(relevant: Tensor, known: Tensor | None = None, cut: int = 10) -> Search:
    sides = [
        Side(inputs=torch.zeros(count), part=part, labels=[str(n) for n in range(count)])
        for part, count in enumerate(relevant.shape)
    ]
    return Search(name="any", queries=sides[0], candidates=sides[1], relevant=relevant, known=known, cut=cut)


def measured(scores: Tensor, relevant: Tensor, known: Tensor | None = None, cut: int = 10) -> dict[str, float]:
    search = search_of(relevant, known, cut)
    return figures(rank(scores, search), search)


def naive(scores: list[list[float]], relevant: list[set[int]], known: list[set[int]], cut: int) -> list[float]:
    """Return recall, MRR and NDCG at a cut, one query and one place after the other."""
    rows = []
    for row, right, out in zip(scores, relevant, known, strict=True):
        if right:
            order = sorted((c for c in range(len(row)) if c not in out), key=lambda c: -row[c])
            hits = [place for place, c in enumerate(order, start=1) if c in right]
            ideal = sum(1 / math.log2(place + 1) for place in range(1, min(cut, len(right)) + 1))
            gain = sum(1 / math.log2(place + 1) for place in hits if place <= cut)
            share = len([place for place in hits if place <= cut]) / min(cut, len(right))
            rows.append((share, 1 / hits[0], gain / ideal))
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def test_figures_of_one_ranking_equal_those_counted_by_hand() -> None:
    scores = torch.tensor([[0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]])
    right = torch.tensor([[False, True, False, True, False, False, True]])  # places 2, 4 and 7
    found = measured(scores, right)
    assert found["recall_at_1"] == 0
    assert found["recall_at_5"] == pytest.approx(2 / 3)
    assert found["recall_at_10"] == 1
    assert found["mrr"] == pytest.approx(1 / 2)
    gain, best = 1 / math.log2(3) + 1 / math.log2(5) + 1 / math.log2(8), 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert found["ndcg_at_10"] == pytest.approx(gain / best)


def test_recall_cannot_ask_for_more_right_answers_than_are_looked_at() -> None:
    scores, right = torch.arange(20.0).flip(0)[None], torch.arange(20)[None] < 8
    found = measured(scores, right)
    assert [found[f"recall_at_{cut}"] for cut in (1, 5, 10)] == [1, 1, 1]
    assert found["ndcg_at_10"] == pytest.approx(1)
    assert [value for _, value in curve(rank(scores, search_of(right)), search_of(right))] == [1] * 6  # 1 to 20


@pytest.mark.parametrize("cut", [1, 3, 10])
def test_figures_equal_those_of_a_naive_loop(cut: int) -> None:
    draw = torch.Generator().manual_seed(0)
    scores = torch.rand(40, 25, generator=draw)
    right, known = (torch.rand(40, 25, generator=draw) < share for share in (0.1, 0.3))
    right &= ~known
    rights, out = ([{*row.nonzero().flatten().tolist()} for row in table] for table in (right, known))
    found = measured(scores, right, known, cut)
    recall, mrr, _ = naive(scores.tolist(), rights, out, cut)
    assert found[f"recall_at_{cut}"] == pytest.approx(recall)
    assert found["mrr"] == pytest.approx(mrr)
    assert found["ndcg_at_10"] == pytest.approx(naive(scores.tolist(), rights, out, 10)[2])


def test_what_is_known_is_never_among_the_first() -> None:
    scores, known = torch.tensor([[3.0, 2.0, 1.0]]), torch.tensor([[True, False, False]])
    assert rank(scores, search_of(known, known)).tolist() == [[1, 2, 0]]


def test_queries_without_a_right_answer_do_not_count() -> None:
    scores, right = torch.tensor([[2.0, 1.0], [2.0, 1.0]]), torch.tensor([[True, False], [False, False]])
    assert measured(scores, right)["recall_at_1"] == 1


def test_where_nobody_asks_nothing_is_found() -> None:
    found = measured(torch.zeros(2, 3), torch.zeros(2, 3, dtype=torch.bool))
    assert {*found.values()} == {0.0}


def test_equal_scores_are_worth_no_more_than_chance() -> None:
    right = torch.eye(200, dtype=torch.bool)
    assert measured(torch.zeros(200, 200), right)["recall_at_10"] == pytest.approx(10 / 200)
    assert measured(torch.eye(200), right)["recall_at_1"] == 1
    # copier: endfilter
