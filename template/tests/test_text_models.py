# copier: filter replace("my_project", package_name)
"""Networks for texts answer to a text of any length, and what is padding changes nothing."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from my_project import config as configs
from my_project.config import Config
from my_project.types import Batch, StepOutput

NAMES = sorted(path.stem for path in configs.PRESETS.glob("*.yaml"))
RUNS = {name: run for name in NAMES if (run := configs.load(name)).data.kind == "text"}
RUNS = {name: run for name, run in RUNS.items() if not hasattr(run.model, "library")}  # that has a test of its own
RUNS["bag of pairs"] = configs.load("bag", {"model.num_bigrams": 50, "model.hidden_dim": 16})
RUNS["absolute positions"] = configs.load("text_transformer", {"model.positions": "absolute"})
RUNS["equal bag"] = configs.load("bag", {"model.weights": "equal"})
every_network = pytest.mark.parametrize("config", RUNS.values(), ids=RUNS)
LONGEST = 31


def build(config: Config) -> Any:
    torch.manual_seed(0)
    return config.model.build()


def answer(model: nn.Module, tokens: Tensor) -> StepOutput:
    index = torch.arange(len(tokens))
    output: StepOutput = model(Batch(tokens, index % 12, index), None)
    return output


def texts_of(*lengths: int) -> Tensor:
    """Return texts [B, L] of other words each, padded to the longest."""
    draw, rows = torch.Generator().manual_seed(0), torch.zeros(len(lengths), max(lengths), dtype=torch.long)
    for row, length in zip(rows, lengths, strict=True):
        row[:length] = torch.randint(2, 10_000, (length,), generator=draw)
    return rows


@every_network
@pytest.mark.parametrize("length", [1, 7, LONGEST])
@pytest.mark.parametrize("size", [0, 1, 3])
def test_texts_of_any_length_are_answered_and_learnt_from(config: Config, length: int, size: int) -> None:
    model = build(config)
    output = answer(model, texts_of(*[length] * max(size, 1))[:size])
    assert output.outputs.shape == (size, len(config.data.labels))
    assert output.outputs.isfinite().all()
    output.loss.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@every_network
def test_a_padded_text_has_the_same_logits_as_the_text_alone(config: Config) -> None:
    model = build(config).eval()
    together = answer(model, texts_of(1, 7, LONGEST)).outputs
    for row, length in enumerate((1, 7, LONGEST)):
        alone = answer(model, texts_of(1, 7, LONGEST)[row : row + 1, :length]).outputs
        torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-4, atol=1e-5)


@every_network
@pytest.mark.parametrize("training", [True, False])
def test_an_empty_text_has_finite_logits_and_gradients(config: Config, training: bool) -> None:
    model = build(config).train(training)
    for length in (1, LONGEST):
        output = answer(model, torch.zeros(2, length, dtype=torch.long))
        assert output.outputs.isfinite().all()
        output.loss.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@every_network
def test_a_rare_word_beyond_the_vocabulary_is_an_unknown_word(config: Config) -> None:
    small = configs.from_dict({**configs.to_dict(config), "model": {**vars(config.model), "vocab_size": 100}})
    model = build(small).eval()
    tokens = torch.tensor([[50, 99, 1], [50, 99, 100], [50, 99, 60_000], [50, 98, 1]])
    logits = answer(model, tokens).outputs
    torch.testing.assert_close(logits[0].expand(2, -1), logits[1:3], rtol=0, atol=0)
    assert not torch.equal(logits[0], logits[3])


@pytest.mark.parametrize("preset", ["text_transformer", "absolute positions", "bag of pairs", "bag"])
def test_the_order_of_words_matters(preset: str) -> None:
    model = build(RUNS[preset]).eval()
    for name, parameter in model.named_parameters():
        if name.rpartition(".")[2] in {"positions", "distances", "place_scores", "word_scores"}:
            nn.init.normal_(parameter)
    tokens = texts_of(7)
    assert not torch.allclose(answer(model, tokens).outputs, answer(model, tokens.flip(1)).outputs, atol=1e-4)


def test_an_equal_bag_is_the_mean_of_its_words() -> None:
    model, tokens = build(RUNS["equal bag"]).eval(), texts_of(3, 7)
    means = torch.stack([model.words(tokens[0, :3]).mean(0), model.words(tokens[1]).mean(0)])
    torch.testing.assert_close(answer(model, tokens).outputs, model.head(means))
    torch.testing.assert_close(answer(model, tokens.flip(1)).outputs[1], model.head(means)[1])


def test_learned_weights_prefer_words_and_places_by_their_scores() -> None:
    model, tokens = build(RUNS["bag"]).eval(), texts_of(3)
    weights = model.weigh(torch.nn.functional.pad(tokens, (0, 2)))
    torch.testing.assert_close(weights, torch.tensor([[1, 1, 1, 0, 0]]) / 3)  # before it has learnt anything
    with torch.no_grad():
        model.place_scores[1] += 2
    assert model.weigh(tokens).argmax() == 1
    with torch.no_grad():
        model.word_scores[tokens[0, 2]] += 5
    assert model.weigh(tokens).argmax() == 2
    assert model.weigh(tokens).sum().item() == pytest.approx(1)


@pytest.mark.parametrize("preset", ["bag", "text_transformer"])
def test_words_are_left_out_in_training_alone(preset: str) -> None:
    config = configs.load(preset, {"model.dropout": 0, "model.word_dropout": 0.5})
    model, tokens = build(config).train(), texts_of(LONGEST)
    logits = [answer(model, tokens).outputs for _ in range(2)]
    assert not torch.equal(*logits)
    model.eval()
    logits = [answer(model, tokens).outputs for _ in range(2)]
    torch.testing.assert_close(*logits, rtol=0, atol=0)


def test_a_transformer_whose_heads_do_not_divide_its_width_is_refused() -> None:
    with pytest.raises(ValueError, match="num_heads 5 must divide dim"):
        configs.load("text_transformer", {"model.num_heads": 5})
    # copier: endfilter
