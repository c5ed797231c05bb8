"""A bag of embeddings: the mean of a text's words, each by its weight, through a linear layer or one hidden layer."""

from typing import Literal

import torch
from pydantic import NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from ..types import STRICT, Batch, Carry, Fraction, StepOutput, classify

UNKNOWN_WORD = 1  # the token of a word that is not in the vocabulary; 0 is padding
PRIME = 1_000_003  # which spreads pairs of words over the rows of a table


@dataclass(frozen=True, kw_only=True, config=STRICT)
class BagConfig:
    """Settings of the bag, for tokens [B, L] of any length."""

    kind: Literal["bag"] = "bag"
    num_classes: PositiveInt = 12
    vocab_size: PositiveInt = 16_000  # tokens; rarer ones, which come behind them, are unknown words
    weights: Literal["equal", "learned"] = "learned"  # of words in the mean: by word and place, or all the same
    num_places: PositiveInt = 32  # places in a text with a weight of their own; what comes later shares the last
    num_bigrams: NonNegativeInt = 0  # rows of a table for pairs of neighbours, chosen by a hash; 0: none
    dim: PositiveInt = 256
    hidden_dim: NonNegativeInt = 0  # 0: a linear layer alone
    dropout: Fraction = 0.3
    word_dropout: Fraction = 0.3  # of a training text's words are left out (Iyyer et al. 2015, section 3.1)
    label_smoothing: Fraction = 0.0

    def build(self) -> "Bag":
        """Make the model."""
        return Bag(self)


class Bag(nn.Module):
    """Embeddings of words and their pairs, a softmax over learned scores as weights, the mean, a head."""

    def __init__(self, config: BagConfig) -> None:
        super().__init__()
        self.config, dim, hidden = config, config.dim, config.hidden_dim
        self.words = nn.Embedding(config.vocab_size, dim)
        self.bigrams = nn.Embedding(config.num_bigrams, dim) if config.num_bigrams else None
        if config.weights == "learned":
            self.word_scores = nn.Parameter(torch.zeros(config.vocab_size))
            self.place_scores = nn.Parameter(torch.zeros(config.num_places))
        layers = (nn.Linear(dim, hidden), nn.GELU(), nn.Dropout(config.dropout)) if hidden else ()
        self.head = nn.Sequential(nn.Dropout(config.dropout), *layers, nn.Linear(hidden or dim, config.num_classes))
        for table in filter(None, (self.words, self.bigrams)):
            nn.init.normal_(table.weight, std=0.3)

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Answer tokens [B, L] with logits [B, C]; it carries nothing."""
        words = batch.inputs.where(batch.inputs < self.config.vocab_size, UNKNOWN_WORD)
        embeddings = self.words(words)  # [B, L] -> [B, L, D]
        if self.bigrams is not None:
            pairs = words * PRIME + F.pad(words[:, 1:], (0, 1))  # behind the last word comes padding
            embeddings = embeddings + self.bigrams(pairs % self.config.num_bigrams)
        weights = self.weigh(words)  # [B, L]
        return classify(self.head((weights.unsqueeze(1) @ embeddings).squeeze(1)), batch, self.config.label_smoothing)

    def weigh(self, words: Tensor) -> Tensor:
        """Return weights [B, L] of tokens [B, L] that sum to 1, or to 0 in a text without a word."""
        there = words > 0
        if self.training:
            there &= torch.rand(words.shape, device=words.device) >= self.config.word_dropout
        scores = torch.zeros_like(words, dtype=self.words.weight.dtype)
        if self.config.weights == "learned":
            places = torch.arange(words.shape[1], device=words.device).clamp(max=self.config.num_places - 1)
            scores = self.word_scores[words] + self.place_scores[places]
        return scores.masked_fill(~there, -1e9).softmax(dim=1) * there  # [B, L]
