"""How good a classifier of texts is: as any classifier, beside baselines on words, with the words that decided."""

import logging
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.loader import DataConfig, Dataset
from ..data.tokens import decode
from ..training.optimizer import OptimConfig
from ..types import Batch, Measurement
from . import classification
from .classification import answers, measure

__all__ = ["answers", "baselines", "measure", "measure_fully", "pictures"]
NUM_STEPS, PENALTY = 100, 0.1  # of the linear baselines: steps, each on all rows; L2 penalty, as in C = 10

logger = logging.getLogger(__name__)


def measure_fully(model: nn.Module, dataset: Dataset, data: DataConfig) -> Measurement:
    """Return every figure that the report shows, and by how much each word of a worst error spoke for the answer."""
    full = classification.measure_fully(model, dataset, data)
    worst = [{**error, "shares": shares(model, dataset.inputs[error["row"]])} for error in full.metrics["worst"]]
    return replace(full, metrics={**full.metrics, "worst": worst})


@torch.inference_mode()
def shares(model: nn.Module, tokens: Tensor) -> list[float]:
    """Return for each word of a text [L] what the answer's log-probability loses without it (Li et al. 2016, eq. 2)."""
    words = tokens[tokens > 0]
    texts = torch.zeros(len(words) + 1, len(tokens), dtype=tokens.dtype)  # the whole text, then one word fewer each
    texts[0] = tokens
    for row in range(len(words)):
        texts[row + 1, : len(words) - 1] = torch.cat([words[:row], words[row + 1 :]])
    index = torch.arange(len(texts))
    device = next(model.parameters()).device
    logits = model.eval()(Batch(texts, torch.zeros_like(index), index).to(device), None).outputs
    scores = logits.float().log_softmax(1)[:, logits[0].argmax()].cpu()
    return [float(share) for share in scores[0] - scores[1:]]


def baselines(train: Dataset, other: Dataset, data: DataConfig) -> dict[str, float]:
    """Return the accuracy on another split of the most frequent class, and of two linear classifiers of words.

    Both see how often a word is in a text, one as it is, one as TF-IDF; both vocabularies are the training split's.
    """
    sizes, guesses = (len(train.vocabulary), len(data.labels)), {"majority": train.targets.mode().values}
    rows, others = (count(split.inputs, len(train.vocabulary)) for split in (train, other))
    weights = idf(rows)
    pairs = {"linear": (scale(rows), scale(others))}
    pairs["TF-IDF + linear"] = (tf_idf(rows, weights), tf_idf(others, weights))
    for number, (name, (ours, theirs)) in enumerate(pairs.items(), start=1):
        logger.info("baseline %d of %d: %s", number, len(pairs), name)
        linear = fit(ours, train.targets, sizes)
        guesses[name] = (theirs @ linear.weight.T.detach() + linear.bias.detach()).argmax(1)
    return {name: float((other.targets == guess).double().mean()) for name, guess in guesses.items()}


def count(tokens: Tensor, vocab_size: int) -> Tensor:
    """Return how often each text of tokens [N, L] has each word, as a sparse matrix [N, V]; unknown words are none."""
    rows, columns = (tokens > 1).nonzero(as_tuple=True)
    places = torch.stack([rows, tokens[rows, columns]])
    return sparse(places, torch.ones(len(rows)), (len(tokens), vocab_size))


def sparse(places: Tensor, values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return a sparse matrix with values [M] at places [2, M]; those at the same place are added up."""
    return torch.sparse_coo_tensor(places, values, shape, check_invariants=False).coalesce()


def idf(counts: Tensor) -> Tensor:
    """Return log((1 + N) / (1 + df)) + 1 of each word [V]: how few of the texts [N, V] have it."""
    found = torch.bincount(counts.indices()[1], minlength=counts.shape[1])
    return ((1 + counts.shape[0]) / (1 + found)).log() + 1


def tf_idf(counts: Tensor, weights: Tensor) -> Tensor:
    """Return (1 + log tf) idf (Salton and Buckley 1988) of counts [N, V] and weights [V], in rows of length 1."""
    values = (1 + counts.values().log()) * weights[counts.indices()[1]]
    return scale(sparse(counts.indices(), values, counts.shape))


def scale(rows: Tensor) -> Tensor:
    """Return a sparse matrix [N, V] with rows of length 1; a row of nothing stays so."""
    squares = torch.zeros(len(rows)).index_add(0, rows.indices()[0], rows.values().square())
    values = rows.values() / squares[rows.indices()[0]].sqrt()
    return sparse(rows.indices(), values, rows.shape)


def fit(rows: Tensor, targets: Tensor, sizes: tuple[int, int]) -> nn.Linear:
    """Return logistic regression from sparse rows [N, V] to classes [N], with an L2 penalty."""
    linear = nn.Linear(*sizes)
    for parameter in linear.parameters():
        nn.init.zeros_(parameter)
    optimization = OptimConfig(lr=0.3, warmup_steps=0, weight_decay=0, grad_clip=0).build(linear, NUM_STEPS)
    for _ in range(NUM_STEPS):
        loss = F.cross_entropy(torch.sparse.mm(rows, linear.weight.T) + linear.bias, targets)
        (loss + PENALTY * linear.weight.square().sum() / (2 * len(targets))).backward()
        optimization.step()
    return linear


def pictures(dataset: Dataset, metrics: dict[str, Any]) -> dict[str, Any]:
    """Return what the page shows beside the figures: words of the worst errors, and how strongly each spoke."""
    texts = [decode(dataset.inputs[error["row"]].tolist(), dataset.vocabulary) for error in metrics["worst"]]
    most = [max([abs(share) for share in error["shares"]], default=0) or 1 for error in metrics["worst"]]
    parts = zip(texts, metrics["worst"], most, strict=True)
    return {"texts": [[*zip(text, (s / top for s in error["shares"]), strict=True)] for text, error, top in parts]}
