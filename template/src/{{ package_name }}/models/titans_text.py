"""A language model with a memory: Titans blocks that read a text of any length and carry their state on."""

from typing import Annotated, Any, Literal

import torch
from pydantic import BeforeValidator, Field, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from ..types import STRICT, UNKNOWN, Batch, Carry, StepOutput
from .gpt import NARROW, sample
from .linear import linear
from .titans_mac import MacConfig
from .titans_mag import MagConfig, State
from .titans_mal import MalConfig


def default_kind(values: Any) -> Any:
    """Return the settings of a stack, of memory as a gate where no kind is said."""
    return {"kind": MagConfig.kind, **values} if isinstance(values, dict) else values


Stack = Annotated[MagConfig | MacConfig | MalConfig, Field(discriminator="kind"), BeforeValidator(default_kind)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TitansTextConfig:
    """Settings of the language model."""

    kind: Literal["titans_text"] = "titans_text"
    vocab_size: PositiveInt = 256
    stack: Stack = MagConfig()  # the blocks; their kind is mag, mac or mal

    def build(self) -> "TitansText":
        """Make the model."""
        return TitansText(self)


class TitansText(nn.Module):
    """Embedding, Titans blocks, and the embedding again as the head (Press and Wolf 2017)."""

    def __init__(self, config: TitansTextConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.vocab_size, config.stack.dim)
        self.stack = config.stack.build()
        nn.init.normal_(self.embedding.weight, std=NARROW)

    def read(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Return the logits of what follows each token, [B, L] -> [B, L, V], and the state to read on with."""
        values, after = self.stack(self.embedding(tokens), state)
        return linear(values, self.embedding.weight), after

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Answer tokens [B, L] with the logits of those that follow [B, L, V].

        Where rows go on from batch to batch the state is carried, and rows that begin a document begin without one.
        """
        if carry is not None and batch.starts is not None:
            carry = self.stack.reset(carry, batch.starts)
        logits, state = self.read(batch.inputs, carry)
        given, right = logits.flatten(0, 1), batch.targets.flatten()
        losses = F.cross_entropy(given, right, ignore_index=UNKNOWN, reduction="sum")
        loss = losses / (batch.targets != UNKNOWN).sum().clamp(min=1)
        return StepOutput(loss, logits, {}, None if batch.starts is None else state)

    @torch.inference_mode()
    def generate(
        self, prompt: Tensor, length: int, *, temperature: float = 1.0, top_k: int = 0, seed: int = 0
    ) -> Tensor:
        """Write on from prompts [B, L]; return the new tokens [B, length], the same for the same seed.

        Attention sees the window, and the memory keeps what it can of all that was read and written.
        """
        draw, written = torch.Generator().manual_seed(seed), [prompt[:, :0]]
        logits, state = self.read(prompt)
        for _ in range(length):
            written.append(sample(logits[:, -1].float().cpu(), temperature, top_k, draw).to(prompt.device))
            logits, state = self.read(written[-1], state)
        return torch.cat(written, dim=1)
