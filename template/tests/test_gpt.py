# copier: filter replace("my_project", package_name)
"""The language model looks back and never ahead, knows distances as its papers say, and needs no cache for it."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from my_project import config as configs
from my_project.models.gpt import Attention, Gpt, GptConfig, sample
from my_project.models.relative import (
    MAX_DISTANCE,
    NUM_BUCKETS,
    POSITIONS,
    Learned,
    Rotary,
    Slopes,
    bucket,
)
from my_project.types import UNKNOWN, Batch

WAYS = sorted(POSITIONS)


def small(**options: Any) -> Gpt:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"vocab_size": 11, "seq_len": 8, "dim": 16, "depth": 2, "num_heads": 2, **options}
    model = GptConfig(**sizes).build().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5)  # at its first weights a model says nearly the same of everything
    return model


def text(*shape: int) -> Tensor:
    return torch.randint(11, shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("positions", WAYS)
def test_no_token_changes_what_is_said_before_it(positions: str) -> None:
    model, tokens = small(positions=positions), text(1, 8)
    before, _ = model.read(tokens)
    for place in range(8):
        changed = tokens.clone()
        changed[0, place] = (changed[0, place] + 1) % 11
        after, _ = model.read(changed)
        torch.testing.assert_close(after[:, :place], before[:, :place], rtol=0, atol=0)
        assert not torch.isclose(after[:, place:], before[:, place:]).all(2).any()  # and everything after it


@pytest.mark.parametrize("positions", WAYS)
@pytest.mark.parametrize("length", [1, 7, 8])
@pytest.mark.parametrize("size", [0, 1, 3])
def test_texts_of_any_length_are_answered_and_learnt_from(positions: str, length: int, size: int) -> None:
    model = small(positions=positions)
    output = model(Batch(text(size, length), text(size, length), torch.arange(size)))
    assert output.outputs.shape == (size, length, 11)
    assert output.loss.isfinite()
    output.loss.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("positions", WAYS)
@pytest.mark.parametrize("pieces", [(8,), (1,) * 8, (3, 4, 1)])
def test_reading_with_a_cache_is_reading_at_once(positions: str, pieces: tuple[int, ...]) -> None:
    model, tokens = small(positions=positions), text(2, 8)
    parts, caches = list[Tensor](), None
    for piece in tokens.split(pieces, dim=1):
        logits, caches = model.read(piece, caches)
        parts.append(logits)
    torch.testing.assert_close(torch.cat(parts, dim=1), model.read(tokens)[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("positions", WAYS)
@pytest.mark.parametrize("length", [1, 5, 30])
def test_writing_with_a_cache_is_writing_without(positions: str, length: int) -> None:
    model = small(positions=positions)
    for prompt in (text(3, 1), text(3, 6), text(3, 20)):
        context, draw, anew = prompt[:, -8:], torch.Generator().manual_seed(5), list[Tensor]()
        for _ in range(length):
            anew.append(sample(model.read(context)[0][:, -1], 0.7, 5, draw))
            context = torch.cat([context, anew[-1]], dim=1)
            context = context if context.shape[1] <= 8 else context[:, -4:]
        kept = model.generate(prompt, length, temperature=0.7, top_k=5, seed=5)
        assert torch.equal(kept, torch.cat(anew, dim=1))


def test_writing_is_the_same_for_the_same_seed_and_leaves_the_global_generator_alone() -> None:
    model, state = small(), torch.get_rng_state()
    first, again, other = (model.generate(text(1, 4), 20, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_at_temperature_zero_or_with_one_choice_the_likeliest_token_is_written() -> None:
    model = small()
    likeliest, _ = model.read(text(1, 8))
    for options in ({"temperature": 0.0}, {"top_k": 1}):
        assert model.generate(text(1, 8), 1, **options).item() == likeliest[0, -1].argmax().item()


def test_drawn_tokens_have_the_frequencies_of_the_softmax_at_their_temperature() -> None:
    logits, draw = torch.tensor([2.0, 1.0, 0.0, -1.0]), torch.Generator().manual_seed(0)
    for temperature, top_k in ((1.0, 0), (0.5, 0), (2.0, 3), (1.0, 2)):
        drawn = sample(logits.expand(20_000, 4), temperature, top_k, draw)
        allowed = [n < (top_k or 4) for n in range(4)]
        weights = torch.tensor([math.exp(2 - n) ** (1 / temperature) * allowed[n] for n in range(4)])
        found = torch.bincount(drawn.flatten(), minlength=4) / len(drawn)
        torch.testing.assert_close(found, weights / weights.sum(), rtol=0, atol=0.015)


def naive_attention(attention: Attention, tokens: Tensor) -> Tensor:
    """Return causal attention of one sequence [L, D], one head and one pair of positions after the other."""
    heads, rows = attention.num_heads, list[Tensor]()
    queries, keys, values = attention.inner(tokens).chunk(3, dim=1)  # [L, D] each
    for here in range(len(tokens)):
        mixed = list[Tensor]()
        for head in range(heads):
            q, k, v = (part.chunk(heads, dim=1)[head] for part in (queries, keys, values))  # [L, K]
            scores = [naive_score(attention, head, q[here], k[there], here - there) for there in range(here + 1)]
            weights = torch.stack(scores).softmax(0)
            mixed.append(torch.stack([w * v[there] for there, w in enumerate(weights)]).sum(0))
        rows.append(torch.cat(mixed))
    outputs: Tensor = attention.outer(torch.stack(rows))
    return outputs


def naive_score(attention: Attention, head: int, query: Tensor, key: Tensor, distance: int) -> Tensor:
    """Return what a query says to a key that stands so far behind it."""
    way: nn.Module = attention.positions
    if isinstance(way, Rotary):
        return rotated(query, distance) @ key / math.sqrt(len(key))
    product = query @ key / math.sqrt(len(key))
    if isinstance(way, Learned):
        return product + way.table.weight[plain_bucket(distance), head]
    return product - 2 ** (-8 * (head + 1) / attention.num_heads) * distance


def rotated(vector: Tensor, angle: int) -> Tensor:
    """Turn each pair of coordinates in its plane, by complex numbers (Su et al. 2021, equation 14)."""
    half = len(vector) // 2
    points = torch.complex(vector[:half], vector[half:])
    angles = torch.tensor([angle * 10_000 ** (-2 * n / len(vector)) for n in range(half)])
    turned = points * torch.polar(torch.ones(half), angles)
    return torch.cat([turned.real, turned.imag])


@pytest.mark.parametrize("positions", WAYS)
def test_attention_with_relative_positions_is_what_a_plain_loop_makes_of_the_equations(positions: str) -> None:
    tokens = torch.randn(1, 40, 16, generator=torch.Generator().manual_seed(2))
    attention: Any = small(positions=positions, num_heads=4).blocks[0].attention
    found, _ = attention(tokens, None)
    torch.testing.assert_close(found[0], naive_attention(attention, tokens[0]), rtol=1e-3, atol=1e-3)


def plain_bucket(distance: int) -> int:
    """Return the bucket of a distance as Raffel et al. (2020) describe it: 16 single ones, then ever wider to 128."""
    if distance < 16:
        return distance
    return min(31, 16 + int(math.log(distance / 16) / math.log(128 / 16) * 16))


def test_near_distances_have_a_bucket_each_and_far_ones_share() -> None:
    found = bucket(torch.arange(300)).tolist()
    assert found == [plain_bucket(distance) for distance in range(300)]
    assert (set(found), found[127:129]) == (set(range(NUM_BUCKETS)), [31, 31])
    assert MAX_DISTANCE == 128


def test_only_distance_counts_for_every_way_of_telling_positions() -> None:
    draw = torch.Generator().manual_seed(0)
    query, key = (torch.randn(1, 2, 1, 8, generator=draw) for _ in range(2))
    for cls in (Rotary, Learned, Slopes):
        way: Any = cls(2, 8)
        products = [way.turn(query, 7 + far) @ way.turn(key, 3 + far).mT for far in (0, 5, 900)]
        torch.testing.assert_close(products[0], products[1], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(products[0], products[2], rtol=1e-3, atol=1e-3)
        if (bias := way.bias(5, 5)) is not None:
            torch.testing.assert_close(bias[:, 1:, 1:].tril(), bias[:, :-1, :-1].tril(), rtol=0, atol=0)
            torch.testing.assert_close(way.bias(1, 5), bias[:, -1:], rtol=0, atol=0)


def test_a_decoder_with_relative_attention_is_built_from_yaml_with_the_stated_numbers(workspace: Path) -> None:
    (workspace / "big.yaml").write_text(
        "data: {kind: text_stream}\n"
        "model: {kind: gpt, positions: learned, depth: 6, num_heads: 8, dim: 512, tied: false}\n"
    )
    model = configs.load(workspace / "big.yaml").model.build()
    tables = [module for module in model.modules() if isinstance(module, Learned)]
    assert [table.table.weight.shape for table in tables] == [(NUM_BUCKETS, 8)] * 6
    norms, layers = 2 * 2 * 512, 4 * 512 * 512 + 2 * 4 * 512 * 512 + 5 * 512
    assert sum(p.numel() for p in model.parameters()) == 6 * (norms + layers + 32 * 8) + 2 * 256 * 512 + 2 * 512
    assert model.read(torch.zeros(1, 3, dtype=torch.long))[0].shape == (1, 3, 256)


def test_the_loss_is_the_mean_over_known_targets() -> None:
    model, tokens = small(), text(3, 8)
    targets = text(3, 8).roll(1, 1)
    targets[0, :5], targets[2] = UNKNOWN, UNKNOWN
    output = model(Batch(tokens, targets, torch.arange(3)))
    known = [(row, place) for row in range(3) for place in range(8) if targets[row, place] != UNKNOWN]
    losses = [-output.outputs[row, place].log_softmax(0)[targets[row, place]] for row, place in known]
    torch.testing.assert_close(output.loss, torch.stack(losses).mean())
    assert model(Batch(tokens, targets.fill_(UNKNOWN), torch.arange(3))).loss.item() == 0


def test_tied_weights_are_one_parameter_and_others_two() -> None:
    shapes = [[tuple(p.shape) for p in small(tied=tied).parameters()].count((11, 16)) for tied in (True, False)]
    assert shapes == [1, 2]


def test_at_first_all_bytes_are_nearly_equally_likely() -> None:
    config = configs.load("gpt")
    torch.manual_seed(0)
    loss = config.model.build()(config.data.build("train")[torch.arange(16), 0]).loss.item()
    assert loss == pytest.approx(math.log(256), abs=0.3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model.num_heads": 5}, "num_heads 5 must divide dim"),
        ({"model.positions": "absolute"}, "want 'rotary', 'learned' or 'slopes'"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_in_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        configs.load("gpt", options)


def test_rotation_wants_pairs() -> None:
    with pytest.raises(ValueError, match="rotary wants an even dim for each head, got 3"):
        GptConfig(dim=6, num_heads=2).build()
    assert isinstance(GptConfig(dim=6, num_heads=2, positions="slopes").build(), nn.Module)
    # copier: endfilter
