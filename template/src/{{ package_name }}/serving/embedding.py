"""Searches, as a request has them: what is looked for in, the best candidates out.

The file here that is named as the kind of the data says what a row is, and adds `candidates(data)`, the sides that are
searched by which of a model's two embeddings a query has, and `known(rows, data)`, what is no answer of a row.
"""

from typing import Any

import torch
from torch import Tensor, nn

from ..evaluation.embedding import NEVER, NUM_ANSWERS
from ..evaluation.embedding import embed as embeddings_of
from ..types import UNKNOWN, Batch
from .stored import Stored, module_of


def prepare(model: nn.Module, data: Stored) -> None:
    """Embed all candidates, once."""
    sides = module_of(data).candidates(data).items()
    vars(data)["index"] = {part: (side.labels, embeddings_of(model, side)) for part, side in sides}


def forward(model: nn.Module, inputs: dict[str, Any], rows: list[Any]) -> dict[str, Tensor]:
    """Return the embeddings [B, D] of queries, and which of the model's two they are [B]."""
    index, part = torch.arange(len(rows), device=inputs["part"].device), inputs["part"]
    both = model(Batch(inputs["query"], torch.full_like(index, UNKNOWN), index), None).outputs  # [B, 2, D]
    return {"embeddings": both[index, part].float(), "part": part}


def embed(outputs: dict[str, Tensor]) -> Tensor:
    """Return what is watched for drift: the queries' own embeddings [B, D]."""
    return outputs["embeddings"]


def decode(outputs: dict[str, Tensor], rows: list[Any], data: Stored) -> list[dict[str, Any]]:
    """Turn embeddings [B, D] into answers, the best first.

    A score is no probability. The uncertainty is 1 / (1 + margin) of the first over the second: 1 where they are alike.
    """
    known, records = module_of(data).known(rows, data), list[dict[str, Any]]()
    for number, (query, part) in enumerate(zip(outputs["embeddings"], outputs["part"].tolist(), strict=True)):
        labels, candidates = data.index[part]
        scores = query @ candidates.T  # [C]
        if known is not None:
            scores = scores.masked_fill(known[number], NEVER)
        best = scores.topk(min(NUM_ANSWERS, len(scores)))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        answers = [{"answer": labels[place], "score": score} for place, score in pairs if score > NEVER]
        margin = answers[0]["score"] - answers[1]["score"] if len(answers) > 1 else None
        uncertainty = None if margin is None else 1 / (1 + margin)
        first = answers[0]["answer"] if answers else None
        records.append({"answer": first, "confidence": None, "uncertainty": uncertainty, "answers": answers})
    return records
