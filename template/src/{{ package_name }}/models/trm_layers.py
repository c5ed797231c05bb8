"""The layers of the recursive network: mixing positions, a gated layer at each, a norm after every sum.

As in TRM (Jolicoeur-Martineau 2025) there is no bias, and no weight in the norms. N is the number of positions.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPS = 1e-5
ROTARY_BASE = 10_000.0
CUT = 2.0  # standard deviations at which a normal distribution is cut off
CUT_STD = 0.8796256610342398  # standard deviation of the standard normal distribution that is cut off there


def lecun_normal(weight: Tensor, std: float | None = None) -> None:
    """Draw weights [out, in] from a cut normal distribution with exactly this deviation; left out, 1/sqrt(in)."""
    std = (weight.shape[-1] ** -0.5 if std is None else std) / CUT_STD
    nn.init.trunc_normal_(weight, std=std, a=-CUT * std, b=CUT * std)


def linear(inputs: int, outputs: int) -> nn.Linear:
    """Return a layer without bias, [.., inputs] -> [.., outputs], with LeCun's weights."""
    layer = nn.Linear(inputs, outputs, bias=False)
    lecun_normal(layer.weight)
    return layer


def norm(x: Tensor) -> Tensor:
    """Divide by the root mean square over the last dimension, [..., D] -> [..., D] (Zhang and Sennrich 2019, eq. 4).

    There is no weight; half precision is squared in fp32.
    """
    return F.rms_norm(x, x.shape[-1:], eps=EPS)


class SwiGlu(nn.Module):
    """The gated layer of Shazeer (2020, eq. 6) over the last dimension: W3 (silu(W1 x) * W2 x)."""

    def __init__(self, size: int, inner: int, layer: Callable[[int, int], nn.Linear] = linear) -> None:
        super().__init__()
        self.up, self.down = layer(size, 2 * inner), layer(inner, size)

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] -> [..., D]."""
        gate, value = self.up(x).chunk(2, dim=-1)
        out: Tensor = self.down(F.silu(gate) * value)
        return out


class TokenMixer(nn.Module):
    """Mixes positions by a SwiGLU over the length, the same for every feature (section 4.5)."""

    def __init__(self, length: int, inner: int) -> None:
        super().__init__()
        self.mlp = SwiGlu(length, inner)

    def forward(self, h: Tensor) -> Tensor:
        """[B, N, D] -> [B, N, D], the norm over the positions too."""
        turned = h.mT  # [B, D, N]
        return norm(turned + self.mlp(turned)).mT


class Attention(nn.Module):
    """Mixes positions by attention to all of them, with rotary positions (Su et al. 2021, eq. 34)."""

    cos: Tensor
    sin: Tensor

    def __init__(self, dim: int, num_heads: int, length: int) -> None:
        super().__init__()
        self.num_heads, half = num_heads, dim // num_heads // 2
        self.qkv, self.out = linear(dim, 3 * dim), linear(dim, dim)
        rates = ROTARY_BASE ** -(torch.arange(half) / half)  # [K/2]
        angles = torch.outer(torch.arange(length), torch.cat([rates, rates]))  # [N, K]
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, h: Tensor) -> Tensor:
        """[B, N, D] -> [B, N, D]."""
        q, k, v = self.qkv(h).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)  # [B, H, N, K] each
        mixed = F.scaled_dot_product_attention(self.rotate(q), self.rotate(k), v)
        return norm(h + self.out(mixed.transpose(1, 2).flatten(2)))

    def rotate(self, x: Tensor) -> Tensor:
        """Turn pairs of numbers, i and i + K/2, by their position's angle: [B, H, N, K] -> [B, H, N, K]."""
        first, second = x.chunk(2, dim=-1)
        return (x * self.cos + torch.cat([-second, first], dim=-1) * self.sin).to(x.dtype)
