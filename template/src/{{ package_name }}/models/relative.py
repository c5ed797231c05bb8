"""How attention knows where a key stands relative to a query: by rotation, by a learned bias or by a fixed one."""

import math

import torch
from torch import Tensor, nn

NUM_BUCKETS, MAX_DISTANCE, BASE = 32, 128, 10_000.0  # of the learned bias, as in its paper; wavelengths of the rotation


class Rotary(nn.Module):
    """Queries and keys turn with their positions, so that products know distances (Su et al. 2021, equation 34)."""

    rates: Tensor

    def __init__(self, num_heads: int, head_dim: int) -> None:
        super().__init__()
        if head_dim % 2:
            raise ValueError(f"positions: rotary wants an even dim for each head, got {head_dim}")
        self.register_buffer("rates", BASE ** (-torch.arange(0, head_dim, 2) / head_dim), persistent=False)  # [K/2]

    def turn(self, vectors: Tensor, first: int) -> Tensor:
        """Turn queries or keys [B, H, L, K], of which the first has position `first`."""
        angles = torch.arange(first, first + vectors.shape[2], device=vectors.device)[:, None] * self.rates  # [L, K/2]
        cosine, sine = angles.cos().to(vectors.dtype), angles.sin().to(vectors.dtype)
        one, other = vectors.chunk(2, dim=3)  # [B, H, L, K/2] each: a pair is a point in a plane
        return torch.cat([one * cosine - other * sine, one * sine + other * cosine], dim=3)

    def bias(self, num_queries: int, num_keys: int) -> Tensor | None:
        """Add nothing to the scores."""
        return None


class Learned(nn.Module):
    """A number for each head and range of distances is added to the scores (Raffel et al. 2020, section 2.1)."""

    def __init__(self, num_heads: int, head_dim: int) -> None:
        super().__init__()
        self.table = nn.Embedding(NUM_BUCKETS, num_heads)

    def turn(self, vectors: Tensor, first: int) -> Tensor:
        """Leave vectors [B, H, L, K] as they are."""
        return vectors

    def bias(self, num_queries: int, num_keys: int) -> Tensor | None:
        """Return what is added to scores [H, L of queries, L of keys]; the last query stands at the last key."""
        buckets = bucket(distances(num_queries, num_keys, self.table.weight.device))
        return self.table(buckets).permute(2, 0, 1)  # type: ignore[no-any-return]  # [Lq, Lk, H] -> [H, Lq, Lk]


class Slopes(nn.Module):
    """Scores fall with distance, in each head at a rate of its own that is not learned (ALiBi, Press et al. 2022)."""

    slopes: Tensor

    def __init__(self, num_heads: int, head_dim: int) -> None:
        super().__init__()
        exponents = torch.arange(1, num_heads + 1) * 8 / num_heads
        self.register_buffer("slopes", 2.0**-exponents, persistent=False)  # [H]

    def turn(self, vectors: Tensor, first: int) -> Tensor:
        """Leave vectors [B, H, L, K] as they are."""
        return vectors

    def bias(self, num_queries: int, num_keys: int) -> Tensor | None:
        """Return what is added to scores [H, L of queries, L of keys]; the last query stands at the last key."""
        return -self.slopes[:, None, None] * distances(num_queries, num_keys, self.slopes.device)


POSITIONS = {"rotary": Rotary, "learned": Learned, "slopes": Slopes}


def distances(num_queries: int, num_keys: int, device: torch.device) -> Tensor:
    """Return how far each key lies behind each query [L of queries, L of keys]; keys ahead have distance 0."""
    keys = torch.arange(num_keys, device=device)
    return (keys[num_keys - num_queries :, None] - keys).clamp(min=0)


def bucket(distance: Tensor) -> Tensor:
    """Return the range of distances [...] that each falls into: near ones one each, far ones ever wider."""
    near = NUM_BUCKETS // 2
    growth = (distance.clamp(min=1) / near).log() / math.log(MAX_DISTANCE / near)
    far = near + (growth * (NUM_BUCKETS - near)).long()
    return distance.where(distance < near, far.clamp(max=NUM_BUCKETS - 1))


def causal(num_queries: int, num_keys: int, bias: Tensor | None, device: torch.device) -> Tensor:
    """Return a mask for scores, [L of queries, L of keys] or with heads: no query sees a key ahead of it."""
    seen = torch.ones(num_queries, num_keys, dtype=torch.bool, device=device).tril(num_keys - num_queries)
    return seen if bias is None else bias.masked_fill(~seen, -torch.inf)
