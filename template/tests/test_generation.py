# copier: filter replace("my_project", package_name)
"""The figures of a language model are right, the n-gram models beside it too, and its report shows what it writes."""

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from my_project import run as commands
from my_project.data.text_pages import pack
from my_project.data.text_stream import TextStream, TextStreamConfig
from my_project.evaluation import generation, ngrams
from my_project.types import Batch, Carry, StepOutput

EXAMPLE = Path(__file__).parents[1] / "examples" / "prompt.txt"
SMALL = {"model.dim": 32, "model.depth": 1, "data.seq_len": 64, "model.seq_len": 64}


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run of a very small model: evaluated, reported."""
    out = {"train.out": str(tmp_path_factory.mktemp("runs") / "writer")}
    steps = {"train.steps": 150, "train.eval_every": 75, "optim.lr": 0.01, "optim.warmup_steps": 10}
    return Path(commands.train("gpt", {**SMALL, **steps, **out})["run"])


@pytest.fixture
def folder(workspace: Path) -> Path:
    (workspace / "text.txt").write_text(" ".join(map(str, range(5000))))
    pack(workspace / "text.txt", workspace / "text")
    return workspace / "text"


@pytest.fixture
def data(folder: Path) -> TextStream:
    return TextStreamConfig(folder=str(folder), seq_len=32, overlap=0.25).build("val")


class Fixed(nn.Module):
    """A model that says the same of every place, whatever it reads."""

    def __init__(self, chances: torch.Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(chances.log())

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        return StepOutput(self.logits.sum(), self.logits.expand(*batch.inputs.shape, -1), {}, carry)


def test_bits_perplexity_and_loss_equal_those_counted_by_hand(data: TextStream) -> None:
    chances = torch.full((256,), 1.0)
    chances[ord(" ")], chances[ord("1")] = 50, 20
    chances /= chances.sum()
    found = generation.measure_fully(Fixed(chances), data, TextStreamConfig())
    bits = -np.log2([float(chances[byte]) for byte in data.text[1:].tolist()]).mean()
    assert found.metrics["bits_per_byte"] == found.value == pytest.approx(bits, rel=1e-6)
    assert found.metrics["loss"] == pytest.approx(bits * math.log(2), rel=1e-6)
    assert found.metrics["perplexity"] == pytest.approx(2**bits, rel=1e-6)
    assert found.metrics["num_bytes"] == len(data.text) - 1
    assert (found.primary, found.higher_is_better, found.metrics["samples"]) == ("bits_per_byte", False, [])


def test_bits_by_position_are_the_mean_over_all_windows(data: TextStream) -> None:
    chances = torch.linspace(1, 2, 256) / 384
    found = generation.measure_fully(Fixed(chances), data, TextStreamConfig()).metrics["by_position"]
    for position in (0, 7, 31):
        bits = [-math.log2(float(chances[int(data.text[int(begin) + position + 1])])) for begin in data.begins]
        assert found[position] == pytest.approx(sum(bits) / len(bits), rel=1e-5)


def test_the_most_surprising_byte_is_found_with_the_text_around_it(data: TextStream) -> None:
    chances = torch.full((256,), 1.0)
    chances[ord("7")] = 1e-6
    found = generation.measure_fully(Fixed(chances / chances.sum()), data, TextStreamConfig()).metrics["surprising"]
    text = bytes(data.text.tolist()).decode()
    for place in found:
        assert place["byte"] == text[place["place"]] == "7"
        assert text[: place["place"]].endswith(place["before"])
        assert text[place["place"] + 1 :].startswith(place["after"])
        assert place["bits"] == pytest.approx(-math.log2(1e-6 / 255), abs=0.01)
    assert len({place["place"] for place in found}) == len(found) == generation.NUM_PLACES


def test_a_quick_look_takes_windows_from_all_over_the_text() -> None:
    data = TextStreamConfig().build("train")
    rows = generation.read(Fixed(torch.ones(256)), data, 100)["index"]
    assert 50 < len(rows) <= 100
    assert (rows.diff() == rows.diff()[0]).all()
    assert rows[-1] > 0.98 * len(data)


def plain_kneser_ney(train: str, text: str, order: int) -> list[float]:
    """Return the bits of each byte, with dictionaries and a recursion."""
    counts = [Counter(train[n : n + size] for n in range(len(train) - size + 1)) for size in range(order + 2)]

    def uses(size: int) -> Counter[str]:
        return counts[size] if size == order else Counter(gram[1:] for gram in counts[size + 1])

    tables = [uses(size) for size in range(order + 1)]

    def chance(gram: str) -> float:
        if not gram:
            return 1 / 256
        table = tables[len(gram)]
        same = [count for other, count in table.items() if other[:-1] == gram[:-1]]
        if not same:
            return chance(gram[1:])
        once, twice = (sum(count == n for count in table.values()) for n in (1, 2))
        discount = (once + 1) / (once + 2 * twice + 2)
        return (max(table[gram] - discount, 0) + discount * len(same) * chance(gram[1:])) / sum(same)

    return [-math.log2(chance(text[max(0, n + 1 - order) : n + 1])) for n in range(len(text))]


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_n_grams_are_smoothed_as_their_definition_says(order: int) -> None:
    train, text = "to be or not to be, that is the question: to see or not", "not to be seen, or to be that question?"
    read, other = (np.frombuffer(part.encode(), np.uint8).astype(np.int64) for part in (train, text))
    assert ngrams.surprise(read, other, order).tolist() == pytest.approx(plain_kneser_ney(train, text, order))


def test_the_chances_of_all_bytes_sum_to_one() -> None:
    train = np.frombuffer(b"abracadabra abracadabra", np.uint8).astype(np.int64)
    for head in (b"ab", b"ra", b"zz"):
        endings = [np.frombuffer(head + bytes([last]), np.uint8).astype(np.int64) for last in range(256)]
        assert sum(2 ** -ngrams.surprise(train, text, 3)[-1] for text in endings) == pytest.approx(1)


def test_sequences_longer_than_a_number_holds_are_refused() -> None:
    with pytest.raises(ValueError, match="order: got 8, want 1 to 7"):
        ngrams.surprise(np.zeros(9, np.int64), np.zeros(9, np.int64), 8)


def test_baselines_are_measured_on_the_bytes_that_the_model_is_measured_on() -> None:
    config = TextStreamConfig()
    train, val = config.build("train"), config.build("val")
    found = generation.baselines(train, val, config)
    counts = torch.bincount(train.text, minlength=256).double()
    bits = -(counts / counts.sum()).log2()[val.text[1:].long()].mean()
    assert found["unigram"] == pytest.approx(float(bits), abs=0.001)
    assert sorted(found, key=found.__getitem__, reverse=True) == [*found]  # the longer, the better


def test_a_short_run_beats_single_letters_and_its_figures_hang_together(writer: Path) -> None:
    record = json.loads((writer / "evaluation.json").read_text())
    assert (record["primary"], record["higher_is_better"], record["split"]) == ("bits_per_byte", False, "val")
    assert record["value"] == record["metrics"]["bits_per_byte"] < record["baselines"]["unigram"] - 0.5
    assert record["metrics"]["by_position"][0] > record["metrics"]["by_position"][-1]
    for sample in record["metrics"]["samples"]:
        assert [written["temperature"] for written in sample["written"]] == [*generation.TEMPERATURES]


def test_a_prompt_is_written_on_and_always_the_same(writer: Path) -> None:
    (answer,) = commands.predict(writer, EXAMPLE)
    assert answer["prompt"] == EXAMPLE.read_text()
    assert len(answer["continuation"]) == generation.ANSWER
    assert commands.predict(writer, EXAMPLE) == [answer]


def test_a_model_that_cannot_write_says_so(workspace: Path) -> None:
    (workspace / "prompt.txt").write_text("a")
    with pytest.raises(ValueError, match="cannot write"):
        generation.answers(Fixed(torch.ones(256)), TextStreamConfig(), workspace / "prompt.txt")


def test_the_report_shows_samples_the_curve_and_surprising_places(writer: Path) -> None:
    page, record = (writer / "report.html").read_text(), json.loads((writer / "evaluation.json").read_text())
    for figure in (record["value"], record["metrics"]["perplexity"], *record["baselines"].values()):
        assert f"<b>{figure:.4f}</b>" in page
    assert page.count('<div class="text sample">') == generation.NUM_PROMPTS * len(generation.TEMPERATURES)
    assert page.count('<svg class="figure"') == 3  # two curves and the bits by position
    assert page.count("<mark>") == generation.NUM_PLACES
    assert "[[" not in page


def test_text_in_a_report_cannot_break_the_page(writer: Path) -> None:
    record = json.loads((writer / "evaluation.json").read_text())
    record["metrics"]["samples"][0]["written"][0]["text"] = "<script>"
    (writer / "evaluation.json").write_text(json.dumps(record))
    commands.report(writer)
    assert "<script>" not in (writer / "report.html").read_text()
    commands.evaluate(writer)
    commands.report(writer)
    # copier: endfilter
