"""Titans with memory as a gate: attention for the window, a neural memory for what lies before it, mixed by a gate.

Behrouz, Zhong and Mirrokni 2025, arXiv 2501.00663, section 4.2. Letters in shapes: B batch, L length, D dimension.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import torch
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from ..types import STRICT
from .linear import Linear
from .memory import NeuralMemoryConfig, in_segments
from .sliding_window import SlidingAttention, check_heads
from .trm_layers import SwiGlu

State = list[dict[str, Any]]  # of each block: what attention caches and what memory has learnt, tensors [B, ...]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class MagConfig:
    """Settings of `depth` blocks on tokens [B, L, dim]."""

    kind: Literal["mag"] = "mag"
    dim: PositiveInt = 64
    depth: PositiveInt = 2
    num_heads: PositiveInt = 4
    mlp_ratio: PositiveFloat = 8 / 3  # width of the SwiGLU layer over dim
    window: PositiveInt = 32  # tokens that attention sees, itself among them
    num_persistent: NonNegativeInt = 4  # learnt tokens that every token sees
    gate: Literal["convex", "literal"] = "convex"  # g attention + (1 - g) memory, or attention * sigmoid(memory)
    memory: NeuralMemoryConfig = NeuralMemoryConfig()  # its dim and num_heads are the block's

    def __post_init__(self) -> None:
        check_heads(self.dim, self.num_heads)

    def build(self) -> "MagStack":
        """Make the blocks."""
        return MagStack(self.dim, self.memory.chunk_size, [MagBlock(self) for _ in range(self.depth)])


def gated(dim: int, ratio: float) -> SwiGlu:
    """Return a gated layer for tokens [B, L, D], about `ratio` times as wide inside."""
    return SwiGlu(dim, round(dim * ratio / 8) * 8, partial(Linear, bias=False))


def begin(block: Any, x: Tensor) -> dict[str, Any]:
    """Return a block's state before the first token of rows [B, ...]."""
    return {name: getattr(block, name).start(x) for name in ("attention", "memory")}


class MagBlock(nn.Module):
    """Attention and memory side by side, their mixture by a gate, and a SwiGLU layer; each added to what comes in."""

    def __init__(self, config: MagConfig) -> None:
        super().__init__()
        dim = config.dim
        self.attention = SlidingAttention(dim, config.num_heads, config.window, config.num_persistent)
        self.memory = replace(config.memory, dim=dim, num_heads=config.num_heads).build()
        self.norm, self.norm_attended, self.norm_recalled, self.norm_mixed = (nn.RMSNorm(dim, 1e-6) for _ in range(4))
        self.gate = Linear(dim, dim) if config.gate == "convex" else None
        self.outward, self.mlp = Linear(dim, dim, bias=False), gated(dim, config.mlp_ratio)

    def mix(self, x: Tensor, attended: Tensor, recalled: Tensor) -> Tensor:
        """Gate what attention and memory say (equation 28): [B, L, D] each -> [B, L, D]."""
        attended, recalled = self.norm_attended(attended), self.norm_recalled(recalled)
        if self.gate is None:
            return attended * recalled.sigmoid()
        return torch.lerp(recalled, attended, self.gate(x).sigmoid().to(attended))

    def forward(self, x: Tensor, state: dict[str, Any] | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Map tokens [B, L, D] -> [B, L, D], and return the state."""
        before, normal = state or {"attention": None, "memory": None}, self.norm(x)
        attended, cache = self.attention(normal, before["attention"])
        recalled, learnt = self.memory(normal, before["memory"])
        x = x + self.outward(self.mix(normal, attended, recalled))
        return x + self.mlp(self.norm_mixed(x)), {"attention": cache, "memory": learnt}


class MagStack(nn.Module):
    """Blocks one after the other, and a norm; the blocks of other Titans fit in as well."""

    def __init__(self, dim: int, chunk_size: int, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.chunk_size = chunk_size
        self.blocks, self.norm = nn.ModuleList(blocks), nn.RMSNorm(dim, 1e-6)

    def start(self, x: Tensor) -> State:
        """Return the state before the first token of rows [B, ...]."""
        return [begin(block, x) for block in self.blocks]

    def reset(self, state: State, rows: Tensor) -> State:
        """Return the state with some rows [B] (bool) as before their first token."""
        pairs: Any = zip(self.blocks, state, strict=True)
        return [{name: getattr(block, name).reset(part[name], rows) for name in part} for block, part in pairs]

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Map tokens [B, L, D] -> [B, L, D], and return the state.

        Calls that hand the state on give together what one call gives.
        """
        return in_segments(self.read, x, state, self.chunk_size)

    def read(self, x: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Do so for tokens [B, L, D] at once."""
        after = State()
        for number, block in enumerate(self.blocks):
            x, reached = block(x, state[number] if state else None)
            after.append(reached)
        return self.norm(x), after
