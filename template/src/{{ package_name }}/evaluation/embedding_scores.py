"""What the recall of a search is made of: the share of right answers that each query finds."""

from torch import nn

from ..data.loader import Dataset
from .embedding import score
from .rankings import found, rank
from .row_statistics import Scores, add_up, score_rows


def scores(model: nn.Module, dataset: Dataset) -> Scores:
    """Return for each query of the first search what share of its answers is among the first, as `rankings.recall`.

    Queries are drawn, candidates are not: other candidates may make a search easier or harder for every model. Queries
    that have their answers among one another are one piece: a family.
    """
    search = dataset.searches()[0]
    hits = found(rank(score(model, search), search), search)  # [Q, C]
    shares = hits[:, : search.cut].sum(1).double() / hits.sum(1).clamp(max=search.cut)
    primary = f"recall_at_{search.cut}"
    rows = score_rows(shares, search.relevant, primary=primary, higher_is_better=True, share=True)
    return rows if search.kin is None else add_up(rows, search.kin[search.relevant.any(1)].numpy())
