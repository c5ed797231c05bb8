"""A training step with the structure of the official TRM code (commit e7b6871), for ../trm.py to time ours against.

Written down plainly from its description, with the weights of one of our models: layers that cast their weights, norms
in fp32 by hand, stable-max in fp64, rows that are replaced where they have halted, the loss head's own metrics.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from my_project.models.trm import Trm
from my_project.types import UNKNOWN, Batch

EXPLORATION = 0.1


def norm(x: Tensor) -> Tensor:
    """Root mean square norm in fp32, [..., D] -> [..., D]."""
    kind, x = x.dtype, x.to(torch.float32)
    return (x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5)).to(kind)


class Linear(nn.Module):
    """A layer without bias that casts its weight to its input's type."""

    def __init__(self, ours: Any) -> None:
        super().__init__()
        self.weight = nn.Parameter(ours.weight.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        return F.linear(x, self.weight.to(x.dtype))


class SwiGlu(nn.Module):
    """Gate and value from one layer."""

    def __init__(self, ours: Any) -> None:
        super().__init__()
        self.gate_up, self.down = Linear(ours.up), Linear(ours.down)

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] -> [..., D]."""
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        down: Tensor = self.down(F.silu(gate) * up)
        return down


class Attention(nn.Module):
    """Rotary attention without a mask; queries, keys and values from one layer."""

    def __init__(self, ours: Any) -> None:
        super().__init__()
        self.heads, self.qkv, self.out = ours.num_heads, Linear(ours.qkv), Linear(ours.out)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """[B, N, D] -> [B, N, D]."""
        B, N, D = x.shape
        parts = self.qkv(x).view(B, N, 3 * self.heads, D // self.heads).split(self.heads, dim=2)
        q, k = (self.turn(part, cos, sin).transpose(1, 2) for part in parts[:2])
        mixed = F.scaled_dot_product_attention(q, k, parts[2].transpose(1, 2))
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(B, N, D))
        return out

    @staticmethod
    def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """[B, N, H, K] -> [B, N, H, K]."""
        a, b = x.chunk(2, dim=-1)
        return x * cos[:, None] + torch.cat((-b, a), dim=-1) * sin[:, None]


class Block(nn.Module):
    """Post-norm block with either mixer."""

    def __init__(self, ours: Any, mixer: str) -> None:
        super().__init__()
        self.tokens = mixer == "tokens"
        self.mix = SwiGlu(ours.mixer.mlp) if self.tokens else Attention(ours.mixer)
        self.mlp = SwiGlu(ours.mlp)

    def forward(self, h: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """[B, N, D] -> [B, N, D]."""
        if self.tokens:
            h = h.transpose(1, 2)
            h = norm(h + self.mix(h)).transpose(1, 2)
        else:
            h = norm(h + self.mix(h, cos, sin))
        return norm(h + self.mlp(h))


class Official(nn.Module):
    """Model, halting and loss head in one."""

    def __init__(self, ours: Trm) -> None:
        super().__init__()
        self.config = config = ours.config
        self.embed, self.head = (
            nn.Embedding.from_pretrained(ours.embed.weight.detach().clone(), freeze=False),
            Linear(ours.head),
        )
        self.q = nn.Linear(config.dim, 2)
        self.q.load_state_dict(ours.act.linear.state_dict())
        layers: Any = ours.network.blocks
        self.blocks = nn.ModuleList(Block(block, config.mixer) for block in layers)
        self.y, self.z, self.scale = ours.first_answer.clone(), ours.first_latent.clone(), math.sqrt(config.dim)
        half = config.dim // config.num_heads // 2
        angles = torch.outer(torch.arange(config.length), torch.cat([10000 ** -(torch.arange(half) / half)] * 2))
        self.cos, self.sin = angles.cos(), angles.sin()

    def net(self, h: Tensor, injected: Tensor) -> Tensor:
        """[B, N, D] twice -> [B, N, D]."""
        h = h + injected
        for block in self.blocks:
            h = block(h, self.cos, self.sin)
        return h

    def inner(self, inputs: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Take T passes over tokens [B, L]; return y, z, logits [B, L, V] and the halting logits [B]."""
        empty = torch.zeros(len(inputs), self.config.num_prefix, self.config.dim)
        x = self.scale * torch.cat((empty, self.embed(inputs)), dim=1)
        with torch.no_grad():
            for _ in range(self.config.num_passes - 1):
                for _ in range(self.config.num_latent):
                    z = self.net(z, y + x)
                y = self.net(y, z)
        for _ in range(self.config.num_latent):
            z = self.net(z, y + x)
        y = self.net(y, z)
        pooled = y.mean(1) if self.config.halt_pool == "mean" else y[:, 0]
        return y.detach(), z.detach(), self.head(y)[:, self.config.num_prefix :], self.q(pooled)[:, 0].to(torch.float32)

    def forward(self, batch: Batch, carry: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Replace halted rows, take a step, return loss [], carry and logits [B, L, V]."""
        reset = carry["halted"]
        y, z = (torch.where(reset.view(-1, 1, 1), first, carry[name]) for name, first in (("y", self.y), ("z", self.z)))
        inputs = torch.where(reset.view(-1, 1), batch.inputs, carry["inputs"])
        targets = torch.where(reset.view(-1, 1), batch.targets, carry["targets"])
        y, z, logits, q = self.inner(inputs, y, z)
        steps = torch.where(reset, 0, carry["steps"]) + 1
        halted = self.halt(q.detach(), steps)
        correct = self.measure(logits.detach(), targets, q.detach(), steps, halted)
        mask, counts = targets != UNKNOWN, (targets != UNKNOWN).sum(-1).clamp(min=1)
        x = logits.to(torch.float64)
        s = torch.where(x < 0, 1 / (1 - x + 1e-30), x + 1)
        logs = torch.log(s / s.sum(-1, keepdim=True)).gather(-1, torch.where(mask, targets, 0)[..., None])[..., 0]
        loss = (-torch.where(mask, logs, 0) / counts[:, None]).sum()
        loss = loss + 0.5 * F.binary_cross_entropy_with_logits(q, correct.to(q.dtype), reduction="sum")
        carry = {"y": y, "z": z, "steps": steps, "halted": halted, "inputs": inputs, "targets": targets}
        return loss / len(steps), carry, logits

    def halt(self, q: Tensor, steps: Tensor) -> Tensor:
        """Return which rows [B] are done."""
        halted = steps >= self.config.max_steps
        if self.training:
            halted = halted | (q > 0)
            least = (torch.rand_like(q) < EXPLORATION) * torch.randint_like(steps, 2, self.config.max_steps + 1)
            halted = halted & (steps >= least)
        return halted

    def measure(self, logits: Tensor, targets: Tensor, q: Tensor, steps: Tensor, halted: Tensor) -> Tensor:
        """Keep the figures of the rows that are done; return which rows [B] are right."""
        mask = targets != UNKNOWN
        counts = mask.sum(-1)
        right = mask & (logits.argmax(-1) == targets)
        correct, told = right.sum(-1) == counts, halted & (counts > 0)
        self.metrics = {
            "count": told.sum(),
            "accuracy": torch.where(told, (right / counts.clamp(min=1)[:, None]).sum(-1), 0).sum(),
            "exact": (told & correct).sum(),
            "q": (told & ((q >= 0) == correct)).sum(),
            "steps": torch.where(told, steps, 0).sum(),
        }
        return correct

    def fresh(self, batch: Batch) -> dict[str, Tensor]:
        """Return a carry whose rows have all halted."""
        size = len(batch.inputs), self.config.length, self.config.dim
        carry = {"y": torch.empty(size), "z": torch.empty(size), "steps": torch.zeros(size[0], dtype=torch.long)}
        return {**carry, "halted": carry["steps"] == 0, "inputs": batch.inputs, "targets": batch.targets}
