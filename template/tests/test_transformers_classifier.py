# copier: filter replace("my_project", package_name)
"""An encoder of Transformers: how it spells words, its weights, frozen or at a learning rate of its own."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from my_project import config as configs
from my_project import run as commands
from my_project.config import Config
from my_project.training import storage
from my_project.types import Batch

transformers: Any = pytest.importorskip("transformers", reason="needs Transformers: uv sync installs it")
SHORT = {"train.steps": 4, "train.eval_every": 4, "train.log_every": 4, "optim.warmup_steps": 0}
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnopqrstuvwxyz", "##s", "##ing", "dog", "run", "the", "of"]
TINY = {"vocab_size": len(PIECES), "dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 32}


class Words:
    """What `prepare` asks of a data set: the word of each token."""

    vocabulary = ("", "?", "dogs", "run", "the", "running", "zzz")


def config(**options: Any) -> Config:
    given = {name.replace("__", "."): value for name, value in options.items()}
    return configs.load("transformers", {**SHORT, "model.max_pieces": 3, **given})


@pytest.fixture
def folder(workspace: Path) -> str:
    """A folder with a tiny DistilBERT and its tokenizer, as `save_pretrained` leaves them."""
    pieces = {piece: index for index, piece in enumerate(PIECES)}
    transformers.BertTokenizerFast(vocab=pieces).save_pretrained(workspace / "tiny")
    torch.manual_seed(7)
    transformers.DistilBertModel(transformers.DistilBertConfig(**TINY)).save_pretrained(workspace / "tiny")
    return str(workspace / "tiny")


def rows(*tokens: list[int]) -> Batch:
    inputs = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in tokens], batch_first=True)
    return Batch(inputs, torch.zeros(len(inputs), dtype=torch.long), torch.arange(len(inputs)))


def test_words_are_spelled_as_the_tokenizer_of_the_weights_does(folder: str) -> None:
    model = config(model__weights=folder, model__settings=TINY).model.build()
    model.prepare(Words())
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    texts = ["the dogs run", "running", "the zzz"]
    tokens = [[Words.vocabulary.index(word) for word in text.split()] for text in texts]
    pieces, there = model.spell(rows(*tokens).inputs)
    for text, row, seen in zip(texts, pieces, there, strict=True):
        assert row[seen].tolist() == tokenizer(text)["input_ids"]
    unknown, seen = model.spell(torch.tensor([[1]]))
    assert unknown[seen].tolist() == [tokenizer.cls_token_id, tokenizer.unk_token_id, tokenizer.sep_token_id]


def test_training_begins_with_the_weights_of_a_folder(folder: str) -> None:
    begun = config(model__weights=folder, model__settings=TINY)
    model = commands.build(begun, begun.data.build("train"))
    expected = transformers.AutoModel.from_pretrained(folder).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in model.backbone.state_dict().items())


def test_a_trained_run_has_its_weights_and_spelling_in_the_checkpoint(folder: str, workspace: Path) -> None:
    run = commands.fit(config(model__weights=folder, model__settings=TINY))
    (workspace / "tiny").rename(workspace / "gone")
    assert commands.evaluate(run)["primary"] == "accuracy"


def test_a_frozen_backbone_stays_as_it_is_and_the_head_learns(folder: str) -> None:
    run = commands.fit(config(model__weights=folder, model__settings=TINY, optim__freeze=["backbone"]))
    state, before = storage.load_checkpoint(run / "best.pt")["model"], transformers.AutoModel.from_pretrained(folder)
    assert all(torch.equal(state[f"backbone.{name}"], value) for name, value in before.state_dict().items())
    torch.manual_seed(0)
    assert not torch.equal(state["head.weight"], config(model__settings=TINY).model.build().head.weight)


def test_backbone_and_head_have_learning_rates_of_their_own() -> None:
    given = config(optim__lr=0.01, optim__lr_scales={"backbone": 0.1, "head": 2})
    optimization = given.optim.build(given.model.build(), 100)
    rates = {name.partition(".")[0]: group["lr"] for group in optimization.param_groups for name in group["names"]}
    assert rates == {"backbone": pytest.approx(0.001), "head": pytest.approx(0.02)}


def answer(model: Any, batch: Batch) -> Tensor:
    outputs: Tensor = model(batch).outputs
    return outputs


def test_padding_does_not_change_an_answer() -> None:
    model = config().model.build().eval()
    alone, padded = answer(model, rows([5, 9, 7])), answer(model, rows([5, 9, 7], [3] * 20))
    torch.testing.assert_close(padded[:1], alone, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(answer(model, rows([9, 5, 7])), alone, atol=1e-4)


def test_a_text_without_a_word_has_an_answer() -> None:
    model = config().model.build().eval()
    assert answer(model, rows([0, 0, 0])).isfinite().all()


def test_a_long_text_is_cut_and_a_rare_word_is_unknown() -> None:
    model = config(model__max_len=8, model__vocab_size=100).model.build().eval()
    pieces, there = model.spell(torch.arange(95, 115)[None])
    assert pieces.shape == there.shape == (1, 8)
    assert pieces[0].tolist() == [95, 96, 97, 98, 99, 1, 1, 1]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"model__backbone": "berd"}, "model.backbone: got 'berd'"),
        ({"model__weights": "/nowhere/at/all"}, "model.weights: got '/nowhere/at/all'"),
    ],
)
def test_what_transformers_does_not_like_is_said_in_one_line(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match="which Transformers cannot use") as raised:
        commands.fit(config(**options))
    assert str(raised.value).startswith(named)
    assert "\n" not in str(raised.value)


def test_weights_of_another_shape_are_refused_in_one_line(folder: str) -> None:
    with pytest.raises(ValueError, match="they do not fit, want model.settings and model.backbone of") as raised:
        commands.fit(config(model__weights=folder))
    assert "\n" not in str(raised.value)
    # copier: endfilter
