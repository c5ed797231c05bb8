"""Titans with memory as a layer: a neural memory, then attention for the window, one after the other.

Behrouz, Zhong and Mirrokni 2025, arXiv 2501.00663, section 4.3. Letters in shapes: B batch, L length, D dimension.
"""

from dataclasses import replace
from typing import Any, Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from ..types import STRICT
from .linear import Linear
from .memory import NeuralMemoryConfig
from .sliding_window import SlidingAttention, check_heads
from .titans_mag import MagStack, gated


@dataclass(frozen=True, kw_only=True, config=STRICT)
class MalConfig:
    """Settings of `depth` blocks on tokens [B, L, dim]."""

    kind: Literal["mal"] = "mal"
    dim: PositiveInt = 64
    depth: PositiveInt = 2
    num_heads: PositiveInt = 4
    mlp_ratio: PositiveFloat = 8 / 3  # width of the SwiGLU layer over dim
    window: PositiveInt = 32  # tokens that attention sees, itself among them
    num_persistent: NonNegativeInt = 4  # learnt tokens that every token sees
    memory: NeuralMemoryConfig = NeuralMemoryConfig()  # its dim and num_heads are the block's

    def __post_init__(self) -> None:
        check_heads(self.dim, self.num_heads)

    def build(self) -> MagStack:
        """Make the blocks."""
        return MagStack(self.dim, self.memory.chunk_size, [MalBlock(self) for _ in range(self.depth)])


class MalBlock(nn.Module):
    """A memory, attention and a SwiGLU layer; each added to what comes in."""

    def __init__(self, config: MalConfig) -> None:
        super().__init__()
        dim, heads = config.dim, config.num_heads
        self.memory = replace(config.memory, dim=dim, num_heads=heads).build()
        self.attention = SlidingAttention(dim, heads, config.window, config.num_persistent)
        self.norm, self.norm_recalled, self.norm_attended, self.norm_mixed = (nn.RMSNorm(dim, 1e-6) for _ in range(4))
        self.recalled, self.attended = (Linear(dim, dim, bias=False) for _ in range(2))
        self.mlp = gated(dim, config.mlp_ratio)

    def forward(self, x: Tensor, state: dict[str, Any] | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Map tokens [B, L, D] -> [B, L, D], and return the state: equations 30 and 31."""
        before = state or {"attention": None, "memory": None}
        answered, learnt = self.memory(self.norm(x), before["memory"])
        x = x + self.recalled(self.norm_recalled(answered))
        attended, cache = self.attention(self.norm_attended(x), before["attention"])
        x = x + self.attended(attended)
        return x + self.mlp(self.norm_mixed(x)), {"attention": cache, "memory": learnt}
