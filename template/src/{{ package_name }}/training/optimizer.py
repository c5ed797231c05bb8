"""AdamW with what belongs to an update: schedule, clipping, frozen parts, averaged weights."""

import math
from typing import Any, Literal

import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from ..types import STRICT, Fraction, map_carry

KERNEL: Any = torch._fused_adamw_  # of torch.optim.AdamW(fused=True), a class that takes seconds to import
UNSCALED = torch.amp.GradScaler("cpu", enabled=False)
FIXED = {"eps": 1e-8, "amsgrad": False, "maximize": False}
STATE = ("exp_avg", "exp_avg_sq", "counts", "averages", "num_updates", "plateau_scale")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class OptimConfig:
    """Settings of the update."""

    lr: PositiveFloat = 1e-3  # peak learning rate
    weight_decay: NonNegativeFloat = 0.01  # decay of weight matrices; biases, norms and other vectors never decay
    betas: tuple[Fraction, Fraction] = (0.9, 0.99)
    grad_clip: NonNegativeFloat = 1.0  # largest gradient norm; 0 neither measures nor clips
    ema_decay: Fraction = 0.0  # weights are averaged with this decay and evaluated so; 0 turns it off
    schedule: Literal["constant", "cosine", "step", "plateau"] = "cosine"  # constant; cosine to 0; step, plateau: drops
    warmup_steps: NonNegativeInt = 50  # steps in which the learning rate rises from 0
    step_every: PositiveInt = 500  # steps between two drops of the step schedule
    factor: Fraction = 0.3  # what a drop multiplies the learning rate by
    plateau_patience: PositiveInt = 3  # evaluations without a better value after which the plateau schedule drops
    freeze: tuple[str, ...] = ()  # parameters whose names begin so are not trained, as in '[stages]'
    lr_scales: dict[str, PositiveFloat] = Field(default_factory=dict)  # lr factor by name's start, as in '{head: 10}'

    def build(self, model: nn.Module, num_steps: int) -> "Optimization":
        """Make the optimizer of a model that is trained for `num_steps` updates."""
        return Optimization(self, model, num_steps)

    def lr_scale(self, step: int, num_steps: int) -> float:
        """Return the factor on the learning rate in update `step` (from 0), without plateaus."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        if self.schedule == "step":
            return float(self.factor ** (step // self.step_every))
        progress = (step - self.warmup_steps) / max(1, num_steps - self.warmup_steps)
        return (1 + math.cos(math.pi * min(1.0, progress))) / 2 if self.schedule == "cosine" else 1.0


def parameter_groups(config: OptimConfig, model: nn.Module) -> list[dict[str, Any]]:
    """Group the trainable parameters by weight decay and learning rate; freeze the others."""
    named = dict(model.named_parameters())
    for prefix in (*config.freeze, *config.lr_scales):
        if not any(name.startswith(prefix) for name in named):
            parts = ", ".join(dict.fromkeys(name.partition(".")[0] for name in named))
            raise ValueError(f"no parameter begins with '{prefix}'; the model has {parts}")
    groups: dict[tuple[float, float, torch.dtype], list[tuple[str, nn.Parameter]]] = {}
    for name, parameter in named.items():
        parameter.requires_grad_(not name.startswith(config.freeze))
        if parameter.requires_grad:
            scales = (scale for prefix, scale in config.lr_scales.items() if name.startswith(prefix))
            decay = config.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((decay, next(scales, 1.0), parameter.dtype), []).append((name, parameter))
    if not groups:
        raise ValueError(f"optim.freeze: {list(config.freeze)} leaves nothing to train")
    columns, betas = ("names", "params", "weight_decay", "lr_scale", "dtype", "beta1", "beta2"), config.betas
    return [dict(zip(columns, (*zip(*pairs, strict=True), *key, *betas), strict=True)) for key, pairs in groups.items()]


class Optimization:
    """One `step()` an update: clip, AdamW (Loshchilov and Hutter 2019, algorithm 2), average, schedule."""

    def __init__(self, config: OptimConfig, model: nn.Module, num_steps: int) -> None:
        self.config, self.num_steps, self.num_updates, self.plateau_scale = config, num_steps, 0, 1.0
        self.param_groups = parameter_groups(config, model)
        self.params = {n: p for g in self.param_groups for n, p in zip(g["names"], g["params"], strict=True)}
        self.exp_avg, self.exp_avg_sq = ({n: torch.zeros_like(p) for n, p in self.params.items()} for _ in range(2))
        self.counts = {n: torch.zeros((), device=p.device) for n, p in self.params.items()}
        self.averages = {n: p.detach().clone() for n, p in self.params.items()} if config.ema_decay else {}
        self.schedule()

    @torch.no_grad()
    def step(self, scaler: Any = UNSCALED, *, guard: bool = False, layers: bool = False) -> dict[str, Tensor]:
        """Update from the gradients; return their norms [] before clipping, as far as somebody wants to know them."""
        norms, clip, scale, found_inf = dict[str, Tensor](), self.config.grad_clip, None, None
        scaler.unscale_(self)  # a torch.amp.GradScaler; one that is disabled does nothing
        grads = {name: p.grad for name, p in self.params.items() if p.grad is not None}
        if clip or guard or layers or scaler.is_enabled():
            each = torch._foreach_norm([*grads.values()])  # noqa: SLF001 (what torch's own clipping calls)
            norms = {f"grad_norm/{name}": norm for name, norm in zip(grads, each, strict=True)} if layers else {}
            norms["grad_norm"] = norm = torch.linalg.vector_norm(torch.stack(each))
            scale, found_inf = (norm / (clip or torch.inf)).clamp(min=1.0), (norm - norm).isnan().float()
        self.adamw(grads, scale, found_inf)
        scaler.update()
        for parameter in self.params.values():
            parameter.grad = None
        self.num_updates += 1
        if self.averages:  # the decay grows to its value over the first updates
            decay = min(self.config.ema_decay, (1 + self.num_updates) / (10 + self.num_updates))
            torch._foreach_lerp_([*self.averages.values()], [*self.params.values()], 1 - decay)
        self.schedule()
        return norms

    def adamw(self, grads: dict[str, Tensor], scale: Tensor | None, found_inf: Tensor | None) -> None:
        """Update by gradients divided by `scale` []; change nothing where `found_inf` [] is 1."""
        for group in self.param_groups:
            names = [name for name in group["names"] if name in grads]
            tables = (self.params, grads, self.exp_avg, self.exp_avg_sq, self.counts)
            *lists, steps = [[table[name] for name in names] for table in tables]
            if names:
                torch._foreach_add_(steps, 1 if found_inf is None else 1 - found_inf)
                rates = {key: group[key] for key in ("lr", "weight_decay", "beta1", "beta2")}
                KERNEL(*lists, [], steps, **rates, **FIXED, grad_scale=scale, found_inf=found_inf)

    def schedule(self) -> None:
        """Set the learning rates of the next update; `lr` is the one before a group's own factor."""
        self.lr = self.config.lr * self.config.lr_scale(self.num_updates, self.num_steps) * self.plateau_scale
        for group in self.param_groups:
            group["lr"] = self.lr * group["lr_scale"]

    def stagnated(self, waited: int) -> None:
        """Drop the plateau schedule's learning rate if `waited` evaluations without a better value are enough."""
        if self.config.schedule == "plateau" and waited and waited % self.config.plateau_patience == 0:
            self.plateau_scale *= self.config.factor
            self.schedule()

    def swap_averages(self) -> None:
        """Exchange the model's weights and their averages, if any are kept."""
        for name, average in self.averages.items():
            trained = self.params[name].detach().clone()
            self.params[name].data.copy_(average)
            average.copy_(trained)

    def state_dict(self) -> dict[str, Any]:
        """Return what an exact resume needs."""
        return {key: getattr(self, key) for key in STATE}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict()`."""
        device = next(iter(self.params.values())).device
        vars(self).update({key: map_carry(state[key], lambda average: average.to(device)) for key in STATE})
        self.schedule()
