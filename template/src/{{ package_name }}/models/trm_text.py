"""The full language model: Titans blocks inside TRM's recursion, which carries what it has read, thought and answered.

Each call of the network within a supervision step reads the text of its own, the latents and answers that it is given,
so that it has a state of its own: what later tokens may know of earlier thoughts is in these states. Wherever a text
is cut, it is then read alike. Letters in shapes as in `titans_mag`.
"""

import math
from dataclasses import replace
from typing import Any, Literal

import torch
from pydantic import NonNegativeFloat, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from ..types import STRICT, UNKNOWN, Batch, Carry, StepOutput, map_carry
from .act import ActHead, Halting
from .gpt import sample
from .stablemax import judge
from .supervision import choose
from .titans_mag import MagConfig, State
from .trm import ponder
from .trm_layers import lecun_normal

Thought = tuple[Tensor, Tensor]  # answer and latent, [B, L, D] each
Step = dict[str, Any]  # what a supervision step has read so far: the reader's state, and of each call of the network


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrmTextConfig:
    """Settings of the language model."""

    kind: Literal["trm_text"] = "trm_text"
    vocab_size: PositiveInt = 256
    reader: MagConfig = MagConfig()  # blocks that read the text once a step
    stack: MagConfig = MagConfig(depth=1)  # blocks that think about it again and again; their dim is the reader's
    num_latent: PositiveInt = 2  # updates of the latent for each of the answer
    num_passes: PositiveInt = 1  # passes of so many updates and one more in a step, the last one with gradient
    max_steps: PositiveInt = 2  # supervision steps for a segment: data.repeat
    halt_weight: NonNegativeFloat = 0.1  # of the question which share of the bytes is right, beside the answer's loss
    diversity_weight: NonNegativeFloat = 0.0  # of the hinge that keeps halting logits apart
    least_std: NonNegativeFloat = 1.0  # deviation of halting logits that it wants

    @property
    def halting(self) -> Halting:
        """What the head is told: a text is never right as a whole, so that it learns which share of it is."""
        return Halting(
            max_steps=self.max_steps,
            exploration=0.0,
            halt_weight=self.halt_weight,
            ponder_weight=0.0,
            diversity_weight=self.diversity_weight,
            least_std=self.least_std,
            halt_target="tokens",
            halt_pool="mean",
        )

    def build(self) -> "TrmText":
        """Make the model."""
        return TrmText(self)


class TrmText(nn.Module):
    """Embedding, a reader, the network that thinks, and the embedding again as the head (Press and Wolf 2017)."""

    first_answer: Tensor
    first_latent: Tensor

    def __init__(self, config: TrmTextConfig) -> None:
        super().__init__()
        self.config, dim = config, config.reader.dim
        self.embedding = nn.Embedding(config.vocab_size, dim)
        lecun_normal(self.embedding.weight)
        self.reader, self.network = config.reader.build(), replace(config.stack, dim=dim).build()
        self.act = ActHead(dim, config.halting)
        for name in ("first_answer", "first_latent"):  # fixed for ever, as in TRM
            self.register_buffer(name, torch.empty(dim))
            lecun_normal(getattr(self, name), std=1.0)

    def prepare(self, dataset: Any) -> None:
        """Refuse data that give a segment another number of times than it is thought about."""
        given, want = getattr(dataset, "repeat", 1), self.config.max_steps
        if given != want:
            raise ValueError(f"model.max_steps {want}, data.repeat {given}: want the same; set both")

    def start(self, tokens: Tensor) -> Step:
        """Return the state of a step before rows [B, ...] begin."""
        x = self.first_answer.expand(tokens.shape[0], 1, -1)
        calls = self.config.num_passes * (self.config.num_latent + 1)
        return {"reader": self.reader.start(x), "calls": [self.network.start(x) for _ in range(calls)]}

    def reset(self, step: Step, rows: Tensor) -> Step:
        """Return the state of a step with some rows [B] (bool) as before they began."""
        calls = [self.network.reset(call, rows) for call in step["calls"]]
        return {"reader": self.reader.reset(step["reader"], rows), "calls": calls}

    def fresh(self, tokens: Tensor) -> Thought:
        """Return the first answer and latent of tokens [B, L]."""
        size = *tokens.shape, len(self.first_answer)
        return self.first_answer.expand(size), self.first_latent.expand(size)

    def listen(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Read tokens [B, L] -> [B, L, D]; return the reader's state."""
        x: tuple[Tensor, State] = self.reader(self.embedding(tokens) * math.sqrt(len(self.first_answer)), state)
        return x

    def think(self, x: Tensor, thought: Thought, states: list[State]) -> tuple[Thought, list[State]]:
        """Take T passes about what was read [B, L, D], the last one with gradient; return the calls' states, too."""
        after = list[State]()

        def network(h: Tensor) -> Tensor:
            """Make the next call: [B, L, D] -> [B, L, D]."""
            h, state = self.network(h, states[len(after)])
            after.append(state)
            return h

        return ponder(network, x, thought, self.config.num_latent, self.config.num_passes), after

    def read(self, tokens: Tensor, before: list[Step] | None = None) -> tuple[Thought, list[Step]]:
        """Take all steps on tokens [B, L]; return the last thought about them, and what to read on with."""
        before = before or [self.start(tokens)] * self.config.max_steps
        (x, reader), thought, after = self.listen(tokens, before[0]["reader"]), self.fresh(tokens), list[Step]()
        for step in before:
            thought, calls = self.think(x, thought, step["calls"])
            after.append({"reader": reader, "calls": calls})
        return thought, after

    def logits(self, thought: Thought) -> Tensor:
        """Return the logits [B, L, V] of what follows each token."""
        return F.linear(thought[0], self.embedding.weight)

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Answer tokens [B, L] with the logits of those that follow [B, L, V]; in eval mode after all steps.

        Where rows go on from batch to batch the state is carried, and rows that begin a document begin without one.
        """
        if batch.starts is None or carry is None:
            carry = None
        elif not self.training:
            carry = [self.reset(step, batch.starts) for step in carry]
        thought, after = self.supervise(batch, carry) if self.training else self.read(batch.inputs, carry)
        logits = self.logits(thought)
        correct, known = judge(logits, batch.targets, "tokens")
        act_loss, metrics = self.act.compute_act_loss(self.act(thought[0]), correct, known)
        losses = F.cross_entropy(logits.transpose(1, 2), batch.targets, ignore_index=UNKNOWN, reduction="sum")
        loss = losses / (batch.targets != UNKNOWN).sum().clamp(min=1) + act_loss
        return StepOutput(loss, logits, metrics, None if batch.starts is None else after)

    def supervise(self, batch: Batch, carry: Carry) -> tuple[Thought, Carry]:
        """Take the next supervision step; on with the carry's thought where the segment is the same as before.

        The states of all steps wait for their turn: each reads a segment once, and goes on at the next.
        """
        if carry is None:
            steps = [self.start(batch.inputs) for _ in range(self.config.max_steps)]
            carry = {
                "steps": steps,
                "thought": self.fresh(batch.inputs),
                "index": batch.index,
                "taken": batch.index * 0,
            }
        first, *others = carry["steps"]
        step = first if batch.starts is None else self.reset(first, batch.starts)
        again = (carry["index"] == batch.index) & (carry["taken"] < self.config.max_steps)  # [B]
        x, reader = self.listen(batch.inputs, step["reader"])
        thought = choose(again, carry["thought"], self.fresh(batch.inputs))
        thought, calls = self.think(x, thought, step["calls"])
        still, taken = map_carry(thought, Tensor.detach), carry["taken"] * again + 1
        steps = [*others, {"reader": reader, "calls": calls}]
        return thought, {"steps": steps, "thought": still, "index": batch.index, "taken": taken}

    @torch.inference_mode()
    def generate(
        self, prompt: Tensor, length: int, *, temperature: float = 1.0, top_k: int = 0, seed: int = 0
    ) -> Tensor:
        """Write on from prompts [B, L]; return the new tokens [B, length], the same for the same seed."""
        draw, written = torch.Generator().manual_seed(seed), [prompt[:, :0]]
        thought, steps = self.read(prompt)
        for _ in range(length):
            logits = self.logits(thought)[:, -1].float().cpu()
            written.append(sample(logits, temperature, top_k, draw).to(prompt.device))
            thought, steps = self.read(written[-1], steps)
        return torch.cat(written, dim=1)
