"""The tiny recursive model: one small network improves a latent and an answer, again and again.

TRM is Jolicoeur-Martineau (2025), "Less is More: Recursive Reasoning with Tiny Networks", arXiv 2510.04871; where the
paper and its official code differ, the code holds. N = prefix + L are the positions that the network sees.
"""

import math
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, Literal

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from ..types import STRICT, Batch, Carry, StepOutput
from .act import ActHead, Halting, Probability, mean_of
from .supervision import answer, supervise
from .titans_mag import MagConfig
from .trm_layers import Attention, SwiGlu, TokenMixer, lecun_normal, linear, norm
from .trm_titans import Titans

MEASURED = 1024  # rows that say what numbers are like
State = tuple[Tensor, Tensor]  # answer y and latent z, [B, N, D] each


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrmConfig:
    """Settings of the model: small puzzles by default, the presets hold the paper's sizes."""

    kind: Literal["trm"] = "trm"
    vocab_size: PositiveInt = 7  # tokens of the inputs [B, L]
    features: NonNegativeInt = 0  # numbers at each position of real-valued inputs [B, L, features]; 0: tokens
    num_classes: NonNegativeInt = 0  # answers to choose from; 0: as many as there are tokens
    pooled: bool = False  # one answer for the row, from the mean over its positions, instead of one at each
    seq_len: PositiveInt = 36  # positions of a row
    num_prefix: NonNegativeInt = 0  # empty positions before the row, to think in
    words: bool = False  # tokens are words: 0 fills rows up and is left out, those beyond vocab_size are 1, unknown
    num_tasks: NonNegativeInt = 0  # learned vectors for the first of them; column 0 of the inputs says which
    dim: PositiveInt = 64
    depth: PositiveInt = 2  # blocks of the network
    mixer: Literal["tokens", "attention"] = "tokens"  # tokens: an MLP over the positions, for short rows
    num_heads: PositiveInt = 4  # of attention
    expansion: PositiveFloat = 4.0  # inner widths are 2/3 of this times the outer ones
    multiple_of: PositiveInt = 32  # and rounded up to a multiple of this; the paper's: 256
    stack: MagConfig | None = None  # Titans blocks at learned places, and not the network that mixer and depth make
    both_ways: bool = False  # every second Titans block reads from the end, where no part of a row comes first
    num_latent: PositiveInt = 3  # n: updates of the latent for each of the answer; the paper's: 6
    num_passes: PositiveInt = 2  # T: passes of n + 1 updates in a step, the last one with gradient; the paper's: 3
    max_steps: PositiveInt = 16  # supervision steps after which a row is done in any case
    early_stop: bool = False  # in eval mode, let rows halt and drop out; else all take all steps, as in the paper
    exploration: Probability = 0.1  # chance in training that a row may not halt before a random step
    halt_weight: NonNegativeFloat = 0.5  # of the question whether the row is right, beside the answer's loss
    ponder_weight: NonNegativeFloat = 0.0  # cost of going on
    diversity_weight: NonNegativeFloat = 0.1  # of the hinge that keeps halting logits apart; the paper's: 0
    least_std: NonNegativeFloat = 1.0  # deviation of halting logits that it wants where half of the rows are right
    halt_target: Literal["row", "tokens"] = "row"  # what the halting logit learns: all right or not; the share
    halt_pool: Literal["mean", "first"] = "mean"  # where it is read: all positions; the first prefix, as in the paper

    def __post_init__(self) -> None:
        first, attends = self.halt_pool == "first", self.mixer == "attention"
        wrong = {
            f"dim {self.dim} must be an even multiple of num_heads {self.num_heads}": attends
            and self.dim % (2 * self.num_heads),
            "halt_pool 'first' wants num_prefix: that position is no token's": first and not self.num_prefix,
            f"num_tasks {self.num_tasks} wants num_prefix: there go the vectors": self.num_tasks
            and not self.num_prefix,
            f"num_tasks {self.num_tasks} wants tokens, not features": self.num_tasks and self.features,
            f"features {self.features} wants num_classes": self.features and not self.num_classes,
            "both_ways wants stack: it turns Titans blocks round": self.both_ways and self.stack is None,
            "words wants stack, read forwards: no other network leaves out what fills a row up": self.words
            and (self.stack is None or self.both_ways),
        }
        for message in (message for message, holds in wrong.items() if holds):
            raise ValueError(message)

    @property
    def length(self) -> int:
        """Positions N that the network sees."""
        return self.num_prefix + self.seq_len

    @property
    def halting(self) -> Halting:
        """The part of the settings that belongs to the head."""
        return Halting(**{field.name: getattr(self, field.name) for field in fields(Halting)})

    def inner(self, size: int) -> int:
        """Return the inner width of a SwiGLU over `size` numbers."""
        return -(-round(self.expansion * size * 2 / 3) // self.multiple_of) * self.multiple_of

    def build(self) -> "Trm":
        """Make the model."""
        if self.stack is None:
            return Trm(self)
        return Trm(self, Titans(replace(self.stack, dim=self.dim), both_ways=self.both_ways))


class Block(nn.Module):
    """Mixing between positions, then a SwiGLU at each; the norm comes after each sum."""

    def __init__(self, config: TrmConfig) -> None:
        super().__init__()
        dim, length = config.dim, config.length
        attention = config.mixer == "attention"
        self.mixer = Attention(dim, config.num_heads, length) if attention else TokenMixer(length, config.inner(length))
        self.mlp = SwiGlu(dim, config.inner(dim))

    def forward(self, h: Tensor) -> Tensor:
        """[B, N, D] -> [B, N, D]."""
        h = self.mixer(h)
        return norm(h + self.mlp(h))


class Network(nn.Module):
    """The blocks: the one network that improves the latent and the answer (section 4.3)."""

    def __init__(self, config: TrmConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(config) for _ in range(config.depth)])

    def forward(self, h: Tensor) -> Tensor:
        """[B, N, D] -> [B, N, D]."""
        for block in self.blocks:
            h = block(h)
        return h


def recurse(network: Callable[[Tensor], Tensor], x: Tensor, state: State, num_latent: int) -> State:
    """Improve the latent n times, then the answer once; x and both parts of the state [B, N, D] (figure 3)."""
    y, z = state
    question = y + x
    for _ in range(num_latent):
        z = network(z + question)
    return network(y + z), z


def ponder(network: Callable[[Tensor], Tensor], x: Tensor, state: State, num_latent: int, num_passes: int) -> State:
    """Take T passes, the last one with gradient; x and both parts of the state [B, N, D] (figure 3)."""
    with torch.no_grad():
        for _ in range(num_passes - 1):
            state = recurse(network, x, state, num_latent)
    if not torch.compiler.is_compiling():  # before torch 2.11 the cache hands the last pass weights without gradient
        torch.clear_autocast_cache()
    return recurse(network, x, state, num_latent)


def fitted(words: Tensor, length: int) -> Tensor:
    """Fill rows of words up with 0, or leave out their ends: [B, any] -> [B, length].

    >>> fitted(torch.tensor([[5, 6, 7]]), 4).tolist(), fitted(torch.tensor([[5, 6, 7]]), 2).tolist()
    ([[5, 6, 7, 0]], [[5, 6]])
    """
    return F.pad(words[:, :length], (0, max(0, length - words.shape[1])))


class Trm(nn.Module):
    """The model around the network: embedding, recursion, answer head, halting head; `network` may be your own."""

    first_answer: Tensor
    first_latent: Tensor
    mean: Tensor  # [] of numbers
    std: Tensor  # []

    def __init__(self, config: TrmConfig, network: nn.Module | None = None) -> None:
        super().__init__()
        self.config, dim = config, config.dim
        self.embed = linear(config.features, dim) if config.features else nn.Embedding(config.vocab_size, dim)
        lecun_normal(self.embed.weight)
        self.scale = 1.0 if config.features else math.sqrt(dim)  # tokens then have variance 1, as numbers have
        for name in ("mean", "std") if config.features else ():  # of numbers in the training split
            self.register_buffer(name, torch.full((), float(name == "std")))
        self.tasks = nn.Embedding(config.num_tasks, dim) if config.num_tasks else None
        if self.tasks is not None:
            nn.init.zeros_(self.tasks.weight)
        self.network = Network(config) if network is None else network
        self.places = None if config.stack is None else nn.Parameter(torch.empty(config.length, dim).normal_(std=0.5))
        self.head = linear(dim, config.num_classes or config.vocab_size)
        self.act = ActHead(dim, config.halting)
        for name in ("first_answer", "first_latent"):  # fixed for ever, as in the official code
            self.register_buffer(name, torch.empty(dim))
            lecun_normal(getattr(self, name), std=1.0)

    def prepare(self, dataset: Any) -> None:
        """Take mean and deviation of numbers from rows that the model is trained on; tokens have none."""
        if self.config.features:
            inputs = dataset[torch.arange(min(len(dataset), MEASURED)), 0].inputs.float()
            self.mean.copy_(inputs.mean())
            self.std.copy_(inputs.std().clamp(min=1e-6))

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Train: one supervision step on the carry's rows and, where they have halted, the batch's. Eval: all steps."""
        if self.config.words:
            batch = replace(batch, inputs=fitted(batch.inputs, self.config.seq_len))
        if self.training:
            return supervise(self, batch, carry)
        return answer(self, batch, early_stop=self.config.early_stop)

    def start(self, inputs: Tensor) -> State:
        """Return the first answer and latent of rows [B, ...]; ValueError where they have another length."""
        want = self.config.seq_len + (self.tasks is not None)
        if inputs.shape[1] != want:
            raise ValueError(f"rows of {inputs.shape[1]} positions, want {want}: set seq_len, or pad them")
        size = inputs.shape[0], self.config.length, self.config.dim
        return self.first_answer.expand(size), self.first_latent.expand(size)

    def embedded(self, inputs: Tensor) -> Tensor:
        """Return the question x [B, N, D] of tokens [B, L], with tasks [B, 1 + L], or of numbers [B, L, features]."""
        column = int(self.tasks is not None)
        tokens = (inputs - self.mean) / self.std if self.config.features else inputs[:, column:].long()
        if self.config.words:
            tokens = tokens.where(tokens < self.config.vocab_size, 1)
        x = F.pad(self.embed(tokens), (0, 0, self.config.num_prefix, 0))  # [B, L, D] -> [B, N, D]
        if self.tasks is not None:
            x[:, 0] = self.tasks(inputs[:, 0].long())
        return x * self.scale if self.places is None else x * self.scale + self.places

    def think(self, inputs: Tensor, state: State) -> tuple[State, Tensor, Tensor]:
        """Take T passes, the last one with gradient; return state, logits [B, L, V] (pooled: [B, V]), halting [B]."""
        x, prefix = self.embedded(inputs), self.config.num_prefix
        state = ponder(self.network, x, state, self.config.num_latent, self.config.num_passes)
        there = F.pad(inputs != 0, (prefix, 0), value=True) if self.config.words else None  # [B, N]
        y = state[0]
        read = y[:, prefix:]  # [B, L, D]
        pooled = mean_of(read, None if there is None else there[:, prefix:]) if self.config.pooled else read
        return state, self.head(pooled), self.act(y, there)
