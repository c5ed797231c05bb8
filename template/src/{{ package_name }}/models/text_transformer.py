"""A transformer encoder for texts, with absolute or relative positions; what is padding is never looked at."""

from typing import Literal

import torch
from pydantic import PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from ..types import STRICT, Batch, Carry, Fraction, StepOutput, classify

UNKNOWN_WORD = 1  # the token of a word that is not in the vocabulary; 0 is padding


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TextTransformerConfig:
    """Settings of the transformer, for tokens [B, L]: `depth` blocks on embeddings [B, 1 + L, dim]."""

    kind: Literal["text_transformer"] = "text_transformer"
    num_classes: PositiveInt = 12
    vocab_size: PositiveInt = 16_000  # tokens; rarer ones, which come behind them, are unknown words
    seq_len: PositiveInt = 32  # words of a text that it reads; later ones are left out
    positions: Literal["absolute", "relative"] = "absolute"  # vectors of places, or of distances of words
    max_distance: PositiveInt = 16  # of relative positions: what is further apart has the vector of this distance
    dim: PositiveInt = 64
    depth: PositiveInt = 1
    num_heads: PositiveInt = 4
    dropout: Fraction = 0.3
    word_dropout: Fraction = 0.3  # of a training text's words are left out (Iyyer et al. 2015, section 3.1)
    label_smoothing: Fraction = 0.0

    def __post_init__(self) -> None:
        if self.dim % self.num_heads:
            raise ValueError(f"num_heads {self.num_heads} must divide dim {self.dim}")

    def build(self) -> "TextTransformer":
        """Make the model."""
        return TextTransformer(self)


class Block(nn.Module):
    """Pre-norm attention over the words that are there, then a feed-forward layer: [B, L, D] -> [B, L, D]."""

    def __init__(self, config: TextTransformerConfig) -> None:
        super().__init__()
        dim, self.num_heads, self.dropout = config.dim, config.num_heads, config.dropout
        self.norm, self.projections, self.mixed = nn.LayerNorm(dim), nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        layers = (nn.LayerNorm(dim), nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
        self.feed_forward = nn.Sequential(*layers, nn.Dropout(self.dropout))
        self.distances = None
        if config.positions == "relative":  # shared by the heads, as in section 3.2 of Shaw et al. (2018)
            table = torch.empty(2 * config.max_distance + 1, dim // config.num_heads)
            self.distances = nn.Parameter(table.normal_(std=0.02))

    def forward(self, tokens: Tensor, there: Tensor) -> Tensor:
        """Add to tokens [B, L, D] what they see of those that are there [B, L]."""
        heads = self.projections(self.norm(tokens)).unflatten(2, (3, self.num_heads, -1))
        dropout = self.dropout if self.training else 0.0
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # [B, L, 3, H, K] -> 3 times [B, H, L, K]
        mask = there[:, None, None]  # [B, 1, 1, L]
        if self.distances is not None:
            mask = score_distances(query, self.distances).masked_fill(~mask, -torch.inf)
        seen = F.scaled_dot_product_attention(query, key, value, mask, dropout)
        tokens = tokens + F.dropout(self.mixed(seen.transpose(1, 2).flatten(2)), self.dropout, self.training)
        added: Tensor = self.feed_forward(tokens)
        return tokens + added


def score_distances(query: Tensor, distances: Tensor) -> Tensor:
    """Return what the distance of a word adds to its score, [B, H, L, L], of queries [B, H, L, K] and 2k + 1 vectors.

    It is the second term of equation 5 of Shaw et al. (2018): the query of word i by the vector of clip(j - i, -k, k).
    """
    places, most = torch.arange(query.shape[2], device=query.device), len(distances) // 2
    offsets = (places - places[:, None]).clamp(-most, most) + most  # [L, L]
    scores: Tensor = torch.einsum("bhik,ijk->bhij", query, distances[offsets]) / query.shape[3] ** 0.5
    return scores


class TextTransformer(nn.Module):
    """A first token that stands for the text (Devlin et al. 2019, section 3), words, blocks, a linear head."""

    def __init__(self, config: TextTransformerConfig) -> None:
        super().__init__()
        self.config, dim = config, config.dim
        self.words = nn.Embedding(config.vocab_size, dim)
        self.first = nn.Parameter(torch.empty(dim).normal_(std=0.02))
        places = nn.Parameter(torch.empty(config.seq_len, dim).normal_(std=0.02))
        self.positions = places if config.positions == "absolute" else None
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.dropout, self.norm = nn.Dropout(config.dropout), nn.LayerNorm(dim)
        self.head = nn.Linear(dim, config.num_classes)
        nn.init.normal_(self.words.weight, std=0.1)

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Answer tokens [B, L] with logits [B, C]; it carries nothing."""
        words = batch.inputs[:, : self.config.seq_len]
        there = words > 0
        if self.training:
            there = there & (torch.rand(words.shape, device=words.device) >= self.config.word_dropout)
        known = words.where(words < self.config.vocab_size, UNKNOWN_WORD)
        tokens = self.words(known)  # [B, L] -> [B, L, D]
        if self.positions is not None:
            tokens = tokens + self.positions[: words.shape[1]]
        tokens = torch.cat([self.first.expand(len(words), 1, -1), self.dropout(tokens)], dim=1)  # [B, 1 + L, D]
        there = F.pad(there, (1, 0), value=True)
        for block in self.blocks:
            tokens = block(tokens, there)
        return classify(self.head(self.norm(tokens[:, 0])), batch, self.config.label_smoothing)
