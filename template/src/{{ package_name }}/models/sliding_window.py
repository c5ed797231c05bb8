"""Causal attention within a sliding window, with rotary positions, persistent tokens that all see, and a cache.

Sliding windows: Beltagy et al. 2020, arXiv 2004.05150. Rotary positions: Su et al. 2021, arXiv 2104.09864, equation
34, of half of each head, as in Black et al. 2022, arXiv 2204.06745: the other half knows no positions, and persistent
tokens (Titans, arXiv 2501.00663, equation 19) live there, so that all tokens see them alike, wherever a stream is cut.
Letters in shapes: B batch, L length, D dimension, H heads, K head dimension, W window, P persistent tokens, n
blocks of S queries.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .linear import Linear

Cache = dict[
    str, Tensor
]  # keys and values of the last W - 1 tokens, [B, W - 1, H, K], and whether they are there, [B, W - 1]

BASE = 10_000.0  # of the wave lengths of rotary positions


def check_heads(dim: int, num_heads: int) -> None:
    """Refuse a dimension that does not divide into heads whose halves turn in pairs."""
    if dim % (4 * num_heads):
        want = f"a multiple of 4 * num_heads, {4 * num_heads}: rotary positions turn pairs in half of each head"
        raise ValueError(f"dim: got {dim}, want {want}")


def rotate(vectors: Tensor, first: int) -> Tensor:
    """Turn half of vectors [B, L, H, K] by their positions: a product then knows their distance only."""
    quarter, wide = vectors.shape[-1] // 4, torch.promote_types(vectors.dtype, torch.float32)
    places = torch.arange(first, first + vectors.shape[1], dtype=wide, device=vectors.device)
    speeds = BASE ** (torch.arange(quarter, dtype=wide, device=vectors.device) / -quarter)
    angles = (places.unsqueeze(-1) * speeds).unsqueeze(1)  # [L, 1, K / 4]
    cosine, sine = angles.cos().to(vectors), angles.sin().to(vectors)
    left, right, still = vectors.split([quarter, quarter, vectors.shape[-1] - 2 * quarter], dim=-1)
    return torch.cat([left * cosine - right * sine, right * cosine + left * sine, still], dim=-1)


def blocks(tokens: Tensor, size: int, step: int) -> Tensor:
    """Return windows of tokens, `step` apart, the last one filled with zeros: [B, L, ...] -> [B, n, size, ...]."""
    missing = (size - tokens.shape[1]) % step
    if missing or torch.compiler.is_compiling():  # a graph is for any length
        tokens = F.pad(tokens, (*[0] * (2 * tokens.ndim - 3), missing))
    return tokens.unfold(1, size, step).movedim(-1, 2)


class SlidingAttention(nn.Module):
    """Multi-head attention of each token to itself, the `window` - 1 tokens before it, and the persistent tokens."""

    def __init__(self, dim: int, num_heads: int, window: int, num_persistent: int) -> None:
        super().__init__()
        self.num_heads, self.window = num_heads, window
        self.streams = Linear(dim, 3 * dim, bias=False)
        size = dim // num_heads
        self.persistent_keys = nn.Parameter(
            torch.empty(num_persistent, num_heads, size - size // 4 * 2).normal_(std=0.02)
        )
        self.persistent_values = nn.Parameter(torch.empty(num_persistent, num_heads, size).normal_(std=0.02))

    def start(self, x: Tensor) -> Cache:
        """Return the empty cache of rows [B, ...]."""
        past = x.new_zeros(x.shape[0], self.window - 1, self.num_heads, self.persistent_values.shape[-1])
        return {"keys": past, "values": past, "there": past.new_zeros(past.shape[:2], dtype=torch.bool)}

    def reset(self, cache: Cache, rows: Tensor) -> Cache:
        """Return the cache with nothing in some rows [B] (bool)."""
        return cache | {"there": cache["there"] & ~rows.unsqueeze(1)}

    def visible(self, there: Tensor, size: int) -> Tensor:
        """Return what each query may see: keys that are there [B, W - 1 + n S] -> [B n, 1, S, P + W - 1 + S]."""
        query = torch.arange(size, device=there.device).unsqueeze(1)
        key = torch.arange(self.window - 1 + size, device=there.device)
        band = (key >= query) & (key < query + self.window)  # [S, W - 1 + S]
        seen = blocks(there, len(key), size).flatten(0, 1)[:, None, None] & band  # [B n, 1, S, W - 1 + S]
        return F.pad(seen, (len(self.persistent_keys), 0), value=True)

    def forward(self, x: Tensor, cache: Cache | None = None) -> tuple[Tensor, Cache]:
        """Mix tokens [B, L, D] -> [B, L, D]; return the cache that the tokens after them need."""
        past, length, before = self.start(x) if cache is None else cache, x.shape[1], self.window - 1
        queries, keys, values = self.streams(x).unflatten(-1, (3, self.num_heads, -1)).unbind(2)  # [B, L, H, K]
        after = {"keys": keys, "values": values, "there": keys.new_ones(keys.shape[:2], dtype=torch.bool)}
        past = {name: past[name].to(part) for name, part in after.items()}
        size = min(length, max(16, self.window // 2))
        turned = torch.cat([rotate(past["keys"], 0), rotate(keys, before)], dim=1)  # [B, W - 1 + L, H, K]
        sources = (turned, torch.cat([past["values"], values], dim=1))
        given = [blocks(part, before + size, size).flatten(0, 1) for part in sources]  # [B n, W - 1 + S, H, K]
        asked = blocks(rotate(queries, before), size, size).flatten(0, 1)  # [B n, S, H, K]
        still = F.pad(self.persistent_keys, (keys.shape[-1] - self.persistent_keys.shape[-1], 0))
        fixed = [
            part.to(keys).expand(asked.shape[0], -1, -1, -1) for part in (still, self.persistent_values)
        ]  # [B n, P, H, K]
        all_keys, all_values = (torch.cat(pair, dim=1).transpose(1, 2) for pair in zip(fixed, given, strict=True))
        there = F.pad(torch.cat([past["there"], after["there"]], dim=1), (0, -length % size), value=True)
        seen = self.visible(there, size)
        mixed = F.scaled_dot_product_attention(asked.transpose(1, 2), all_keys, all_values, attn_mask=seen)
        mixed = mixed.transpose(1, 2).reshape(x.shape[0], length + -length % size, x.shape[-1])[:, :length]  # [B, L, D]
        kept = {
            name: torch.cat([past[name][:, length:], part[:, max(0, length - before) :]], dim=1)
            for name, part in after.items()
        }
        return mixed.to(x.dtype), kept
