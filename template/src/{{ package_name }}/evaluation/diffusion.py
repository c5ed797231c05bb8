"""How good a model draws: what it makes of noisy images, how its own are read, and whether they are only copies."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.digit_images import BRIGHTEST
from ..data.loader import DataConfig, Dataset
from ..training.optimizer import OptimConfig
from ..types import Measurement
from .gaussian import fit_gaussians

AMOUNTS = (0.0625, 0.125, 0.25, 0.5, 1.0)  # standard deviations of noise to be taken away; pixels are 0 to 1
NUM_DRAWS = 4  # of noise for every image, in the loss
EACH, SHOWN, REAL, SEED = 100, 6, 3, 0  # images of a class: drawn, of those in the report, real ones beside them
JUDGE_DIM, JUDGE_STEPS, JUDGE_ROWS = 128, 300, 128  # of a classifier of images

logger = logging.getLogger(__name__)


@torch.inference_mode()
def mean_loss(model: nn.Module, dataset: Dataset) -> float:
    """Return the mean loss on every image with several draws of noise, which follow from the row numbers."""
    device, total = next(model.parameters()).device, 0.0
    for part in torch.arange(len(dataset)).split(256):
        batch = dataset[part, 0].to(device)
        for draw in range(NUM_DRAWS):
            total += float(model(replace(batch, index=batch.index + draw * len(dataset)), None).loss) * len(part)
    return total / len(dataset) / NUM_DRAWS


def noise_left(denoise: Any, dataset: Dataset) -> float:
    """Return the share of noise that is left in denoised images, as a standard deviation, on average over amounts.

    `denoise(images [B, h, w], amount, classes [B]) -> [B, h, w]` gets the same noise whatever it is.
    """
    draw, errors = torch.Generator().manual_seed(SEED), list[float]()
    for amount in AMOUNTS:
        noisy = dataset.inputs + amount * torch.randn(dataset.inputs.shape, generator=draw)
        left = denoise(noisy, amount, dataset.targets) - dataset.inputs
        errors.append(float(left.square().mean().sqrt()) / amount)
    return sum(errors) / len(errors)


def measure(model: Any, dataset: Dataset) -> Measurement:
    """Return the few figures that follow a training run."""
    model.eval()
    device = next(model.parameters()).device
    left = noise_left(lambda n, amount, c: model.denoise(n.to(device), amount, c.to(device)).cpu(), dataset)
    figures = {"loss": mean_loss(model, dataset), "noise_left": left}
    return Measurement(primary="noise_left", value=left, higher_is_better=False, metrics=figures)


def measure_fully(model: Any, dataset: Dataset, data: DataConfig) -> Measurement:
    """Return every figure that the report shows: also how drawn images are read, beside those of simpler ways."""
    logger.info("drawing %d images, then reading them", EACH * len(data.labels))
    short, train, classes = measure(model, dataset), data.build("train"), torch.arange(len(data.labels))
    told = classes.repeat_interleave(EACH)
    drawn = rounded(model.sample(told.to(next(model.parameters()).device), seed=SEED).float().cpu())
    others = {name: rounded(way.sample(told, SEED).view_as(drawn)) for name, way in fit_gaussians(train).items()}
    judge = fit_judge(train.inputs, train.targets, len(data.labels))
    ways = {name: judged(judge, images, told, train, dataset) for name, images in {"model": drawn, **others}.items()}
    distances, places = nearest(drawn, train.inputs)
    of_real, _ = nearest(dataset.inputs, train.inputs)
    shown = [row for label in classes for row in (told == label).nonzero().flatten()[:SHOWN].tolist()]
    columns = ("class", "nearest", "distance", "pixels")
    rows = zip(told.tolist(), places.tolist(), distances.tolist(), (drawn * BRIGHTEST).int().tolist(), strict=True)
    pictures = [dict(zip(columns, row, strict=True)) for row in rows]
    real = {"accuracy": accuracy(judge, dataset.inputs, dataset.targets), "nearest": float(of_real.median())}
    figures = {
        **short.metrics,
        "num_rows": len(dataset),
        "sample_accuracy": ways["model"]["accuracy"],
        "ways": {**ways, "real images": real},
        "copies": float((distances < of_real.min()).double().mean()),
        "drawn": [pictures[row] for row in shown],
    }
    return replace(short, metrics=figures)


def judged(judge: nn.Module, images: Tensor, told: Tensor, train: Dataset, real: Dataset) -> dict[str, float]:
    """Return how images [N, h, w] of classes [N] are read, what they teach, whether they show, and how near copies are.

    `teaches` is the accuracy on real images of a classifier that saw only these (Ravuri and Vinyals 2019); `told_apart`
    that of a classifier of real and drawn ones, 0.5 at best (Lopez-Paz and Oquab 2017).
    """
    logger.info("reading %d images: what they teach, whether they show", len(images))
    pupil = fit_judge(images, told, int(train.targets.max()) + 1)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(SEED))
    test, rest = order[: len(real)], order[len(real) :]  # drawn images are as many as real ones
    known = train.inputs[torch.randperm(len(train), generator=torch.Generator().manual_seed(SEED))[: len(rest)]]
    eye = fit_judge(*marked(images[rest], known), 2)
    return {
        "accuracy": accuracy(judge, images, told),
        "teaches": accuracy(pupil, real.inputs, real.targets),
        "told_apart": accuracy(eye, *marked(images[test], real.inputs)),
        "nearest": float(nearest(images, train.inputs)[0].median()),
    }


def marked(drawn: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Return images [N, h, w] and [M, h, w] as one [N+M, h, w], and which of them are real [N+M]."""
    return torch.cat([drawn, real]), torch.cat([drawn.new_zeros(len(drawn)), real.new_ones(len(real))]).long()


def fit_judge(inputs: Tensor, targets: Tensor, num_classes: int) -> nn.Module:
    """Return a classifier of images [N, h, w] by classes [N]; equal images make an equal one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        hidden = (nn.Linear(inputs[0].numel(), JUDGE_DIM), nn.GELU(), nn.Linear(JUDGE_DIM, JUDGE_DIM), nn.GELU())
        judge = nn.Sequential(nn.Flatten(), *hidden, nn.Linear(JUDGE_DIM, num_classes))
        optimization = OptimConfig(lr=3e-3, weight_decay=0.1).build(judge, JUDGE_STEPS)
        for _ in range(JUDGE_STEPS):
            rows = torch.randint(len(inputs), (JUDGE_ROWS,))
            F.cross_entropy(judge(inputs[rows]), targets[rows]).backward()
            optimization.step()
    return judge.eval()


@torch.inference_mode()
def accuracy(judge: nn.Module, images: Tensor, classes: Tensor) -> float:
    """Return the share of images [N, h, w] that a classifier reads as the classes [N]."""
    return float((judge(images).argmax(1) == classes).double().mean())


def rounded(images: Tensor) -> Tensor:
    """Give images [N, h, w] the pixels that the data have: whole numbers of the brightest."""
    return (images.clamp(0, 1) * BRIGHTEST).round() / BRIGHTEST


def nearest(images: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Return for images [N, h, w] how far the nearest of others [M, h, w] is [N], and which one it is [N]."""
    distances, places = torch.cdist(images.flatten(1), others.flatten(1)).min(1)
    return distances, places


def baselines(train: Dataset, other: Dataset, _: DataConfig) -> dict[str, float]:
    """Return what is left on another split by the best denoisers there are of normally distributed pixels."""
    return {name: noise_left(way.denoise, other) for name, way in fit_gaussians(train).items()}


def pictures(dataset: Dataset, metrics: dict[str, Any]) -> dict[str, Any]:
    """Return what the page shows beside the figures: drawn images, the training images nearest to them, real ones."""
    train = dataset.config.build("train")
    rows = list[dict[str, Any]]()
    for label, name in enumerate(dataset.config.labels):
        drawn = [image for image in metrics["drawn"] if image["class"] == label]
        real = dataset.inputs[dataset.targets == label][:REAL] * BRIGHTEST
        copied = [paths(train.inputs[image["nearest"]] * BRIGHTEST) for image in drawn]
        own = [paths(torch.tensor(image["pixels"])) for image in drawn]
        rows.append({"label": name, "drawn": own, "nearest": copied, "real": [paths(image) for image in real]})
    return {"rows": rows, "size": [*dataset.inputs.shape[1:]]}


def paths(image: Tensor) -> dict[int, str]:
    """Return an image [h, w] of whole numbers as SVG paths by brightness: a square a pixel."""
    found = dict[int, str]()
    for y, line in enumerate(image.int().tolist()):
        for x, ink in enumerate(line):
            if ink:
                found[ink] = found.get(ink, "") + f"M{x} {y}h1v1h-1z"
    return found


def answers(model: Any, data: DataConfig, path: Path) -> list[dict[str, Any]]:
    """Return an image for each class in a file of the user's, with pixels 0 (paper) to 16 (ink)."""
    classes = data.read(path)
    images = (rounded(model.sample(classes, seed=SEED)) * BRIGHTEST).int().tolist()
    pairs = zip(classes.tolist(), images, strict=True)
    return [{"class": data.labels[label], "pixels": image} for label, image in pairs]
