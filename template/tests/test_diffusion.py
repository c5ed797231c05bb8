# copier: filter replace("my_project", package_name)
"""A diffusion model adds and takes away noise as its papers say, and what it draws is measured beside simpler ways."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from my_project import run as commands
from my_project.data.digit_images import DigitImages, DigitImagesConfig
from my_project.evaluation import diffusion
from my_project.evaluation.gaussian import fit_gaussians
from my_project.models.diffusion import Diffusion, DiffusionConfig, fixed_draw
from my_project.types import UNKNOWN, Batch

EXAMPLE = Path(__file__).parents[1] / "examples" / "classes.csv"


@pytest.fixture(scope="module")
def artist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run of a small model: evaluated, reported."""
    options = {"model.dim": 32, "model.depth": 1, "model.num_sample_steps": 10, "train.steps": 300, "optim.lr": 0.005}
    out = {"train.out": str(tmp_path_factory.mktemp("runs") / "artist"), "train.eval_every": 150}
    return Path(commands.train("diffusion", {**options, **out})["run"])


@pytest.fixture(scope="module")
def val() -> DigitImages:
    return DigitImagesConfig().build("val")


def small(**options: Any) -> Diffusion:
    torch.manual_seed(0)
    return DiffusionConfig(**{"dim": 16, "depth": 1, **options}).build()


def test_the_schedule_is_the_cosine_of_its_paper_and_signal_and_noise_keep_variance_one() -> None:
    model = small(num_steps=100)
    torch.testing.assert_close(model.signals.square() + model.noises.square(), torch.ones(101))
    for step in (0, 1, 50, 99):
        wave = [math.cos((t / 100 + 0.008) / 1.008 * math.pi / 2) ** 2 for t in (step, 0)]
        assert model.signals[step].item() ** 2 == pytest.approx(wave[0] / wave[1], abs=1e-6)
    assert model.signals[[0, 100]].tolist() == pytest.approx([1, 0], abs=1e-6)


def test_fixed_noise_is_normal_levels_are_uniform_and_rows_are_independent() -> None:
    index, config = torch.arange(3000), DiffusionConfig()
    levels, noise, hidden = fixed_draw(torch.zeros(3000, 8, 8), index, config)
    noise = noise.flatten(1)
    assert not hidden.any()
    assert (int(levels.min()), int(levels.max())) == (1, 1000)
    assert levels.double().mean().item() == pytest.approx(500.5, abs=5 * 1000 / math.sqrt(12 * 3000))
    assert noise.isfinite().all()
    for power, moment in ((1, 0), (2, 1), (3, 0), (4, 3)):
        assert noise.double().pow(power).mean().item() == pytest.approx(moment, abs=0.12)
    for one, other in ((noise[1:], noise[:-1]), (noise[:, 1:], noise[:, :-1])):
        assert (one * other).mean().item() == pytest.approx(0, abs=0.02)


def test_a_rows_noise_follows_from_its_number_whatever_batch_it_comes_in() -> None:
    model, images, index = small().eval(), torch.rand(20, 8, 8), torch.randperm(1000)[:20]
    whole = model(Batch(images, index % 10, index))
    parts = [model(Batch(images[rows], index[rows] % 10, index[rows])) for rows in torch.arange(20).split(7)]
    torch.testing.assert_close(torch.cat([part.outputs for part in parts]), whole.outputs, rtol=1e-5, atol=1e-5)
    assert sum(part.loss.item() * len(part.outputs) for part in parts) / 20 == pytest.approx(whole.loss.item())


def test_training_draws_anew_from_the_global_generator_and_evaluation_leaves_it_alone() -> None:
    model, batch = small(), Batch(torch.rand(8, 8, 8), torch.arange(8), torch.arange(8))
    torch.manual_seed(3)
    first, other = (model(batch).loss.item() for _ in range(2))
    torch.manual_seed(3)
    assert (model(batch).loss.item(), first == other) == (first, False)
    state = torch.get_rng_state()
    model.eval()
    assert model(batch).loss.item() == model(batch).loss.item()
    diffusion.measure(model, DigitImagesConfig().build("val", num_rows=9))
    assert torch.equal(torch.get_rng_state(), state)


def test_the_loss_is_that_of_the_velocity_and_the_output_the_image_that_it_means() -> None:
    model, images, classes = small().eval(), torch.rand(5, 8, 8), torch.arange(5)
    output = model(Batch(images, classes, torch.arange(5)))
    levels, noise, _ = fixed_draw(images, torch.arange(5), model.config)
    losses = []
    for row in range(5):
        signal, amount = model.signals[levels[row]], model.noises[levels[row]]
        clean = images[row] * 2 - 1
        noisy = signal * clean + amount * noise[row]
        velocity = model.velocity(noisy[None], levels[row, None], classes[row, None])[0]
        losses.append((velocity - (signal * noise[row] - amount * clean)).square().mean())
        seen = (signal * noisy - amount * velocity + 1) / 2
        torch.testing.assert_close(output.outputs[row], seen, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(output.loss, torch.stack(losses).mean())


def test_a_row_of_unknown_class_is_one_of_any_class() -> None:
    model, images = small().eval(), torch.rand(3, 8, 8)
    index = torch.arange(3)
    unknown = model(Batch(images, torch.full((3,), UNKNOWN), index)).outputs
    any_class = model(Batch(images, torch.full((3,), 10), index)).outputs
    assert torch.equal(unknown, any_class)
    assert not torch.equal(unknown, model(Batch(images, index, index)).outputs)


def test_in_training_some_rows_are_not_told_their_class() -> None:
    hidden = [small(label_dropout=share).draw(torch.zeros(4000, 8, 8))[2].double().mean().item() for share in (0, 0.2)]
    assert hidden == [0, pytest.approx(0.2, abs=0.03)]


class Knowing(Diffusion):
    """A model that knows the one image that there is, and so the velocity of anything."""

    image = torch.linspace(-1, 1, 64).view(8, 8)

    def velocity(self, noisy: Tensor, level: Tensor, classes: Tensor) -> Tensor:
        signal, amount = self.signals[level, None, None], self.noises[level, None, None]
        return (signal * noisy - self.image) / amount


@pytest.mark.parametrize("steps", [1, 7, 40])
def test_sampling_with_the_right_velocity_ends_at_the_image(steps: int) -> None:
    images = Knowing(DiffusionConfig()).sample(torch.arange(4), num_steps=steps)
    torch.testing.assert_close(images, (Knowing.image + 1).expand(4, 8, 8) / 2, rtol=0, atol=1e-4)


class Normal(Diffusion):
    """A model of pixels that are independent and normal with mean zero: the velocity that is expected then."""

    scale = 0.2

    def velocity(self, noisy: Tensor, level: Tensor, classes: Tensor) -> Tensor:
        signal, amount = self.signals[level, None, None], self.noises[level, None, None]
        variance = signal**2 * self.scale**2 + amount**2
        return signal * amount * (1 - self.scale**2) / variance * noisy  # E[v | noisy]


def test_sampling_gives_the_distribution_that_was_learnt() -> None:
    images = Normal(DiffusionConfig()).sample(torch.arange(500) % 10, num_steps=1000) * 2 - 1
    assert images.mean().item() == pytest.approx(0, abs=0.01)
    assert images.std().item() == pytest.approx(Normal.scale, rel=0.02)


def test_guidance_goes_on_from_any_class_through_the_class() -> None:
    model, noisy, classes = small().eval(), torch.randn(3, 8, 8) * 0.1, torch.arange(3)
    level, anything = torch.full((3,), 500), torch.full((3,), 10)
    own, other = (model.velocity(noisy, level, told) for told in (classes, anything))
    for weight in (0.0, 1.0, 3.0):
        velocity = other + weight * (own - other)
        expected = (model.signals[500] * noisy - model.noises[500] * velocity).clamp(-1, 1)
        torch.testing.assert_close(model.clean(noisy, 500, classes, weight), expected, rtol=1e-4, atol=1e-5)


def test_the_same_seed_draws_the_same_images_and_another_one_others() -> None:
    model, classes = small().eval(), torch.arange(10)
    first, again, other = (model.sample(classes, seed=seed, num_steps=3) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert model.sample(classes[:0]).shape == (0, 8, 8)


def test_denoising_tells_the_level_by_the_amount_of_noise() -> None:
    model = Knowing(DiffusionConfig())
    expected = (Knowing.image[None] + 1) / 2
    for amount in diffusion.AMOUNTS:
        found = model.denoise(expected + amount * torch.randn(1, 8, 8), amount, torch.tensor([0]))
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_what_is_left_is_the_share_of_the_noise_on_average_over_amounts(val: DigitImages) -> None:
    assert diffusion.noise_left(lambda *_: val.inputs, val) == 0
    assert diffusion.noise_left(lambda noisy, *_: noisy, val) == pytest.approx(1, rel=0.02)
    halved = diffusion.noise_left(lambda noisy, *_: (noisy + val.inputs) / 2, val)
    assert halved == pytest.approx(0.5, rel=0.02)
    off = np.mean([0.3 / amount for amount in diffusion.AMOUNTS])
    assert diffusion.noise_left(lambda *_: val.inputs + 0.3, val) == pytest.approx(off)


def test_the_gaussian_denoiser_is_the_mean_given_the_noisy_image() -> None:
    draw = torch.Generator().manual_seed(0)
    mix = torch.randn(4, 4, generator=draw) * 0.1
    images = 0.5 + torch.randn(4000, 4, generator=draw) @ mix.T
    data = DigitImages(images.view(-1, 2, 2), torch.zeros(4000).long(), DigitImagesConfig())
    ways, noisy = fit_gaussians(data), torch.full((1, 2, 2), 0.6)
    covariance = mix @ mix.T + 0.0025 * torch.eye(4)
    expected = 0.5 + covariance @ torch.linalg.inv(covariance + 0.3**2 * torch.eye(4)) @ torch.full((4,), 0.1)
    found = ways["gaussian"].denoise(noisy, 0.3, torch.zeros(1).long())
    torch.testing.assert_close(found.flatten(), expected, rtol=0, atol=0.01)
    drawn = ways["gaussian"].sample(torch.zeros(20_000).long(), seed=0)
    torch.testing.assert_close(torch.cov(drawn.T), covariance, rtol=0, atol=0.003)
    apart = torch.cov(ways["pixel by pixel"].sample(torch.zeros(20_000).long(), seed=0).T)
    torch.testing.assert_close(apart, covariance.diagonal().diag(), rtol=0, atol=0.003)


def test_copies_are_found_and_images_that_are_like_the_data_cannot_be_told_apart() -> None:
    train, val = DigitImagesConfig().build("train"), DigitImagesConfig().build("val")
    distances, places = diffusion.nearest(train.inputs[5:9], train.inputs)
    assert places.tolist() == [5, 6, 7, 8]
    assert distances.tolist() == pytest.approx([0] * 4, abs=1e-3)
    judge = diffusion.fit_judge(train.inputs, train.targets, 10)
    copied = diffusion.judged(judge, train.inputs[:1000], train.targets[:1000], train, val)
    noise = diffusion.judged(judge, torch.rand(1000, 8, 8), train.targets[:1000], train, val)
    assert min(copied["accuracy"], copied["teaches"]) > 0.9
    assert max(noise["accuracy"], noise["teaches"]) < 0.3
    assert [copied["told_apart"], noise["told_apart"]] == pytest.approx([0.5, 1], abs=0.1)
    assert copied["nearest"] < 0.01
    assert noise["nearest"] > 1


def test_a_short_run_beats_pixels_that_know_nothing_of_each_other(artist: Path) -> None:
    record = json.loads((artist / "evaluation.json").read_text())
    assert (record["primary"], record["higher_is_better"], record["split"]) == ("noise_left", False, "val")
    assert record["value"] == record["metrics"]["noise_left"] < record["baselines"]["pixel by pixel"]
    assert record["metrics"]["sample_accuracy"] == record["metrics"]["ways"]["model"]["accuracy"] > 0.5
    assert record["metrics"]["ways"]["real images"]["accuracy"] > 0.9


def test_classes_are_drawn_as_pixels_of_the_data(artist: Path) -> None:
    answers = commands.predict(artist, EXAMPLE)
    assert [answer["class"] for answer in answers] == ["7", "7", "3"]
    pixels = np.array([answer["pixels"] for answer in answers])
    assert (pixels.shape, pixels.dtype.kind, pixels.min() >= 0, pixels.max() <= 16) == ((3, 8, 8), "i", True, True)
    assert not np.array_equal(pixels[0], pixels[1])
    assert commands.predict(artist, EXAMPLE) == answers


def test_the_report_shows_drawn_images_with_their_nearest_and_real_ones(artist: Path) -> None:
    page, record = (artist / "report.html").read_text(), json.loads((artist / "evaluation.json").read_text())
    for figure in (record["value"], record["metrics"]["sample_accuracy"], *record["baselines"].values()):
        assert f"<b>{figure:.4f}</b>" in page
    assert page.count('<svg viewBox="0 0 8 8"') == 10 * (2 * diffusion.SHOWN + diffusion.REAL)
    for name, figures in record["metrics"]["ways"].items():
        assert f"<td>{name}</td>" in page
        assert f"{figures['nearest']:.4f}" in page
    assert "[[" not in page


def test_pixels_become_squares_of_their_brightness() -> None:
    assert diffusion.paths(torch.tensor([[0, 16], [5, 16]])) == {16: "M1 0h1v1h-1zM1 1h1v1h-1z", 5: "M0 1h1v1h-1z"}


def test_patches_have_to_fit() -> None:
    with pytest.raises(ValueError, match="patch_size 3 must divide image_shape"):
        small(patch_size=3)
    # copier: endfilter
