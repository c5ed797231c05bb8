# copier: filter replace("my_project", package_name)
"""Prompts are gone on from as `predict` does it, each by its own seed, length and temperature."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from my_project import run as commands
from my_project.evaluation.generation import ANSWER, SEED, TEMPERATURE
from my_project.serving import generation
from my_project.serving.predictor import Predictor
from my_project.types import Batch

from .predictors import (
    EXAMPLES,
    answers_alone,
    equal,
    presets,
    refusal,
    trained,
    untrained,
)

NAMES = presets("generation")
FILE = EXAMPLES / "prompt.txt"
ROWS = [
    {"prompt": "Elizabeth", "max_bytes": 12, "temperature": 1.0, "seed": 1},
    {"prompt": "Mr. Darcy was " * 12, "max_bytes": 5},
    {"prompt": "Süß", "max_bytes": 9, "temperature": 0},
    {"prompt": "Elizabeth", "max_bytes": 12, "temperature": 1.0, "seed": 2},
]


def test_a_run_folder_answers_as_predict_answers() -> None:
    run = trained("gpt")
    prompt = FILE.read_bytes().decode()
    row = {"prompt": prompt, "max_bytes": ANSWER, "temperature": TEMPERATURE, "seed": SEED}
    (record,) = Predictor.load(run)([row])
    (wanted,) = commands.predict(run, FILE)
    assert (wanted["prompt"], wanted["continuation"]) == (prompt, record["answer"])


@pytest.mark.parametrize("preset", NAMES)
def test_each_row_of_a_batch_has_its_own_length_temperature_and_seed(preset: str) -> None:
    predictor = untrained(preset)
    together = predictor(ROWS)
    assert equal(together, answers_alone(predictor, ROWS), near=0)
    assert [record["num_bytes"] for record in together] == [12, 5, 9, 12]
    assert together[0]["answer"] != together[3]["answer"]
    answers = predictor.answer(predictor.check(ROWS))
    assert answers.embeddings.shape[0] == len(ROWS)
    assert answers.features["not_ascii"].tolist() == pytest.approx([0, 0, 2 / 3, 0])
    assert answers.features["capitals"].tolist() == pytest.approx([1 / 9, 24 / 168, 1 / 3, 1 / 9])


@pytest.mark.parametrize("preset", NAMES)
def test_the_uncertainty_is_the_bits_that_each_written_byte_took(preset: str) -> None:
    predictor = untrained(preset)
    row = {"prompt": "It is", "max_bytes": 8}
    (record,) = predictor([row])
    model: Any = predictor.model
    written = model.generate(torch.tensor([[*b"It is"]]), 8, temperature=TEMPERATURE, seed=SEED)
    text = torch.cat([torch.tensor([[*b"It is"]]), written], dim=1)
    with torch.inference_mode():
        starts = torch.ones(1, dtype=torch.bool)
        logits = predictor.model(Batch(text, text, torch.zeros(1, dtype=torch.long), starts), None).outputs
    bits = -F.log_softmax(logits[:, 4:-1], dim=2).gather(2, written.unsqueeze(2)).mean().item() / math.log(2)
    assert record["uncertainty"] == pytest.approx(bits, rel=1e-4)
    assert record["confidence"] == pytest.approx(2**-bits, rel=1e-3)


class Told(torch.nn.Module):
    """Says of every byte how likely it is by its place in the window; notes the windows that it was shown."""

    def __init__(self, *, carries: bool) -> None:
        super().__init__()
        self.carries, self.shown = carries, list[int]()

    def forward(self, batch: Batch, carry: Any) -> Any:
        self.shown.append(batch.inputs.shape[1])
        outputs = torch.zeros(1, batch.inputs.shape[1], 256)
        return type("Output", (), {"outputs": outputs, "carry": 1 if self.carries else None})


@pytest.mark.parametrize("carries", [True, False])
@pytest.mark.parametrize("lengths", [(1, 1), (5, 127), (5, 128), (300, 1), (300, 400), (127, 2)])
def test_every_byte_that_was_written_counts_once(lengths: tuple[int, int], carries: bool) -> None:
    prompt, written = (torch.zeros(1, length, dtype=torch.long) for length in lengths)
    bits = generation.surprise(Told(carries=carries), prompt, written)
    assert bits.tolist() == pytest.approx([8.0] * lengths[1])


def test_a_model_that_cannot_write_is_refused_at_once() -> None:
    predictor = untrained(NAMES[0])
    with pytest.raises(ValueError, match="cannot write"):
        Predictor(predictor.config, Told(carries=False), Path("best.pt"), torch.device("cpu"))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": ""}, "prompt: String should have at least 1 character"),
        ({"prompt": 7}, "prompt: got 7, want a valid string"),
        ({"prompt": "a", "max_bytes": 0}, "max_bytes: got 0, want greater than or equal to 1"),
        ({"prompt": "a", "max_bytes": 10**6}, "max_bytes: got 1000000, want less than or equal to 2000"),
        ({"prompt": "a", "max_bytes": 1.5}, "max_bytes: got 1.5, want a valid integer"),
        ({"prompt": "a", "temperature": -1}, "temperature: got -1, want greater than or equal to 0"),
        ({"prompt": "a", "temperature": "hot"}, "temperature: got 'hot', want a valid number"),
        ({"prompt": "a", "seed": -1}, "seed: got -1, want greater than or equal to 0"),
        ({"prompt": "a", "seed": 2**70}, "seed: got 1180591620717411303424, want less than"),
    ],
)
def test_what_cannot_be_gone_on_from_is_refused(row: dict[str, Any], message: str) -> None:
    assert message in refusal(untrained(NAMES[0]), row)
    # copier: endfilter
