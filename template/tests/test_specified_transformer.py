# copier: filter replace("my_project", package_name)
"""A transformer that was specified in words is built from YAML: its numbers are those that the words imply."""

from pathlib import Path

import torch
from torch import nn

from my_project import config as configs

CONFIG = configs.load(Path(__file__).with_name("specified_transformer.yaml"))
LAYERS, HEADS, WIDTH, CLASSES = 6, 8, 512, 10
PATCHES, PIXELS = 16, 4  # 8 by 8 pixels are 16 patches of 2 by 2


def test_the_specified_transformer_has_as_many_parameters_as_its_sizes_imply() -> None:
    embedding = PIXELS * WIDTH + WIDTH + PATCHES * WIDTH
    attention = 4 * (WIDTH * WIDTH + WIDTH)  # query, key, value, output
    feed_forward = 2 * 4 * WIDTH * WIDTH + 4 * WIDTH + WIDTH
    norm = 2 * WIDTH
    implied = embedding + LAYERS * (attention + feed_forward + 2 * norm) + norm + WIDTH * CLASSES + CLASSES
    assert sum(p.numel() for p in CONFIG.model.build().parameters()) == implied == 18_931_210


def test_the_specified_transformer_has_the_layers_heads_and_shapes_that_were_named() -> None:
    model = CONFIG.model.build().eval()
    attentions = [module for module in model.modules() if isinstance(module, nn.MultiheadAttention)]
    assert [(a.num_heads, a.embed_dim, a.head_dim) for a in attentions] == [(HEADS, WIDTH, WIDTH // HEADS)] * LAYERS
    seen = list[tuple[int, ...]]()
    for block in model.blocks.layers:
        block.register_forward_hook(lambda _, __, tokens: seen.append(tuple(tokens.shape)))
    output = model(CONFIG.data.build("train")[torch.arange(3), 0])
    assert seen == [(3, PATCHES, WIDTH)] * LAYERS
    assert output.outputs.shape == (3, CLASSES)
    # copier: endfilter
