"""Titans blocks inside TRM, which halts, for forecasts: quantiles get better step by step, until they are good enough.

Nobody forecasts a year without an error, so that no row is ever right as TRM asks it. Right here is a step ahead whose
median comes nearer to the truth than the last value does, and the halting logit learns their share.
Letters in shapes: B batch, L history, H horizon, Q quantiles, N tokens of which P learn, D dimension.
"""

from dataclasses import replace
from typing import Any, Literal

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from ..types import STRICT, Batch, Carry, StepOutput
from .act import ActHead, Halting, Probability
from .memory import NeuralMemoryConfig
from .quantiles import LEVELS, Quantiles, check, check_patches, ordered, pinball
from .stablemax import precise, total
from .supervision import Goal, answer, supervise
from .titans_mag import MagConfig
from .trm import State, ponder
from .trm_layers import lecun_normal
from .trm_titans import Titans

MEDIAN = LEVELS.index(0.5)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrmForecastConfig:
    """Settings of the model; what is not told here is told at the same names of `TrmConfig`."""

    kind: Literal["trm_forecast"] = "trm_forecast"
    history: PositiveInt = 104  # steps that it sees: data.history
    horizon: PositiveInt = 52  # steps that it forecasts: data.horizon
    patch_size: PositiveInt = 4  # steps that make a token; it must divide history and burn_in
    reach: PositiveInt = 52  # steps that a token is made from: its patch and some before it
    burn_in: NonNegativeInt = 52  # steps of a history from which nothing is learnt yet
    dim: PositiveInt = 32
    stack: MagConfig = MagConfig(depth=1, window=13, memory=NeuralMemoryConfig(chunk_size=8))  # its dim is the model's
    num_latent: PositiveInt = 2  # n: updates of the latent for each of the answer
    num_passes: PositiveInt = 1  # T: passes of n + 1 updates in a step, the last one with gradient
    max_steps: PositiveInt = 4  # supervision steps after which a row is done in any case
    early_stop: bool = False  # in eval mode, let rows halt and drop out
    exploration: Probability = 0.1
    halt_weight: NonNegativeFloat = 0.1
    ponder_weight: NonNegativeFloat = 0.0
    diversity_weight: NonNegativeFloat = 0.0
    least_std: NonNegativeFloat = 1.0
    near: PositiveFloat = 1.0  # a step ahead is right where its error is less than this times that of the last value

    def __post_init__(self) -> None:
        check_patches(self.history, self.burn_in, self.patch_size, self.reach)

    @property
    def halting(self) -> Halting:
        """The part of the settings that belongs to the head, which reads the answer of the last token alone."""
        return Halting(
            max_steps=self.max_steps,
            exploration=self.exploration,
            halt_weight=self.halt_weight,
            ponder_weight=self.ponder_weight,
            diversity_weight=self.diversity_weight,
            least_std=self.least_std,
            halt_target="tokens",
            halt_pool="mean",
        )

    def build(self) -> "TrmForecast":
        """Make the model."""
        return TrmForecast(self)


class TrmForecast(nn.Module):
    """Patches at learned places, the recursion over Titans blocks that look back only, quantiles, the halting head.

    As no token sees what follows it, each after the burn-in learns to forecast; the last one's forecast is the answer.
    """

    first_answer: Tensor
    first_latent: Tensor

    def __init__(self, config: TrmForecastConfig) -> None:
        super().__init__()
        self.config, dim, size = config, config.dim, config.patch_size
        self.patches = nn.Conv1d(3, dim, config.reach, stride=size)
        self.places = nn.Parameter(torch.empty(config.history // size, dim).normal_(std=0.5))
        self.network = Titans(replace(config.stack, dim=dim), both_ways=False)
        self.head, self.act = Quantiles(dim, config.horizon), ActHead(dim, config.halting)
        for name in ("first_answer", "first_latent"):  # fixed for ever, as in TRM
            self.register_buffer(name, torch.empty(dim))
            lecun_normal(getattr(self, name), std=1.0)

    def prepare(self, dataset: Any) -> None:
        """Take the scale of differences from the windows that it is trained on."""
        check("history", self.config.history, dataset.inputs)
        self.head.prepare(dataset)

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Answer histories [B, L, 2] with quantiles [B, H, Q]; in training those in the carry, by one step."""
        asked = replace(batch, targets=self.head.ahead(batch, self.count, self.config.patch_size))
        goal, inputs = Goal(forecast_loss, self.judge, show, "nearer"), batch.inputs
        if self.training:
            output = supervise(self, asked, carry, goal)
            inputs = output.carry["inputs"]
        else:
            output = answer(self, asked, early_stop=self.config.early_stop, goal=goal)
        return replace(output, outputs=self.head.absolute(output.outputs, inputs))

    @property
    def count(self) -> int:
        """Tokens P, at the end of a row, that forecast: in training all after the burn-in."""
        return (self.config.history - self.config.burn_in) // self.config.patch_size if self.training else 1

    def start(self, inputs: Tensor) -> State:
        """Return the first answer and latent of histories [B, L, 2]."""
        check("history", self.config.history, inputs)
        size = inputs.shape[0], *self.places.shape
        return self.first_answer.expand(size), self.first_latent.expand(size)

    def think(self, inputs: Tensor, state: State) -> tuple[State, Tensor, Tensor]:
        """Take T passes, the last one with gradient; return state, quantiles [B, P, H, Q] as `raw`, halting [B]."""
        padding = self.config.reach - self.config.patch_size, 0
        relative = F.pad(self.head.relative(inputs).transpose(1, 2), padding)  # [B, 3, L]
        x = self.patches(relative).transpose(1, 2) + self.places  # [B, N, D]
        state = ponder(self.network, x, state, self.config.num_latent, self.config.num_passes)
        y = state[0]
        return state, precise(self.head.raw(y[:, -self.count :])), self.act(y[:, -1:])

    def judge(self, raw: Tensor, targets: Tensor, _: str) -> tuple[Tensor, Tensor]:
        """Return the share of the known steps ahead that are right [B], and which rows have any [B].

        Quantiles [B, P, H, Q], targets [B, P, H, 2]: differences to the last value, which itself is 0, and marks.
        """
        truths, marks = targets[:, -1].unbind(-1)  # [B, H]
        known = marks > 0
        right = (show(raw)[..., MEDIAN] - truths).abs() < self.config.near * truths.abs()
        asked = total(known)
        return total(right & known) / asked.clamp(min=1), asked > 0


def forecast_loss(raw: Tensor, targets: Tensor) -> Tensor:
    """Return the mean loss [] over the known targets [B, P, H, 2] of quantiles [B, P, H, Q]."""
    truths, marks = targets.unbind(-1)
    return pinball(raw, truths, marks > 0)


def show(raw: Tensor) -> Tensor:
    """Return the last token's quantiles in order: [B, P, H, Q] -> [B, H, Q]."""
    return ordered(raw[:, -1])
