"""Titans blocks as the network of the tiny recursive model, for rows that are read whole."""

from typing import Any

from torch import Tensor, nn

from .titans_mag import MagConfig


class Titans(nn.Module):
    """Blocks of attention and memory; `both_ways` lets every second one read from the end of the row.

    A block looks back only, so that the first position would learn nothing of the others, however often it thinks.
    Each reading begins with an empty memory: what it holds belongs to the row and to one call.
    """

    def __init__(self, config: MagConfig, *, both_ways: bool) -> None:
        super().__init__()
        self.stack, self.both_ways = config.build(), both_ways

    def forward(self, h: Tensor) -> Tensor:
        """[B, N, D] -> [B, N, D]."""
        blocks: list[Any] = [*self.stack.blocks]
        for number, block in enumerate(blocks):
            turn = self.both_ways and number % 2 == 1
            h, _ = block(h.flip(1) if turn else h)
            h = h.flip(1) if turn else h
        out: Tensor = self.stack.norm(h)
        return out
