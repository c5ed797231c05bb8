"""A language model: causal attention in pre-norm blocks; it writes with a cache of keys and values."""

import math
from typing import Any, Literal

import torch
from pydantic import PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from ..types import STRICT, UNKNOWN, Batch, Carry, Fraction, StepOutput
from .relative import POSITIONS, causal

NARROW = 0.02  # standard deviation of the first weights of the embedding
Cache = tuple[Tensor, Tensor]  # keys and values [B, H, L, K] of what was read


@dataclass(frozen=True, kw_only=True, config=STRICT)
class GptConfig:
    """Settings of the language model: `depth` blocks on tokens [B, L, dim]."""

    kind: Literal["gpt"] = "gpt"
    vocab_size: PositiveInt = 256
    seq_len: PositiveInt = 128  # tokens that it looks back on when it writes; as many as the data's windows have
    dim: PositiveInt = 96
    depth: PositiveInt = 2
    num_heads: PositiveInt = 4
    positions: Literal["rotary", "learned", "slopes"] = "rotary"  # how attention knows distances: see relative.py
    tied: bool = True  # the embedding is the head as well (Press and Wolf 2017)
    dropout: Fraction = 0.0

    def __post_init__(self) -> None:
        if self.dim % self.num_heads:
            raise ValueError(f"num_heads {self.num_heads} must divide dim {self.dim}")

    def build(self) -> "Gpt":
        """Make the model."""
        return Gpt(self)


class Attention(nn.Module):
    """Causal attention of several heads (Vaswani et al. 2017, section 3.2)."""

    def __init__(self, config: GptConfig) -> None:
        super().__init__()
        self.num_heads, self.dropout = config.num_heads, config.dropout
        self.positions: Any = POSITIONS[config.positions](config.num_heads, config.dim // config.num_heads)
        self.inner = nn.Linear(config.dim, 3 * config.dim, bias=False)
        self.outer = nn.Linear(config.dim, config.dim, bias=False)

    def forward(self, tokens: Tensor, cache: Cache | None) -> tuple[Tensor, Cache]:
        """Mix tokens [B, L, D] with those before them and those in the cache."""
        parts = self.inner(tokens).unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)  # [3, B, H, L, K]
        past = cache[0].shape[2] if cache else 0
        queries, keys = (self.positions.turn(part, past) for part in parts[:2])
        values = parts[2]
        if cache:
            keys, values = torch.cat([cache[0], keys], dim=2), torch.cat([cache[1], values], dim=2)
        sizes = (queries.shape[2], keys.shape[2])
        bias = self.positions.bias(*sizes)
        mask = None if bias is None and not past else causal(*sizes, bias, tokens.device)
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(queries, keys, values, mask, dropout, is_causal=mask is None)
        return self.outer(mixed.transpose(1, 2).flatten(2)), (keys, values)  # [B, H, L, K] -> [B, L, D]


class Block(nn.Module):
    """Attention, then two linear layers, each added to what it reads (pre-norm: Xiong et al. 2020)."""

    def __init__(self, config: GptConfig) -> None:
        super().__init__()
        self.attention, self.dropout = Attention(config), nn.Dropout(config.dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(config.dim) for _ in range(2))
        inner, outer = nn.Linear(config.dim, 4 * config.dim), nn.Linear(4 * config.dim, config.dim)
        self.layers = nn.Sequential(inner, nn.GELU(), outer)
        for layer in (self.attention.outer, outer):  # less, the more layers add to the tokens (as GPT-2 begins)
            nn.init.normal_(layer.weight, std=NARROW / math.sqrt(2 * config.depth))

    def forward(self, tokens: Tensor, cache: Cache | None = None) -> tuple[Tensor, Cache]:
        """Change tokens [B, L, D]; return the keys and values as well."""
        mixed, cache = self.attention(self.norms[0](tokens), cache)
        tokens = tokens + self.dropout(mixed)
        return tokens + self.dropout(self.layers(self.norms[1](tokens))), cache


class Gpt(nn.Module):
    """Embedding, blocks, norm, and a linear layer to the logits of the next token (Radford et al. 2019)."""

    def __init__(self, config: GptConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.dim)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.dim)
        self.head = None if config.tied else nn.Linear(config.dim, config.vocab_size, bias=False)
        nn.init.normal_(self.embedding.weight, std=NARROW)

    def read(self, tokens: Tensor, caches: list[Cache] | None = None) -> tuple[Tensor, list[Cache]]:
        """Return the logits of what follows each token, [B, L] -> [B, L, V], and the caches to read on with."""
        values, after = self.dropout(self.embedding(tokens)), list[Cache]()
        for number, block in enumerate(self.blocks):
            values, cache = block(values, caches[number] if caches else None)
            after.append(cache)
        values = self.norm(values)
        return self.head(values) if self.head else F.linear(values, self.embedding.weight), after

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Answer tokens [B, L] with the logits of those that follow [B, L, V]; it carries nothing."""
        logits, _ = self.read(batch.inputs)
        losses = F.cross_entropy(logits.transpose(1, 2), batch.targets, ignore_index=UNKNOWN, reduction="sum")
        return StepOutput(losses / (batch.targets != UNKNOWN).sum().clamp(min=1), logits, {})

    @torch.inference_mode()
    def generate(
        self, prompt: Tensor, length: int, *, temperature: float = 1.0, top_k: int = 0, seed: int = 0
    ) -> Tensor:
        """Write on from prompts [B, L]; return the new tokens [B, length], the same for the same seed.

        It looks back on `seq_len` tokens at most: when it has so many it goes on with the later half of them.
        """
        most, draw, written = self.config.seq_len, torch.Generator().manual_seed(seed), [prompt[:, :0]]
        unread, caches = prompt[:, -most:], list[Cache]()
        text = unread
        for _ in range(length):
            logits, caches = self.read(unread, caches)
            unread = sample(logits[:, -1].float().cpu(), temperature, top_k, draw).to(prompt.device)
            written.append(unread)
            text = torch.cat([text, unread], dim=1)
            if text.shape[1] > most:
                text = unread = text[:, -max(1, most // 2) :]
                caches = []
        return torch.cat(written, dim=1)


def sample(logits: Tensor, temperature: float, top_k: int, draw: torch.Generator) -> Tensor:
    """Draw a token of the `top_k` likeliest, or of all if 0, from logits [B, V] -> [B, 1]; cold: the likeliest."""
    if temperature == 0:
        return logits.argmax(1, keepdim=True)
    if top_k:
        logits = logits.masked_fill(logits < logits.topk(min(top_k, logits.shape[1])).values[:, -1:], -torch.inf)
    return torch.multinomial((logits / temperature).softmax(1), 1, generator=draw)
