"""Matrix factorisation: a vector for each user and each item, whose inner product says how well they fit."""

from typing import Any, Literal

import torch
from pydantic import PositiveInt
from pydantic.dataclasses import dataclass
from torch import nn
from torch.nn import functional as F

from ..types import STRICT, UNKNOWN, Batch, Carry, Fraction, StepOutput


@dataclass(frozen=True, kw_only=True, config=STRICT)
class MatrixFactorisationConfig:
    """Settings of the factors, for rows [B, 2 + K] of a user, the item taken, and K items drawn against it."""

    kind: Literal["matrix_factorisation"] = "matrix_factorisation"
    num_users: PositiveInt = 305
    num_items: PositiveInt = 305
    dim: PositiveInt = 32
    dropout: Fraction = 0.0

    def build(self) -> "MatrixFactorisation":
        """Make the model."""
        return MatrixFactorisation(self)


class MatrixFactorisation(nn.Module):
    """Factors of users and items, and a bias of each item (Koren, Bell and Volinsky 2009, equation 4)."""

    def __init__(self, config: MatrixFactorisationConfig) -> None:
        super().__init__()
        self.users, self.items = nn.Embedding(config.num_users, config.dim), nn.Embedding(config.num_items, config.dim)
        self.bias, self.dropout = nn.Embedding(config.num_items, 1), nn.Dropout(config.dropout)
        for factors in (self.users, self.items):
            nn.init.normal_(factors.weight, std=0.02)
        nn.init.zeros_(self.bias.weight)

    def prepare(self, dataset: Any) -> None:
        """Refuse data of other sizes."""
        for name, factors, known in (("users", self.users, dataset.users), ("items", self.items, dataset.items)):
            if factors.num_embeddings != len(known):
                raise ValueError(f"model.num_{name}: got {factors.num_embeddings}, the data have {len(known)}")

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Answer rows [B, 2 + K] with the vectors [B, 2, D + 1] of user and item; it carries nothing.

        The loss is the softmax over the item taken and those drawn; with one drawn it is BPR (Rendle et al. 2009,
        section 4.1). The bias is the last number of an item's vector, and stands against a 1.
        """
        users, items = batch.inputs[:, 0], batch.inputs[:, 1:]  # [B], [B, 1 + K]
        places, none = items.clamp(min=0), items == UNKNOWN
        users = F.pad(self.dropout(self.users(users)), (0, 1), value=1.0)  # [B, D + 1]
        vectors = torch.cat([self.dropout(self.items(places)), self.bias(places)], dim=2)  # [B, 1 + K, D + 1]
        logits = (vectors * users[:, None]).sum(2).masked_fill(none, -torch.inf)  # [B, 1 + K]
        losses = F.cross_entropy(logits, (batch.targets == UNKNOWN) * UNKNOWN, reduction="none", ignore_index=UNKNOWN)
        loss = losses.sum() / (batch.targets != UNKNOWN).sum().clamp(min=1)
        return StepOutput(loss, torch.stack([users, vectors[:, 0]], dim=1), {})
