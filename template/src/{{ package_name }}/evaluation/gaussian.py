"""What a diffusion model has to beat: images of a class as normally distributed pixels, to draw and to denoise."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..data.loader import Dataset

RIDGE = 0.0025  # variance that is added in every direction: few images leave some without any


@dataclass(frozen=True)
class Gaussians:
    """A normal distribution of flattened images [P] for each class [C]."""

    means: Tensor  # [C, P]
    directions: Tensor  # [C, P, P] of the covariance, in columns
    variances: Tensor  # [C, P] along them

    def sample(self, classes: Tensor, seed: int) -> Tensor:
        """Draw an image for each class [B] -> [B, P]."""
        noise = torch.randn(len(classes), self.means.shape[1], generator=torch.Generator().manual_seed(seed))
        along = noise * self.variances[classes].sqrt()
        return self.means[classes] + (self.directions[classes] @ along[:, :, None]).squeeze(2)

    def denoise(self, noisy: Tensor, amount: float, classes: Tensor) -> Tensor:
        """Return what is expected behind images with noise [B, h, w] of a standard deviation; none can predict better.

        It is the mean of the images given the noisy one, if their distribution is right (Wiener filter).
        """
        means, directions, variances = (part[classes] for part in (self.means, self.directions, self.variances))
        along = (directions.mT @ (noisy.flatten(1) - means)[:, :, None]).squeeze(2)  # [B, P]
        kept = along * variances / (variances + amount**2)
        return (means + (directions @ kept[:, :, None]).squeeze(2)).clamp(0, 1).view_as(noisy)


def fit_gaussians(train: Dataset) -> dict[str, Gaussians]:
    """Fit the images [N, h, w] of each class: with pixels that vary together, and with each pixel by itself."""
    images, spread = train.inputs.flatten(1), list[Tensor]()
    groups = [images[train.targets == label] for label in range(int(train.targets.max()) + 1)]
    means = torch.stack([group.mean(0) for group in groups])
    for group, mean in zip(groups, means, strict=True):
        spread.append((group - mean).T @ (group - mean) / len(group) + RIDGE * torch.eye(len(mean)))
    together = torch.stack(spread)  # [C, P, P]
    apart = together.diagonal(dim1=1, dim2=2).diag_embed()
    parts = {"pixel by pixel": torch.linalg.eigh(apart), "gaussian": torch.linalg.eigh(together)}
    return {name: Gaussians(means, directions, variances) for name, (variances, directions) in parts.items()}
