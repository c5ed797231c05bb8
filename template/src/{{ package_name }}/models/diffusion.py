"""A diffusion model of small images: it learns to take noise away, and draws by taking it away from pure noise."""

import math
from itertools import pairwise
from typing import Literal

import torch
from pydantic import NonNegativeFloat, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from ..types import STRICT, UNKNOWN, Batch, Carry, Fraction, StepOutput

OFFSET, NUM_WAVES = 0.008, 32  # of the schedule; sines and cosines each that tell the network how noisy an image is


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DiffusionConfig:
    """Settings of the diffusion model, for images [B, h, w] of pixels 0 to 1: `depth` blocks on patches [B, L, dim]."""

    kind: Literal["diffusion"] = "diffusion"
    image_shape: tuple[PositiveInt, PositiveInt] = (8, 8)
    patch_size: PositiveInt = 2
    num_classes: PositiveInt = 10
    dim: PositiveInt = 64
    depth: PositiveInt = 4
    dropout: Fraction = 0.0
    label_dropout: Fraction = 0.1  # of the rows in training that are not told their class, so that guidance is possible
    num_steps: PositiveInt = 1000  # levels of noise
    num_sample_steps: PositiveInt = 40  # evaluations of the network that make an image
    guidance: NonNegativeFloat = 1.0  # 1: as the data; more: more alike in a class, and clearer

    def __post_init__(self) -> None:
        if any(size % self.patch_size for size in self.image_shape):
            raise ValueError(f"patch_size {self.patch_size} must divide image_shape {self.image_shape}")

    @property
    def num_patches(self) -> int:
        """The number of tokens that an image makes, L."""
        return self.image_shape[0] * self.image_shape[1] // self.patch_size**2

    def build(self) -> "Diffusion":
        """Make the model."""
        return Diffusion(self)


class ConditionedNorm(nn.Module):
    """A norm, scaled and shifted by level and class (FiLM: Perez et al. 2018)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm, self.film = nn.LayerNorm(dim), nn.Linear(2 * dim, 2 * dim)

    def forward(self, tokens: Tensor, condition: Tensor) -> Tensor:
        """Change tokens [B, L, D], by a condition [B, 2D]: level and class."""
        scale, shift = self.film(condition).unsqueeze(1).chunk(2, dim=2)
        result: Tensor = self.norm(tokens) * (1 + scale) + shift
        return result


class Block(nn.Module):
    """Two layers across patches, two across features, each added to what they read (Tolstikhin et al. 2021)."""

    def __init__(self, config: DiffusionConfig) -> None:
        super().__init__()
        self.norms = nn.ModuleList(ConditionedNorm(config.dim) for _ in range(2))
        self.patches = two_layers(config.num_patches, 4 * config.num_patches, config.dropout)
        self.features = two_layers(config.dim, 2 * config.dim, config.dropout)

    def forward(self, tokens: Tensor, condition: Tensor) -> Tensor:
        """Change tokens [B, L, D], by a condition [B, 2D]: level and class."""
        tokens = tokens + self.patches(self.norms[0](tokens, condition).mT).mT
        result: Tensor = tokens + self.features(self.norms[1](tokens, condition))
        return result


def two_layers(dim: int, hidden: int, dropout: float) -> nn.Sequential:
    """Make two linear layers with an activation between them, [..., dim] -> [..., dim]."""
    return nn.Sequential(nn.Linear(dim, hidden), nn.SiLU(), nn.Dropout(dropout), nn.Linear(hidden, dim))


class Diffusion(nn.Module):
    """A mixer of patches that predicts the velocity v of images with noise (Salimans and Ho 2022, section 4)."""

    signals: Tensor
    noises: Tensor

    def __init__(self, config: DiffusionConfig) -> None:
        super().__init__()
        self.config, dim, pixels = config, config.dim, config.patch_size**2
        self.classes = nn.Embedding(config.num_classes + 1, 2 * dim)  # the last row: any class
        self.levels = nn.Sequential(nn.Linear(2 * NUM_WAVES, 2 * dim), nn.SiLU(), nn.Linear(2 * dim, 2 * dim))
        self.inner, self.places = nn.Linear(pixels, dim), nn.Parameter(torch.randn(config.num_patches, dim) / 10)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.last, self.outer = ConditionedNorm(dim), nn.Linear(dim, pixels)
        self.direct = nn.Linear(2 * dim, 2 * pixels * config.num_patches)  # from a pixel to itself: blocks do the rest
        angles = (torch.arange(config.num_steps + 1) / config.num_steps + OFFSET) / (1 + OFFSET) * math.pi / 2
        kept = (angles.cos() / angles[0].cos()).clamp(0, 1)  # square root of Nichol and Dhariwal (2021, equation 17)
        self.register_buffer("signals", kept, persistent=False)  # [T+1]
        self.register_buffer("noises", (1 - kept.square()).sqrt(), persistent=False)  # [T+1]

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Answer images [B, h, w] with what they seem to be once noise was added to them; it carries nothing.

        The noise is drawn anew in training (Ho et al. 2020, algorithm 1); else it follows from a row's number.
        """
        images = batch.inputs * 2 - 1
        level, noise, hidden = self.draw(images) if self.training else fixed_draw(images, batch.index, self.config)
        unknown = hidden | (batch.targets == UNKNOWN)
        signal, amount = self.signals[level, None, None], self.noises[level, None, None]  # [B, 1, 1] each
        noisy = signal * images + amount * noise  # Ho et al. (2020, equation 4)
        velocity = self.velocity(noisy, level, batch.targets.masked_fill(unknown, self.config.num_classes))
        losses = (velocity - (signal * noise - amount * images)).square().mean((1, 2))  # [B]
        clean = (signal * noisy - amount * velocity + 1) / 2
        return StepOutput(losses.sum() / max(1, len(losses)), clean, {})

    def draw(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Draw for images [B, h, w] levels [B], noise [B, h, w], and which rows are not told their class [B]."""
        count, device = len(images), images.device
        level = torch.randint(1, self.config.num_steps + 1, (count,), device=device)
        return level, torch.randn_like(images), torch.rand(count, device=device) < self.config.label_dropout

    def velocity(self, noisy: Tensor, level: Tensor, classes: Tensor) -> Tensor:
        """Predict the velocity of images with noise, [B, h, w] -> [B, h, w], from their levels [B] and classes [B]."""
        rates = torch.exp(torch.arange(NUM_WAVES, device=noisy.device) * (-math.log(10_000) / NUM_WAVES))
        angles = level[:, None] * (1000 / self.config.num_steps) * rates  # Vaswani et al. (2017, section 3.5)
        condition = F.silu(
            self.levels(torch.cat([angles.sin(), angles.cos()], dim=1)) + self.classes(classes)
        )  # [B, 2D]
        size, shape = self.config.patch_size, self.config.image_shape
        rows, columns = (length // size for length in shape)
        patches = noisy.unflatten(2, (columns, size)).unflatten(1, (rows, size)).transpose(2, 3)  # [B, r, c, s, s]
        tokens = self.inner(patches.flatten(3).flatten(1, 2)) + self.places  # [B, L, D]
        for block in self.blocks:
            tokens = block(tokens, condition)
        patches = self.outer(self.last(tokens, condition)).unflatten(2, (size, size)).unflatten(1, (rows, columns))
        scale, shift = self.direct(condition).unflatten(1, (2, *shape)).unbind(1)
        velocity: Tensor = patches.transpose(2, 3).flatten(3).flatten(1, 2) + scale * noisy + shift
        return velocity

    @torch.inference_mode()
    def sample(self, classes: Tensor, *, seed: int = 0, num_steps: int = 0, guidance: float | None = None) -> Tensor:
        """Draw an image for each class, [B] -> [B, h, w], by DDIM (Song et al. 2021, equation 12 without new noise).

        The same seed draws the same; `num_steps` and `guidance` are the config's if 0 and None.
        """
        weight = self.config.guidance if guidance is None else guidance
        count = num_steps or self.config.num_sample_steps
        levels = torch.linspace(self.config.num_steps, 0, count + 1).round().long().tolist()
        draw = torch.Generator().manual_seed(seed)
        noisy = torch.randn(len(classes), *self.config.image_shape, generator=draw).to(classes.device)
        for level, following in pairwise(levels):
            clean = self.clean(noisy, level, classes, weight)
            noise = (noisy - self.signals[level] * clean) / self.noises[level]
            noisy = self.signals[following] * clean + self.noises[following] * noise
        return (noisy + 1) / 2

    @torch.inference_mode()
    def denoise(self, noisy: Tensor, amount: float, classes: Tensor) -> Tensor:
        """Take away from images [B, h, w] of classes [B] noise of that standard deviation."""
        level = int((self.noises / self.signals - 2 * amount).abs().argmin())  # pixels 0 to 1 are -1 to 1 in here
        return (self.clean(self.signals[level] * (noisy * 2 - 1), level, classes, 1.0) + 1) / 2

    def clean(self, noisy: Tensor, level: int, classes: Tensor, guidance: float) -> Tensor:
        """Return what noisy images [B, h, w] seem to be, guided from any class (Ho and Salimans 2022, equation 6)."""
        levels = torch.full_like(classes, level)
        velocity = self.velocity(noisy, levels, classes)
        if guidance != 1:
            anything = self.velocity(noisy, levels, torch.full_like(classes, self.config.num_classes))
            velocity = anything + guidance * (velocity - anything)
        return (self.signals[level] * noisy - self.noises[level] * velocity).clamp(-1, 1)


def fixed_draw(images: Tensor, index: Tensor, config: DiffusionConfig) -> tuple[Tensor, Tensor, Tensor]:
    """Return for images [B, h, w] levels [B] and noise [B, h, w] from their numbers [B], each with its class known."""
    count = images.shape[1] * images.shape[2] + 1
    bits = (index[:, None] * count + torch.arange(count, device=index.device)) * -0x61C8864680B583EB  # SplitMix64
    for shift, factor in ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15), (31, 1)):
        bits = (bits ^ (bits >> shift & (1 << 64 - shift) - 1)) * factor  # the mask: >> copies the sign
    chances = ((bits >> 41 & 0x7FFFFF) + 0.5) / 2**23  # [B, P+1] between 0 and 1, and exact
    level = 1 + (chances[:, 0] * config.num_steps).long()
    noise = torch.erfinv(2 * chances[:, 1:] - 1).mul(math.sqrt(2)).view_as(images)
    return level, noise, torch.zeros_like(index, dtype=torch.bool)
