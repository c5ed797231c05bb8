"""A backbone of timm under a head of the project's own: random, or with the weights that timm offers."""

from importlib import import_module
from typing import Any, Literal, Self

import torch
from pydantic import Field, PositiveInt
from pydantic.dataclasses import dataclass
from torch import nn
from torch.nn import functional as F

from ..types import STRICT, Batch, Carry, Fraction, StepOutput, classify


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TimmClassifierConfig:
    """Settings of the classifier, for grey images [B, height, width] from 0 (dark) to 1."""

    library = "timm"
    kind: Literal["timm_classifier"] = "timm_classifier"
    num_classes: PositiveInt = 10
    backbone: str = "convnext_atto"  # the network, one of timm.list_models()
    settings: dict[str, Any] = Field(default_factory=dict)  # what differs from it, as in '{depths: [1, 1, 1, 1]}'
    weights: str = ""  # what training begins with: empty: random; timm: those of timm; else a file of them
    image_size: PositiveInt = 32  # side to which images are enlarged before the backbone sees them
    dropout: Fraction = 0.0
    label_smoothing: Fraction = 0.0

    def build(self) -> "TimmClassifier":
        """Make the model; its weights come with `prepare`, before training only."""
        return TimmClassifier(self)


def make_backbone(config: TimmClassifierConfig, **options: Any) -> nn.Module:
    """Return the network without its head; ValueError says what timm does not like."""
    timm: Any = import_module("timm")  # seconds that other models need not wait for
    try:
        return timm.create_model(config.backbone, num_classes=0, **config.settings, **options)  # type: ignore[no-any-return]
    except Exception as error:
        names = ("weights",) if options else ("backbone", "settings")
        given = ", ".join(f"model.{name}: got {getattr(config, name)!r}" for name in names)
        raise ValueError(f"{given}, which timm cannot make ({' '.join(str(error).split())})") from error


class TimmClassifier(nn.Module):
    """Images as the backbone was trained to see them, its features, dropout, a linear head."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, config: TimmClassifierConfig) -> None:
        super().__init__()
        self.config, self.backbone = config, make_backbone(config)
        seen: Any = self.backbone.pretrained_cfg
        self.register_buffer("mean", torch.tensor(seen["mean"])[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(seen["std"])[:, None, None], persistent=False)
        dim: Any = self.backbone.head_hidden_size
        self.dropout, self.head = nn.Dropout(config.dropout), nn.Linear(dim, config.num_classes)

    def prepare(self, _: object) -> None:
        """Load the weights that the settings name: over the network or from a file."""
        if name := self.config.weights:
            where = {} if name == "timm" else {"pretrained_cfg_overlay": {"file": name}}
            pretrained = make_backbone(self.config, pretrained=True, **where)
            self.backbone.load_state_dict(pretrained.state_dict())

    def train(self, mode: bool = True) -> Self:
        """Set the mode of training; a frozen backbone stays in that of evaluation, and so do its running means."""
        super().train(mode)
        self.backbone.train(mode and any(p.requires_grad for p in self.backbone.parameters()))
        return self

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Answer images [B, height, width] with logits [B, C]; it carries nothing."""
        size = (self.config.image_size, self.config.image_size)
        padding = (0, 0, 0, 0, 0, 0 if len(batch.inputs) else 2)  # not every backbone takes a batch without rows
        images = F.interpolate(F.pad(batch.inputs, padding).unsqueeze(1), size, mode="bilinear")  # [B, 1, size, size]
        features = self.backbone((images - self.mean) / self.std)  # [B, 3, size, size] -> [B, D]
        return classify(self.head(self.dropout(features[: len(batch.inputs)])), batch, self.config.label_smoothing)
