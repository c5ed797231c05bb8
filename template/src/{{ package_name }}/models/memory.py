"""Neural long-term memory: an MLP that learns keys and values while it reads them, and answers queries.

Titans (Behrouz, Zhong and Mirrokni 2025, arXiv 2501.00663), section 3. Letters in shapes: B batch, L length,
D dimension, H heads, K head dimension.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Literal

import torch
from pydantic import PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from ..types import STRICT
from .linear import Linear
from .memory_gradient import scan
from .memory_update import FLAT, Loss, Mixing, mix

State = dict[str, list[Tensor]]  # what a memory remembers of its rows: lists of tensors [B, ...]

FORGET = -5.0  # where the gates start: 0.7 % is forgotten a token
MOMENTUM = -2.0  # a surprise lasts for little more than its token
STEP = 0.0  # half the largest step
NOTHING = 1e-6  # squared length of a key that counts as none
SEGMENT = 1024  # tokens that a CPU reads at once where no gradient is wanted: more are no faster
STABLE_ERROR = 1.0  # a two-layer memory follows no larger one


@dataclass(frozen=True, kw_only=True, config=STRICT)
class NeuralMemoryConfig:
    """Settings of a neural memory; each of its heads is an MLP of its own."""

    dim: PositiveInt = 64
    num_heads: PositiveInt = 4
    depth: Literal[1, 2] = 2  # layers of the MLP; 1 is a matrix, which learns fastest and remembers least
    expansion: PositiveInt = 2  # width of the MLP's hidden layers, in head dimensions
    residual: bool = False  # the memory answers query + LayerNorm(MLP(query)), as in Sun et al. 2024, arXiv 2407.04620
    chunk_size: PositiveInt = 64  # tokens that learn from the same weights, those at the chunk's start (equation 16)
    conv_size: PositiveInt = 4  # tokens that each key, value and query is mixed from; 1 for none
    max_step: PositiveFloat | None = None  # largest step per unit of surprise; None for the largest that is stable
    max_error: PositiveFloat | None = None  # where the loss turns from square to linear; None: never, 1 with two layers
    decay_to: Literal["auto", "initial", "zero"] = "auto"  # what forgetting returns to; auto: zero for a plain matrix

    def __post_init__(self) -> None:
        if self.dim % self.num_heads:
            raise ValueError(f"num_heads {self.num_heads} must divide dim {self.dim}")
        if self.step > self.stable_step:
            raise ValueError(
                f"max_step {self.max_step} with chunk_size {self.chunk_size}: as many equal keys in a chunk would "
                f"overshoot their value and diverge; want max_step at most {self.stable_step:.4g}, or smaller chunks"
            )
        if self.limit > STABLE_ERROR and self.depth > 1 and not self.residual:
            raise ValueError(
                f"max_error {self.max_error} with depth {self.depth}: steps grow with the weights that they make "
                f"larger, and large values diverge; want max_error at most {STABLE_ERROR:g}, or residual, or depth 1"
            )

    @property
    def stable_step(self) -> float:
        """The largest step that cannot diverge: over a chunk of equal keys a matrix goes all the way to their value."""
        return 1 / (self.chunk_size * (2 if self.depth == 1 and not self.residual else 4))

    @property
    def step(self) -> float:
        """The largest step of a token."""
        return self.max_step or self.stable_step

    @property
    def limit(self) -> float:
        """The error from which on the memory's loss is linear."""
        return self.max_error or (math.inf if self.depth == 1 else STABLE_ERROR)

    @property
    def returns(self) -> bool:
        """Whether forgetting returns to the initial weights: a deep memory that decays to zero never learns again."""
        return self.depth > 1 or self.residual if self.decay_to == "auto" else self.decay_to == "initial"

    def build(self) -> "NeuralMemory":
        """Make the memory."""
        return NeuralMemory(self)


def to_chunks(tokens: Tensor, size: int) -> Tensor:
    """Cut tokens into chunks, the last one filled with zeros: [B, L, H, E] -> [N, B H, size, E]."""
    tokens = F.pad(tokens, (0, 0, 0, 0, 0, -tokens.shape[1] % size)) if tokens.shape[1] % size else tokens
    chunks: Tensor = tokens.unflatten(1, (-1, size)).permute(1, 0, 3, 2, 4).flatten(1, 2).contiguous()
    return chunks


def in_segments(
    read: Callable[[Tensor, Any], tuple[Tensor, Any]], x: Tensor, state: Any, chunk_size: int
) -> tuple[Tensor, Any]:
    """Read tokens [B, L, D] by whole chunks, a few at a time where that is faster: `read` hands its state on."""
    size = max(1, SEGMENT // chunk_size) * chunk_size
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or x.device.type != "cpu" or x.shape[1] <= size:
        return read(x, state)
    found = list[Tensor]()
    for part in x.split(size, dim=1):
        answers, state = read(part, state)
        found.append(answers)
    return torch.cat(found, dim=1), state


def unit(vectors: Tensor) -> Tensor:
    """Return vectors of length one, or zero where they are nothing: [..., K] -> [..., K]."""
    return vectors * (vectors.square().sum(-1, keepdim=True) + NOTHING).rsqrt()


def stop(mixing: Mixing) -> Mixing:
    """Leave weights and momentum as they are over the last chunk: it is not complete, its tokens stay pending."""
    idle = torch.eye(2).to(mixing.carry).expand_as(mixing.carry[-1:])
    write = torch.cat([mixing.write[:-1], torch.zeros_like(mixing.write[-1:])])
    return mixing._replace(write=write, carry=torch.cat([mixing.carry[:-1], idle]))


class NeuralMemory(nn.Module):
    """Keys, values and queries by projection and convolution; gates; one MLP per head and row that learns them."""

    def __init__(self, config: NeuralMemoryConfig) -> None:
        super().__init__()
        self.config, dim, heads = config, config.dim, config.num_heads
        size = dim // heads
        self.streams = Linear(dim, 3 * dim, bias=False)
        self.taps = nn.Parameter(torch.zeros(config.conv_size, 3 * dim))
        self.gates = nn.Linear(dim, 3 * heads)
        widths = [size, *[config.expansion * size] * (config.depth - 1), size]
        shapes = pairwise(widths)
        plain = config.depth == 1 and not config.residual
        self.initial = nn.ParameterList(torch.randn(heads, i, o) * (0 if plain else i**-0.5) for i, o in shapes)
        self.scale = nn.Parameter(torch.full((heads, size), size**-0.5)) if config.residual else None
        self.reset_gates()

    def reset_gates(self) -> None:
        """Start near the identity, but keys half at the token before: what a value follows is what recalls it."""
        with torch.no_grad():
            self.taps[-1] = 1
            if len(self.taps) > 1:
                self.taps[-2:, : self.config.dim] = 0.5
            self.gates.bias.copy_(torch.tensor([FORGET, MOMENTUM, STEP]).repeat_interleave(self.config.num_heads))

    def start(self, x: Tensor) -> State:
        """Return the state before the first token of rows [B, ...]."""
        rows, heads, size = x.shape[0], self.config.num_heads, self.config.dim // self.config.num_heads
        fast, dtype = [], torch.promote_types(x.dtype, torch.float32)
        for weight in self.initial:
            still = torch.zeros_like(weight, dtype=dtype)
            learnt = still if self.config.returns else weight.to(dtype)
            fast.append(torch.cat([learnt, still], dim=1).expand(rows, -1, -1, -1))
        pending = [x.new_zeros(rows, 0, heads, width, dtype=dtype) for width in (size, size, 3)]
        return {"fast": fast, "pending": pending, "tail": [x.new_zeros(rows, len(self.taps) - 1, 3 * self.config.dim)]}

    def reset(self, state: State, rows: Tensor) -> State:
        """Return the state with some rows [B] (bool) as before their first token."""
        silent = [torch.zeros_like(part) for part in state["pending"]]  # a key of zeros teaches nothing
        fresh = self.start(state["tail"][0]) | {"pending": silent}

        def choose(new: Tensor, old: Tensor) -> Tensor:
            """Take new values for some rows: [B, ...], [B, ...] -> [B, ...]."""
            return torch.where(rows.reshape(-1, *[1] * (old.ndim - 1)), new.to(old), old)

        return {name: [choose(*pair) for pair in zip(fresh[name], old, strict=True)] for name, old in state.items()}

    def tokens(self, x: Tensor, tail: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return keys, values, gates and queries [B, L, H, ...] of tokens [B, L, D], and the next tail."""
        streams = self.streams(x)
        length = x.shape[1]
        streams = torch.cat([tail.to(streams), streams], dim=1) if tail.shape[1] else streams  # [B, taps - 1 + L, 3 D]
        mixed = streams[:, :length] * self.taps[0]
        for number, tap in enumerate(self.taps[1:], start=1):
            mixed.addcmul_(streams[:, number : number + length], tap)
        wide = torch.promote_types(x.dtype, torch.float32)
        mixed = F.silu(mixed, inplace=not torch.is_grad_enabled()).to(wide)
        keys, values, queries = mixed.unflatten(-1, (3, self.config.num_heads, -1)).unbind(2)  # [B, L, H, K]
        forget, momentum, step = self.gates(x).to(wide).unflatten(-1, (3, -1)).unbind(2)  # [B, L, H]
        step = F.logsigmoid(step) + F.logsigmoid(-momentum) + math.log(self.config.step)
        gates = torch.stack([F.logsigmoid(-forget), F.logsigmoid(momentum), step], dim=-1)
        return [unit(keys), values, gates, unit(queries)], streams[:, length:]

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Learn and answer tokens [B, L, D] -> [B, L, D], and return the state.

        Each token is answered by the memory that has just learnt it (equation 15). Calls that hand the state on give
        together what one call gives, wherever they are cut.
        """
        return in_segments(self.read, x, state, self.config.chunk_size)

    def read(self, x: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Do so for tokens [B, L, D] at once."""
        before = self.start(x) if state is None else state
        (*written, queries), tail = self.tokens(x, before["tail"][0])
        with torch.autocast(x.device.type, enabled=False):
            answers, fast, pending = self.pass_over(written, queries, before)
        return answers.flatten(2).to(x.dtype), {"fast": fast, "pending": pending, "tail": [tail]}

    def pass_over(
        self, written: list[Tensor], queries: Tensor, state: State
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Learn keys, values and gates after those pending, and answer queries [B, L, H, K] -> [B, L, H, K]."""
        size, rows, before = self.config.chunk_size, queries.shape[0], state["pending"][0].shape[1]
        if before:
            written = [torch.cat(pair, dim=1) for pair in zip(state["pending"], written, strict=True)]
        total = before + queries.shape[1]
        width = min(size, max(2, total))  # a chunk of one token is never one that has only begun
        keys, values, gates = (to_chunks(part, width) for part in written)  # [N, B H, C, ...]
        mixing = mix(*gates.unbind(-1))
        asked = to_chunks(F.pad(queries, (0, 0, 0, 0, before, 0)) if before else queries, width)
        initial = [weight.to(queries).repeat(rows, 1, 1) for weight in self.initial]  # [B H, I, O]
        scale = None if self.scale is None else self.scale.to(queries).repeat(rows, 1).unsqueeze(1)
        answers, reached = scan(
            (asked, keys, values),
            stop(mixing) if total % size else mixing,
            Loss(scale, self.config.limit),
            [fast.to(queries).flatten(0, 1) for fast in state["fast"]],
            initial if self.config.returns else [],
        )
        answers = (
            answers.unflatten(1, (rows, self.config.num_heads)).permute(1, 0, 3, 2, 4).flatten(1, 2)[:, before:total]
        )
        if self.scale is not None:
            answers = queries + self.scale.to(queries) * F.layer_norm(
                answers, answers.shape[-1:], eps=FLAT / answers.shape[-1]
            )
        fast = [end.unflatten(0, (rows, self.config.num_heads)) for end in reached]
        return answers, fast, [part[:, total - total % size :] for part in written]

    def recall(self, asked: Tensor, state: State) -> Tensor:
        """Answer queries [B, L, D] -> [B, L, D] by the weights at the last chunk's end, and learn nothing: M*(q)."""
        wide = torch.promote_types(asked.dtype, torch.float32)
        queries = unit(F.silu(asked).to(wide).unflatten(-1, (self.config.num_heads, -1)))  # [B, L, H, K]
        found = queries
        with torch.autocast(asked.device.type, enabled=False):
            for layer, (fast, initial) in enumerate(zip(state["fast"], self.initial, strict=True)):
                weight = fast[:, :, : initial.shape[1]].to(wide)  # [B, H, I, O]
                weight = weight + initial.to(wide) if self.config.returns else weight
                found = torch.einsum("blhi,bhio->blho", F.silu(found) if layer else found, weight)
        if self.scale is not None:
            size = found.shape[-1]
            found = queries + self.scale.to(wide) * F.layer_norm(found, (size,), eps=FLAT / size)
        return found.flatten(2)
