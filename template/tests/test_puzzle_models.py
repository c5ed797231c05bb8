# copier: filter replace("my_project", package_name)
"""Networks for puzzles are of equal size, judge open cells only, and fill an answer from its surest cells on."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from my_project import config as configs
from my_project.models.cells import open_loss, ranked, solve
from my_project.models.puzzle_mlp import PuzzleMlpConfig
from my_project.models.puzzle_transformer import (
    LOOKS,
    PuzzleTransformerConfig,
    relations,
)
from my_project.types import UNKNOWN, Batch


def batch_of(inputs: list[list[int]], targets: list[list[int]]) -> Batch:
    return Batch(torch.tensor(inputs), torch.tensor(targets), torch.arange(len(inputs)))


class Network:
    """Answers each cell's label in `labels` with the certainty in `sure`, and remembers what it was given."""

    def __init__(self, labels: list[int], sure: list[float]) -> None:
        self.logits = F.one_hot(torch.tensor(labels), 5).float() * torch.tensor(sure)[:, None]  # [L, V]
        self.seen = list[list[list[int]]]()

    def __call__(self, tokens: Tensor) -> Tensor:
        self.seen.append(tokens.tolist())
        return self.logits.expand(len(tokens), -1, -1) + 10 * len(self.seen)


def test_the_presets_of_one_data_set_have_equally_many_weights() -> None:
    one, other = (configs.load(preset) for preset in ("sudoku", "sudoku_mlp"))
    assert one.data == other.data
    assert one.model.passes == other.model.passes
    counts = [sum(p.numel() for p in config.model.build().parameters()) for config in (one, other)]
    assert abs(counts[0] - counts[1]) < 0.05 * min(counts)


def test_the_loss_is_a_mean_over_rows_of_the_mean_over_their_open_cells() -> None:
    logits = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    inputs, targets = [[1, 0, 0, 4], [0, 2, 3, 4], [0, 0, 0, 0]], [[1, 2, 3, 4], [1, 2, 3, 4], [UNKNOWN] * 4]
    nll = -logits.log_softmax(-1)
    expected = ((nll[0, 1, 2] + nll[0, 2, 3]) / 2 + nll[1, 0, 1]) / 2
    torch.testing.assert_close(open_loss(logits, batch_of(inputs, targets)), expected)


def test_places_by_size_are_those_of_a_stable_sort() -> None:
    values = torch.randint(5, (20, 9), generator=torch.Generator().manual_seed(0)).float()
    expected = values.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    assert torch.equal(ranked(values), expected)


def test_one_pass_is_the_network_itself() -> None:
    network = Network([1, 2, 3, 4], [1, 2, 3, 4])
    output = solve(network, batch_of([[0, 0, 0, 0]], [[1, 2, 3, 4]]), passes=1)
    assert torch.equal(output.outputs[0], network.logits + 10)
    assert len(network.seen) == 1


def test_passes_fill_the_surest_open_cells_first_and_leave_given_ones() -> None:
    network = Network([1, 2, 3, 4], [1, 9, 3, 2])
    output = solve(network, batch_of([[0, 1, 0, 0], [2, 2, 2, 0]], [[1] * 4] * 2), passes=3)
    assert network.seen == [
        [[0, 1, 0, 0], [2, 2, 2, 0]],
        [[0, 1, 3, 0], [2, 2, 2, 4]],
        [[0, 1, 3, 4], [2, 2, 2, 4]],
    ]
    levels = [round(float(level)) for level in output.outputs[0, :, 0]]  # in which pass each cell got its logits
    assert [level // 10 for level in levels] == [3, 1, 1, 2]


def test_the_loss_judges_the_first_pass() -> None:
    batch = batch_of([[0, 1, 0, 0]], [[1, 1, 3, 4]])
    losses = [solve(Network([1, 2, 3, 4], [1, 9, 3, 2]), batch, passes).loss for passes in (1, 3)]
    torch.testing.assert_close(losses[0], losses[1], rtol=0, atol=0)


@pytest.mark.parametrize(
    "config",
    [
        PuzzleMlpConfig(size=4, vocab_size=5, passes=4),
        PuzzleTransformerConfig(size=4, box=(2, 2), vocab_size=5, passes=4),
    ],
)
def test_training_takes_one_pass_and_evaluation_all(config: Any) -> None:
    torch.manual_seed(0)
    model, calls = config.build(), list[Tensor]()
    read = model.read

    def recording(tokens: Tensor) -> Tensor:
        calls.append(tokens)
        logits: Tensor = read(tokens)
        return logits

    model.read = recording
    batch = batch_of([[0] * 16], [[1] * 16])
    model.train()(batch, None)
    assert len(calls) == 1
    model.eval()(batch, None)
    assert [int((tokens == 0).sum()) for tokens in calls[1:]] == [16, 12, 8, 4]


def test_looks_are_rows_columns_boxes_and_the_four_cells_around() -> None:
    related = relations(PuzzleTransformerConfig())
    seen = {
        look: related[number, 8].nonzero().flatten().tolist() for number, look in enumerate(LOOKS)
    }  # from row 1, column 2
    assert seen == {
        "row": [6, 7, 8, 9, 10, 11],
        "column": [2, 8, 14, 20, 26, 32],
        "box": [0, 1, 2, 6, 7, 8],
        "cell": [8],
        "above": [2],
        "below": [14],
        "left": [7],
        "right": [9],
    }
    ends = {look: related[number, 0].nonzero().flatten().tolist() for number, look in enumerate(LOOKS)}
    assert (ends["above"], ends["left"]) == ([], [])
    assert related[LOOKS.index("right"), 5].sum() == 0  # the end of a row has nothing on its right


def test_a_head_hears_most_from_where_it_looks() -> None:
    torch.manual_seed(0)
    model = PuzzleTransformerConfig(heads=("row", "column", "box", "above")).build()
    scores = torch.einsum("hr,rij->hij", model.blocks[0].bias, model.related).softmax(-1)  # were all cells alike
    shares = [
        (scores[head] * model.related[LOOKS.index(look)]).sum(-1)[8]
        for head, look in enumerate(("row", "column", "box", "above"))
    ]
    assert torch.stack(shares).tolist() == pytest.approx(
        [6 * 20.0855 / (6 * 20.0855 + 30)] * 3 + [403.4288 / 438.4288], abs=1e-4
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 65}, "dim 65: want a multiple of the 4 heads"),
        ({"box": (4, 3)}, "box .4, 3. must divide size 6"),
        ({"heads": ()}, "at least 1 item"),
        ({"heads": ("diagonal",)}, "'row', 'column'"),
        ({"passes": 0}, "greater than 0"),
    ],
)
def test_settings_that_do_not_fit_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PuzzleTransformerConfig(**options)
    # copier: endfilter
