"""TF-IDF of texts: the weights of their tokens by how rare these are in a collection (Salton and Buckley 1988)."""

import math
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def tfidf(collection: Sequence[Sequence[str]], texts: Sequence[Sequence[str]]) -> Tensor:
    """Return rows [N, F] of length 1 for texts as lists of tokens; how rare a token is, the collection says.

    The weight is (1 + log n) (1 + log((1 + N) / (1 + d))) for n times in the text, and in d of N texts of the
    collection. A token that none of them has is the rarest.
    """
    documents = Counter(token for text in collection for token in set(text))
    columns = {token: column for column, token in enumerate(dict.fromkeys(token for text in texts for token in text))}
    rarity = {token: 1 + math.log((1 + len(collection)) / (1 + documents[token])) for token in columns}
    counts = [(row, token, n) for row, text in enumerate(texts) for token, n in Counter(text).items()]
    places = torch.tensor([[row, columns[token]] for row, token, _ in counts], dtype=torch.long).view(-1, 2)
    weights = torch.zeros(len(texts), max(1, len(columns)))
    weights[places[:, 0], places[:, 1]] = torch.tensor([(1 + math.log(n)) * rarity[token] for _, token, n in counts])
    return F.normalize(weights, dim=1)
