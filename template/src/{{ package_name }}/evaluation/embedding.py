"""How well embeddings find what belongs together: figures on a split, baselines, what the page shows, answers."""

import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..data.loader import DataConfig, Dataset
from ..data.retrieval import Search, Side
from ..types import UNKNOWN, Batch, Measurement, map_carry
from .rankings import curve, figures, rank

NEVER = -math.inf  # the score of what is no answer
NUM_EXAMPLES, NUM_NEIGHBOURS, NUM_POINTS, NUM_ANSWERS = 8, 5, 400, 10  # queries and answers shown; points of a side

logger = logging.getLogger(__name__)


@torch.inference_mode()
def embed(model: nn.Module, side: Side, batch_size: int = 256) -> Tensor:
    """Return the embeddings [N, D] of a side of a search, on the CPU, in fp32."""
    model.eval()
    device, found = next(model.parameters()).device, list[Tensor]()
    for rows in torch.arange(len(side.labels)).split(batch_size):
        inputs = map_carry(side.inputs, lambda part, rows=rows: part[rows])  # type: ignore[misc]  # what is now its rows
        batch = Batch(inputs, torch.full_like(rows, UNKNOWN), rows).to(device)
        found.append(model(batch, None).outputs[:, side.part].float().cpu())
    return torch.cat(found)


def score(model: nn.Module, search: Search) -> Tensor:
    """Return the inner product of each query's and each candidate's embedding, [Q, C]."""
    return embed(model, search.queries) @ embed(model, search.candidates).T


@torch.inference_mode()
def mean_loss(model: nn.Module, dataset: Dataset) -> float:
    """Return the loss over batches as large as those of the training, since rows may be each other's negatives."""
    model.eval()
    device, parts = next(model.parameters()).device, torch.arange(len(dataset)).split(dataset.batch_size)
    return sum(float(model(dataset[part, 0].to(device), None).loss) * len(part) for part in parts) / len(dataset)


def measure(model: nn.Module, dataset: Dataset) -> Measurement:
    """Return the few figures that follow a training run, of the first search."""
    search = dataset.searches()[0]
    found, primary = figures(rank(score(model, search), search), search), f"recall_at_{search.cut}"
    metrics = {"loss": mean_loss(model, dataset), **found}
    return Measurement(primary=primary, value=found[primary], higher_is_better=True, metrics=metrics)


def measure_fully(model: nn.Module, dataset: Dataset, data: DataConfig) -> Measurement:
    """Return every figure that the report shows: of each search and its baselines, examples, a map."""
    logger.info("searching for the answers of %d rows: the model, then what it has to beat", len(dataset))
    short, searches, rivals = measure(model, dataset), dataset.searches(), data.rivals(data.build("train"), dataset)
    tables = [describe(score(model, search), search, each) for search, each in zip(searches, rivals, strict=True)]
    return replace(
        short,
        metrics={**short.metrics, "num_rows": len(dataset), "searches": tables, "map": project(model, searches[0])},
    )


def describe(scores: Tensor, search: Search, rivals: dict[str, Tensor]) -> dict[str, Any]:
    """Return figures and recall curves of scores [Q, C] and of what they have to beat, and a few queries by lot."""
    orders = {name: rank(other, search) for name, other in {"model": scores, **rivals}.items()}
    order, asked = orders["model"], search.relevant.any(1).nonzero().flatten()
    lot = asked[torch.randperm(len(asked), generator=torch.Generator().manual_seed(0))[:NUM_EXAMPLES]].tolist()
    examples = [
        {
            "query": query,
            "place": int(search.relevant[query, order[query]].int().argmax()) + 1,
            "answers": [(c, float(scores[query, c])) for c in order[query, :NUM_NEIGHBOURS].tolist()],
        }
        for query in lot
    ]
    return {
        "name": search.name,
        "about": search.about,
        "num_queries": len(asked),
        "num_candidates": len(search.candidates.labels),
        "figures": {name: figures(each, search) for name, each in orders.items()},
        "curves": {name: curve(each, search) for name, each in orders.items()},
        "examples": examples,
    }


def project(model: nn.Module, search: Search) -> list[dict[str, Any]]:
    """Return points of both sides that have classes, by lot, on their two principal axes: the map of the page."""
    found = list[dict[str, Any]]()
    for name in ("queries", "candidates"):
        side: Side = getattr(search, name)
        if side.groups:
            lot = torch.randperm(len(side.labels), generator=torch.Generator().manual_seed(0))[:NUM_POINTS]
            vectors = embed(model, side)
            found += [{"side": name, "number": number, "vector": vectors[number]} for number in lot.tolist()]
    if not found:
        return []
    vectors = torch.stack([point.pop("vector") for point in found])  # [P, D]
    axes = torch.linalg.svd(vectors - vectors.mean(0), full_matrices=False)  # principal components: Pearson (1901)
    places = (axes.U * axes.S)[:, :2].tolist()
    return [{**point, "x": x, "y": y} for point, (x, y) in zip(found, places, strict=True)]


def baselines(train: Dataset, other: Dataset, data: DataConfig) -> dict[str, float]:
    """Return the primary figure of what the data name as rivals, on the first search of another split."""
    logger.info("baselines: without a model, for %d rows", len(other))
    search = other.searches()[0]
    rivals = data.rivals(train, other)[0]
    return {name: figures(rank(scores, search), search)[f"recall_at_{search.cut}"] for name, scores in rivals.items()}


def pictures(dataset: Dataset, metrics: dict[str, Any]) -> dict[str, Any]:
    """Return what the page shows beside the figures: queries, answers and points as texts, images and classes."""
    searches = dataset.searches()
    examples = [
        [
            {
                "query": face(search.queries, one["query"]),
                "place": one["place"],
                "answers": [
                    {**face(search.candidates, c), "score": s, "right": bool(search.relevant[one["query"], c])}
                    for c, s in one["answers"]
                ],
            }
            for one in table["examples"]
        ]
        for search, table in zip(searches, metrics["searches"], strict=True)
    ]
    points = [{**point, **face(getattr(searches[0], point["side"]), point["number"])} for point in metrics["map"]]
    classes = next((one.classes for one in (searches[0].queries, searches[0].candidates) if one.groups), ())
    return {"examples": examples, "points": points, "classes": classes}


def face(side: Side, number: int) -> dict[str, Any]:
    """Return what a page shows of one thing."""
    image = None if side.images is None else side.images[number].tolist()
    return {"label": side.labels[number], "image": image, "group": side.groups[number] if side.groups else 0}


def answers(model: nn.Module, data: DataConfig, path: Path) -> list[dict[str, Any]]:
    """Return the best candidates for each query of a file of the user's, the best first."""
    search = data.read(path)
    scores = score(model, search)
    if search.known is not None:
        scores = scores.masked_fill(search.known, NEVER)
    best = scores.topk(min(NUM_ANSWERS, scores.shape[1]), dim=1)
    rows = zip(search.queries.labels, best.indices.tolist(), best.values.tolist(), strict=True)
    names = search.candidates.labels
    return [
        {
            "query": query,
            "answers": [{"answer": names[c], "score": s} for c, s in zip(columns, values, strict=True) if s > NEVER],
        }
        for query, columns, values in rows
    ]
