"""Titans with memory as a context: attention within a segment, to its tokens and to what the memory recalls for them.

Behrouz, Zhong and Mirrokni 2025, arXiv 2501.00663, section 4.1. Letters in shapes: B batch, L length, D dimension.
"""

from dataclasses import replace
from typing import Any, Literal

import torch
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from ..types import STRICT
from .linear import Linear
from .memory import NeuralMemoryConfig
from .sliding_window import SlidingAttention, check_heads
from .titans_mag import MagStack, begin, gated


@dataclass(frozen=True, kw_only=True, config=STRICT)
class MacConfig:
    """Settings of `depth` blocks on tokens [B, L, dim]; a segment is a chunk of the memory."""

    kind: Literal["mac"] = "mac"
    dim: PositiveInt = 64
    depth: PositiveInt = 2
    num_heads: PositiveInt = 4
    mlp_ratio: PositiveFloat = 8 / 3  # width of the SwiGLU layer over dim
    num_persistent: NonNegativeInt = 4  # learnt tokens that every token sees
    gate: Literal["convex", "literal"] = "convex"  # g attention + (1 - g) memory, or attention * sigmoid(memory)
    memory: NeuralMemoryConfig = NeuralMemoryConfig()  # its dim and num_heads are the block's

    def __post_init__(self) -> None:
        check_heads(self.dim, self.num_heads)

    def build(self) -> MagStack:
        """Make the blocks."""
        return MagStack(self.dim, self.memory.chunk_size, [MacBlock(self) for _ in range(self.depth)])


class MacBlock(nn.Module):
    """Recollections beside tokens, attention over both, a memory that learns what it says, a gate, and a SwiGLU layer.

    Recollection and token stand in turn, each token behind its own: a window of two segments is then a causal mask
    over both, and the cache of a segment that has only begun is that of the window.
    """

    def __init__(self, config: MacConfig) -> None:
        super().__init__()
        dim, heads = config.dim, config.num_heads
        self.memory = replace(config.memory, dim=dim, num_heads=heads).build()
        self.attention = SlidingAttention(dim, heads, 2 * config.memory.chunk_size, config.num_persistent)
        self.ask, self.outward = (Linear(dim, dim, bias=False) for _ in range(2))
        self.gate = Linear(dim, dim) if config.gate == "convex" else None
        norms = (nn.RMSNorm(dim, 1e-6) for _ in range(5))
        self.norm, self.norm_recalled, self.norm_attended, self.norm_answered, self.norm_mixed = norms
        self.mlp = gated(dim, config.mlp_ratio)

    def mix(self, x: Tensor, attended: Tensor, answered: Tensor) -> Tensor:
        """Gate what attention and memory say (equation 25): [B, L, D] each -> [B, L, D]."""
        answered = self.norm_answered(answered)
        if self.gate is None:
            return attended * answered.sigmoid()
        return torch.lerp(answered, attended, self.gate(x).sigmoid().to(attended))

    def read(self, x: Tensor, state: dict[str, Any]) -> tuple[Tensor, dict[str, Any]]:
        """Map tokens [B, L, D] of one segment -> [B, L, D], and return the state: equations 21 to 25."""
        recalled = self.norm_recalled(self.memory.recall(self.ask(x), state["memory"]).to(x.dtype))
        turns = torch.stack([recalled, x], dim=2).flatten(1, 2)  # [B, 2 L, D]
        attended, cache = self.attention(turns, state["attention"])
        attended = self.norm_attended(attended[:, 1::2])  # [B, L, D]
        answered, learnt = self.memory(attended, state["memory"])
        ends = not learnt["pending"][0].shape[1]
        return self.mix(x, attended, answered), {
            "attention": self.attention.start(x) if ends else cache,
            "memory": learnt,
        }

    def forward(self, x: Tensor, state: dict[str, Any] | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Map tokens [B, L, D] -> [B, L, D], segment after segment, and return the state."""
        state = state or begin(self, x)
        size, begun = self.memory.config.chunk_size, state["memory"]["pending"][0].shape[1]
        parts, normal = list[Tensor](), self.norm(x)
        for first in range(-begun, x.shape[1], size):
            part, state = self.read(normal[:, max(0, first) : first + size], state)
            parts.append(part)
        x = x + self.outward(torch.cat(parts, dim=1))
        return x + self.mlp(self.norm_mixed(x)), state
