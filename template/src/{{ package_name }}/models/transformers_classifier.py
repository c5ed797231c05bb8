"""An encoder of Hugging Face Transformers under a head of the project's own: random, or with pretrained weights."""

from importlib import import_module
from typing import Any, Literal, Self

import torch
from pydantic import Field, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from ..types import STRICT, Batch, Carry, Fraction, StepOutput, classify

UNKNOWN_WORD = 1  # the token of a word that is not in the vocabulary; 0 is padding
NOTHING = -1  # where a word has fewer pieces than others


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TransformersClassifierConfig:
    """Settings of the classifier, for tokens [B, L] that are places in the vocabulary of the data."""

    library = "transformers"
    kind: Literal["transformers_classifier"] = "transformers_classifier"
    num_classes: PositiveInt = 12
    backbone: str = "distilbert"  # the architecture, a model type that AutoConfig knows
    settings: dict[str, Any] = Field(default_factory=dict)  # what differs from its defaults, as in '{n_layers: 2}'
    weights: str = ""  # what training begins with: empty: random; else a name on the hub or a folder
    vocab_size: PositiveInt = 16_000  # tokens of the data; rarer ones, which come behind them, are unknown words
    max_pieces: PositiveInt = 4  # pieces of a word that the backbone's tokenizer may make; the rest are left out
    max_len: PositiveInt = 128  # pieces of a text that the backbone sees
    dropout: Fraction = 0.1
    label_smoothing: Fraction = 0.0

    def build(self) -> "TransformersClassifier":
        """Make the model; its weights come with `prepare`, before training only."""
        return TransformersClassifier(self)


def call(config: TransformersClassifierConfig, what: str, function: str, *args: Any, **settings: Any) -> Any:
    """Call a function of Transformers, as in `AutoConfig.for_model`; ValueError says what it does not like."""
    owner, _, name = function.partition(".")
    try:
        return getattr(getattr(import_module("transformers"), owner), name)(*args, **settings)
    except Exception as error:
        given = getattr(config, what)
        raise ValueError(
            f"model.{what}: got '{given}', which Transformers cannot use ({' '.join(str(error).split())})"
        ) from error


class TransformersClassifier(nn.Module):
    """Words as the pieces that the backbone knows, its features, their mean, dropout, a linear head."""

    pieces: Tensor
    ends: Tensor

    def __init__(self, config: TransformersClassifierConfig) -> None:
        super().__init__()
        shape = call(config, "backbone", "AutoConfig.for_model", config.backbone, **config.settings)
        self.config, self.backbone = config, call(config, "backbone", "AutoModel.from_config", shape)
        pieces = torch.full((config.vocab_size, config.max_pieces), NOTHING)  # without a tokenizer a word is one piece
        pieces[UNKNOWN_WORD:, 0] = torch.arange(UNKNOWN_WORD, config.vocab_size).clamp(max=shape.vocab_size - 1)
        self.register_buffer("pieces", pieces)
        self.register_buffer("ends", torch.tensor([NOTHING, NOTHING]))  # what stands before and behind a text
        self.dropout, self.head = nn.Dropout(config.dropout), nn.Linear(shape.hidden_size, config.num_classes)

    def prepare(self, dataset: Any) -> None:
        """Load the weights that the settings name, and spell the data's vocabulary as their tokenizer does."""
        if not (name := self.config.weights):
            return
        pretrained = call(self.config, "weights", "AutoModel.from_pretrained", name)
        try:
            self.backbone.load_state_dict(pretrained.state_dict())
        except RuntimeError as error:
            wanted = f"model.settings and model.backbone of '{name}'"
            raise ValueError(
                f"model.weights: they do not fit, want {wanted} ({' '.join(str(error).split())})"
            ) from error
        tokenizer = call(self.config, "weights", "AutoTokenizer.from_pretrained", name)
        self.ends.copy_(torch.tensor([end if end is not None else NOTHING for end in ends_of(tokenizer)]))
        for token, word in enumerate(dataset.vocabulary[: self.config.vocab_size]):
            spelled = [tokenizer.unk_token_id] if token == UNKNOWN_WORD else []
            spelled = (spelled or tokenizer(word, add_special_tokens=False)["input_ids"])[: self.config.max_pieces]
            self.pieces[token] = torch.tensor(spelled + [NOTHING] * (self.config.max_pieces - len(spelled)))

    def train(self, mode: bool = True) -> Self:
        """Set the mode of training; a frozen backbone stays in that of evaluation, without its dropout."""
        super().train(mode)
        self.backbone.train(mode and any(p.requires_grad for p in self.backbone.parameters()))
        return self

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        """Answer tokens [B, L] with logits [B, C]; it carries nothing."""
        padding = (0, 0, 0, 0 if len(batch.inputs) else 1)  # not every backbone takes a batch without rows
        pieces, there = self.spell(F.pad(batch.inputs, padding))
        features = self.backbone(input_ids=pieces, attention_mask=there.long()).last_hidden_state  # [B, S, D]
        weights = there / there.sum(dim=1, keepdim=True).clamp(min=1)  # [B, S]
        means = (weights.to(features.dtype).unsqueeze(1) @ features).squeeze(1)[: len(batch.inputs)]  # [B, D]
        return classify(self.head(self.dropout(means)), batch, self.config.label_smoothing)

    def spell(self, words: Tensor) -> tuple[Tensor, Tensor]:
        """Return the pieces [B, S] of tokens [B, L], and which are there [B, S]: what is not stands at the end."""
        known = words.where(words < self.config.vocab_size, UNKNOWN_WORD)
        spelled = self.pieces[known].flatten(1)  # [B, L] -> [B, L, P] -> [B, L * P]
        first, last = (end.expand(len(words), 1) for end in self.ends)
        spelled = torch.cat([first, spelled, last], dim=1)
        there = spelled != NOTHING
        behind = there.sum(dim=1, keepdim=True) + (~there).cumsum(dim=1)  # [B, S]
        places = there.cumsum(dim=1).where(there, behind) - 1  # a sort would do, but not every format has a stable one
        pieces = torch.empty_like(spelled).scatter(1, places, spelled)[:, : self.config.max_len]
        return pieces.clamp(min=0), pieces != NOTHING


def ends_of(tokenizer: Any) -> tuple[int | None, int | None]:
    """Return the pieces that a tokenizer sets before and behind a text; None where it sets none."""
    alone: list[int] = tokenizer("")["input_ids"]
    return (alone[0], alone[-1]) if len(alone) == 2 else (None, None)  # noqa: PLR2004 (both, or neither)
