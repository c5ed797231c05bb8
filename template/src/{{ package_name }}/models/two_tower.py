"""Two towers, one for queries and one for candidates, over the same token embeddings (Huang et al. 2013)."""

from typing import Literal

import torch
from pydantic import PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from ..types import STRICT, Batch, Carry, Fraction, StepOutput
from .contrastive import Contrast
from .text_tower import Layers, pool


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TwoTowerConfig:
    """Settings of the towers, for rows [B, 2, L] of a query's and a candidate's tokens."""

    kind: Literal["two_tower"] = "two_tower"
    vocab_size: PositiveInt = 16384  # embeddings that all tokens share by their remainders (Weinberger et al. 2009)
    dim: PositiveInt = 128
    hidden: PositiveInt = 256  # width of the layer in each tower
    dropout: Fraction = 0.1
    token_dropout: Fraction = 0.3  # share of the tokens that training leaves out of a text
    temperature: PositiveFloat = 0.1  # to begin with; it is learned

    def build(self) -> "TwoTower":
        """Make the model."""
        return TwoTower(self)


class TwoTower(nn.Module):
    """The mean of a text's token embeddings, then a tower of its own for each side."""

    def __init__(self, config: TwoTowerConfig) -> None:
        super().__init__()
        self.tokens = nn.Embedding(config.vocab_size, config.dim, padding_idx=0)
        self.towers = nn.ModuleList(Layers(config.dim, config.hidden, config.dropout) for _ in range(2))
        self.leave_out, self.contrast = nn.Dropout(config.token_dropout), Contrast(config.temperature)
        nn.init.normal_(self.tokens.weight, std=0.1)

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Answer tokens [B, 2, L] with embeddings [B, 2, D] of length 1; it carries nothing."""
        sides = zip(self.towers, batch.inputs.unbind(1), strict=True)
        embeddings = torch.stack([self.embed(tower, tokens) for tower, tokens in sides], dim=1)  # [B, 2, D]
        output: StepOutput = self.contrast(embeddings, batch.targets)
        return output

    def embed(self, tower: nn.Module, tokens: Tensor) -> Tensor:
        """Return the embeddings [B, D] of texts [B, L], where 0 is padding."""
        count = self.tokens.num_embeddings - 1
        mask = self.leave_out((tokens > 0).to(self.tokens.weight.dtype))
        places = torch.where(tokens > 0, 1 + tokens % count, 0)
        return F.normalize(tower(pool(self.tokens(places), mask)), dim=1)
