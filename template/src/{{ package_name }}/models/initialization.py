"""How weights begin: schemes that keep the variance of signals, or of gradients, the same through many layers.

Call `initialize(self, "kaiming_normal")` at the end of a model's `__init__`. Sources: Glorot and Bengio 2010
(xavier), He et al. 2015 (kaiming), Saxe et al. 2014 (orthogonal), Radford et al. 2019, section 2.3 (depth_scaled).
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

Scheme = Callable[[Tensor], object]
NARROW = 0.02  # standard deviation of transformers' weights

SCHEMES: dict[str, Scheme] = {
    "xavier_uniform": nn.init.xavier_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
    "kaiming_uniform": partial(nn.init.kaiming_uniform_, nonlinearity="relu"),
    "kaiming_normal": partial(nn.init.kaiming_normal_, nonlinearity="relu"),
    "orthogonal": nn.init.orthogonal_,
    "trunc_normal": partial(nn.init.trunc_normal_, std=NARROW, a=-2 * NARROW, b=2 * NARROW),
}
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Embedding)


def initialize(model: nn.Module, scheme: str, *, residual: tuple[str, ...] = (), depth: int = 1) -> None:
    """Draw the weights of every linear, convolution and embedding layer by a scheme; biases become 0.

    Layers whose names end with one of `residual` write into a residual stream of `depth` blocks with two such layers
    each: their weights are divided by sqrt(2 * depth), so that the stream's variance does not grow with depth.
    Raises ValueError for an unknown scheme or a `residual` that no layer has.
    """
    if scheme not in SCHEMES:
        raise ValueError(f"scheme: got '{scheme}', want one of {', '.join(SCHEMES)}")
    layers = {name: module for name, module in model.named_modules() if isinstance(module, LAYERS)}
    for ending in residual:
        if not any(name.endswith(ending) for name in layers):
            raise ValueError(f"residual: no layer's name ends with '{ending}'; the model has {', '.join(layers)}")
    for name, layer in layers.items():
        SCHEMES[scheme](layer.weight)
        if name.endswith(residual) and residual:
            with torch.no_grad():
                layer.weight.div_(math.sqrt(2 * depth))
        if (bias := dict(layer.named_parameters()).get("bias")) is not None:
            nn.init.zeros_(bias)
