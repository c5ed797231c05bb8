"""What the noise that a denoiser leaves is made of: squared errors of each image at each amount of noise."""

from typing import Any

import torch

from ..data.loader import Dataset
from .diffusion import AMOUNTS, SEED
from .row_statistics import Scores, score_rows


@torch.inference_mode()
def scores(model: Any, dataset: Dataset) -> Scores:
    """Return the mean squared error of each image, in units of the noise, at each amount.

    The figure is a mean of roots, one root an amount. The noise is that of `diffusion.noise_left`, drawn once: that
    other noise would leave another share is part of what images vary by.
    """
    model.eval()
    device, draw, errors = next(model.parameters()).device, torch.Generator().manual_seed(SEED), list[torch.Tensor]()
    for amount in AMOUNTS:
        noisy = dataset.inputs + amount * torch.randn(dataset.inputs.shape, generator=draw)
        left = model.denoise(noisy.to(device), amount, dataset.targets.to(device)).cpu() - dataset.inputs
        errors.append(left.double().square().flatten(1).mean(1) / amount**2)  # [N]
    table = torch.stack(errors, dim=1)  # [N, K]
    return score_rows(table, dataset.inputs, primary="noise_left", higher_is_better=False, root=True)
