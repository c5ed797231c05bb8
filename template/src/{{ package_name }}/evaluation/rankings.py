"""Figures of rankings: what share of the right answers comes first, and how early."""

import torch
from torch import Tensor

from ..data.retrieval import Search

CUTS = (1, 2, 3, 5, 10, 20, 50, 100)  # numbers of answers at which recall is drawn


def rank(scores: Tensor, search: Search) -> Tensor:
    """Return the candidates' numbers [Q, C] from the best score [Q, C] to the worst; what is known comes last.

    Equal scores are ranked by lot, the same for every query, so that no order of the rows helps anybody.
    """
    if search.known is not None:
        scores = scores.masked_fill(search.known, -torch.inf)
    lot = torch.randperm(scores.shape[1], generator=torch.Generator().manual_seed(0))
    return lot[scores[:, lot].argsort(dim=1, descending=True, stable=True)]


def found(order: Tensor, search: Search) -> Tensor:
    """Return which places of a ranking [Q, C] hold a right answer, [Q', C] bool, of queries that have one."""
    asked = search.relevant.any(1)
    return search.relevant[asked].gather(1, order[asked])


def mean(values: Tensor) -> float:
    """Return the mean of values [Q]; where nobody asks nothing is found."""
    return float(values.double().mean()) if len(values) else 0.0


def recall(hits: Tensor, cut: int) -> float:
    """Return the mean share of right answers among the first `cut` of hits [Q, C], of as many as fit in there.

    Thakur et al. (2021, appendix) call it capped recall: without the cap eleven right answers could not all be found
    in ten.
    """
    return mean(hits[:, :cut].sum(1) / hits.sum(1).clamp(max=cut))


def reciprocal_rank(hits: Tensor) -> float:
    """Return the mean of 1 / place of the first right answer in hits [Q, C] (Voorhees 1999)."""
    return mean(1 / (hits.int().argmax(1) + 1))


def ndcg(hits: Tensor, cut: int) -> float:
    """Return the mean discounted gain of the first `cut` of hits [Q, C] over the best possible one.

    Järvelin and Kekäläinen (2002), with the discount 1 / log2(1 + place) and gains of 0 and 1.
    """
    width = min(cut, hits.shape[1])
    discounts = 1 / torch.arange(2, width + 2).double().log2()
    best = discounts.cumsum(0)[hits.sum(1).clamp(max=width) - 1]
    return mean((hits[:, :width] * discounts).sum(1) / best)


def figures(order: Tensor, search: Search) -> dict[str, float]:
    """Return the figures of a ranking [Q, C]."""
    hits = found(order, search)
    recalls = {f"recall_at_{cut}": recall(hits, cut) for cut in sorted({1, 5, 10, search.cut})}
    return {**recalls, "mrr": reciprocal_rank(hits), "ndcg_at_10": ndcg(hits, 10)}


def curve(order: Tensor, search: Search) -> list[tuple[int, float]]:
    """Return recall at growing numbers of answers in a ranking [Q, C]."""
    hits = found(order, search)
    return [(cut, recall(hits, cut)) for cut in CUTS if cut <= hits.shape[1]]
