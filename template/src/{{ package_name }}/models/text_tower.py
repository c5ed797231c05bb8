"""The encoder of a text: the mean of its tokens' embeddings, then hidden layers."""

from torch import Tensor, nn


def pool(tokens: Tensor, weights: Tensor) -> Tensor:
    """Return the mean [B, D] of token embeddings [B, L, D] with weights [B, L], 0 for padding; of none it is 0."""
    total = weights.sum(1, keepdim=True).clamp(min=1e-6)  # smaller: 0 times infinity in an empty text's gradient
    return (tokens * weights[:, :, None]).sum(1) / total


class Layers(nn.Module):
    """A hidden layer with normalisation before it and a way past it: [B, D] -> [B, D]."""

    def __init__(self, dim: int, hidden: int, dropout: float) -> None:
        super().__init__()
        layers = (nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, dim))
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        """Add to features [B, D]."""
        added: Tensor = self.layers(features)
        return features + added
