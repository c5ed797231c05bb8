# copier: filter replace("my_project", package_name)
"""Two sides are better than one: the network, its baselines and its report keep them apart."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from my_project import config as configs
from my_project import run as commands
from my_project.evaluation import multimodal_classification as task
from my_project.models.fusion import Fusion, FusionConfig
from my_project.types import Batch

EXAMPLE = Path(__file__).parents[1] / "examples" / "captioned_digits.csv"
CONFIG = configs.load("fusion")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run of the fusion: evaluated, reported, good enough to be worth looking at."""
    out = tmp_path_factory.mktemp("runs") / "fusion"
    options = {"train.steps": 300, "train.eval_every": 150, "train.out": str(out), "optim.lr": 0.005}
    return Path(commands.train("fusion", options)["run"])


def batch_of(size: int, length: int = 10) -> Batch:
    draw = torch.Generator().manual_seed(size)
    words = torch.randint(2, 21, (size, length), generator=draw)
    inputs = {"image": torch.rand(size, 8, 8, generator=draw), "words": words}
    return Batch(inputs, torch.arange(size) % 10, torch.arange(size))


def logits(model: Fusion, inputs: dict[str, Tensor]) -> Tensor:
    index = torch.arange(len(next(iter(inputs.values()))))
    outputs: Tensor = model(Batch(inputs, index % 10, index), None).outputs
    return outputs


@pytest.mark.parametrize("sides", [("image", "words"), ("image",), ("words",)])
@pytest.mark.parametrize("length", [1, 7, 10])
def test_captions_of_any_length_are_answered(sides: tuple[str, ...], length: int) -> None:
    model = configs.load("fusion", {"model.sides": [*sides]}).model.build()
    for size in (0, 1, 3):
        output = model(batch_of(size, length))
        assert output.outputs.shape == (size, 10)
        output.loss.backward()


def test_a_padded_caption_has_the_same_logits_as_the_caption_alone() -> None:
    model, inputs = FusionConfig().build().eval(), batch_of(3, 4).inputs
    padded = inputs | {"words": torch.nn.functional.pad(inputs["words"], (0, 5))}
    torch.testing.assert_close(logits(model, padded), logits(model, inputs), rtol=1e-5, atol=1e-6)


def test_the_network_reads_the_order_of_words() -> None:
    model, inputs = FusionConfig().build().eval(), batch_of(3, 7).inputs
    turned = inputs | {"words": inputs["words"].flip(1)}
    assert not torch.allclose(logits(model, turned), logits(model, inputs), atol=1e-4)


@pytest.mark.parametrize(("side", "other"), [("image", "words"), ("words", "image")])
def test_a_network_of_one_side_does_not_look_at_the_other(side: str, other: str) -> None:
    model = FusionConfig(sides=(side,)).build().eval()  # type: ignore[arg-type]  # one of the two
    inputs = batch_of(3).inputs
    changed = inputs | {other: torch.zeros_like(inputs[other])}
    torch.testing.assert_close(logits(model, changed), logits(model, inputs), rtol=0, atol=0)
    assert not torch.equal(logits(model, inputs | {side: torch.zeros_like(inputs[side])}), logits(model, inputs))


def test_rows_miss_one_side_as_often_as_asked_for_and_only_in_training() -> None:
    model, seen = FusionConfig(withhold=0.2).build(), dict[str, Tensor]()
    for side, tower in model.towers.items():
        tower.register_forward_hook(lambda _, inputs, __, side=side: seen.update({side: inputs[0]}))
    for mode, share in ((True, 0.2), (False, 0.0)):
        model.train(mode)(batch_of(4000))
        missing = {side: (rows.flatten(1) == 0).all(1) for side, rows in seen.items()}
        assert missing.keys() == {"image", "words"}
        for rows in missing.values():
            assert rows.double().mean().item() == pytest.approx(share, abs=0.03)
        assert not (missing["image"] & missing["words"]).any()


def test_an_unknown_word_and_one_beyond_the_vocabulary_are_the_same() -> None:
    model, inputs = FusionConfig(vocab_size=10).build().eval(), batch_of(2).inputs
    rare = inputs | {"words": torch.tensor([[2, 1, 3], [2, 15, 3]])} | {"image": inputs["image"][:1].expand(2, 8, 8)}
    answers = logits(model, rare)
    torch.testing.assert_close(answers[0], answers[1], rtol=1e-6, atol=1e-6)


def test_linear_baselines_see_their_sides_alone() -> None:
    train, val = (CONFIG.data.build(split) for split in ("train", "val"))
    found = task.baselines(train, val, CONFIG.data)
    blind = task.baselines(train.without("image"), val.without("image"), CONFIG.data)
    assert blind["linear, words"] == found["linear, words"]
    assert blind["linear, image and words"] == pytest.approx(found["linear, words"], abs=0.03)
    assert found["linear, image"] == task.baselines(train.without("words"), val, CONFIG.data)["linear, image"]
    assert found["linear, image and words"] > found["linear, image"] > found["linear, words"] > found["majority"]


def test_a_short_run_needs_both_sides_and_beats_all_baselines(run: Path) -> None:
    record = json.loads((run / "evaluation.json").read_text())
    assert (record["split"], record["primary"]) == ("val", "accuracy")
    without = record["metrics"]["without"]
    assert record["value"] > without["words"] + 0.02 > without["image"] + 0.2
    assert record["value"] > max(record["baselines"].values()) + 0.05


def test_the_report_shows_what_each_side_brings_and_captions_of_the_worst_errors(run: Path) -> None:
    record, page = json.loads((run / "evaluation.json").read_text()), (run / "report.html").read_text()
    for figure in (*record["metrics"]["without"].values(), *record["baselines"].values()):
        assert f"{figure:.4f}</" in page
    assert page.count("<figcaption>") == len(record["metrics"]["worst"]) > 0
    shown = task.pictures(CONFIG.data.build("val"), record["metrics"])
    assert all(f"&#34;{caption}&#34;" in page or f'"{caption}"' in page for caption in shown["captions"])


def test_predictions_are_digits_of_images_with_their_captions(run: Path) -> None:
    answers = commands.predict(run, EXAMPLE)
    assert len(answers) == 3
    assert answers[2]["label"] == "0"
    assert sum(answers[0]["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    # copier: endfilter
