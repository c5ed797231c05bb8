# copier: filter replace("my_project", package_name)
"""Bits of a text come into the block that their byte stands in, each once, wherever windows begin."""

import pytest
import torch
from torch import Tensor, nn

from my_project.evaluation import generation_scores
from my_project.types import UNKNOWN, Batch, Carry, StepOutput

NUM_BYTES, SEQ_LEN, VOCABULARY = 13, 5, 16
CONTEXT = (0, 2, 1)  # bytes at the beginning of each window that do not count: the window before has them


class Windows:
    """Three windows of a text of 13 bytes, read from the last one on."""

    def __init__(self) -> None:
        self.text = torch.randint(VOCABULARY, (NUM_BYTES,), generator=torch.Generator().manual_seed(0))
        self.begins = torch.tensor([0, 3, 7])

    def __len__(self) -> int:
        return len(self.begins)

    def __getitem__(self, key: tuple[Tensor, int]) -> Batch:
        index, _ = key
        places = self.begins[index, None] + torch.arange(SEQ_LEN)
        context = torch.arange(SEQ_LEN) < torch.tensor(CONTEXT)[index, None]
        return Batch(self.text[places], self.text[places + 1].masked_fill(context, UNKNOWN), index)

    def in_order(self, _: int) -> list[Tensor]:
        return [torch.tensor([2]), torch.tensor([1, 0])]


class Planted(nn.Module):
    """Gives the byte at place n of a text n bits."""

    def __init__(self, data: Windows) -> None:
        super().__init__()
        self.data, self.anchor = data, nn.Parameter(torch.zeros(()))

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        places = self.data.begins[batch.index, None] + torch.arange(SEQ_LEN) + 1  # [B, L]
        known = 0.5 ** places.double()[..., None]
        logits = ((1 - known) / (VOCABULARY - 1)).log().repeat(1, 1, VOCABULARY)
        return StepOutput(self.anchor, logits.scatter(2, self.data.text[places][..., None], known.log()), {}, carry)


def test_each_byte_counts_once_in_the_block_that_it_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation_scores, "BLOCK", 4)
    data = Windows()
    found = generation_scores.scores(Planted(data), data)
    blocks = [range(1, 4), range(4, 8), range(8, 12), range(12, 13)]  # nothing foretells the byte at place 0
    assert found.counts[:, 0].tolist() == [len(block) for block in blocks]
    assert found.totals[:, 0] == pytest.approx([sum(block) for block in blocks], rel=1e-3)
    assert found.value == pytest.approx(sum(range(1, 13)) / 12, rel=1e-3)
    # copier: endfilter
