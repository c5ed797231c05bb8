# copier: filter replace("my_project", package_name)
"""A text becomes streams that go on from batch to batch, each held-out byte is predicted once, a carry goes along."""

from itertools import islice, pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from my_project.data.loader import train_batches
from my_project.data.text_pages import pack
from my_project.data.text_segments import TextSegments, TextSegmentsConfig, first_rows
from my_project.evaluation import generation
from my_project.types import UNKNOWN, Batch, Carry, StepOutput


@pytest.fixture
def folder(workspace: Path) -> Path:
    """A text that never says the same twice: numbers, one after the other."""
    (workspace / "numbers.txt").write_text(" ".join(map(str, range(2000))))
    pack(workspace / "numbers.txt", workspace / "numbers", name="numbers", source="made here", licence="none")
    return workspace / "numbers"


def settings(folder: Path, seq_len: int = 32, batch_size: int = 5) -> TextSegmentsConfig:
    return TextSegmentsConfig(folder=str(folder), seq_len=seq_len, batch_size=batch_size)


def batches(folder: Path, count: int, position: int = 0) -> tuple[TextSegments, list[Batch]]:
    config = settings(folder)
    data = config.build("train", augment=True)
    return data, [*islice(train_batches(data, config, seed=3, position=position), count)]


def test_each_row_goes_on_where_it_ended_in_the_batch_before(folder: Path) -> None:
    data, found = batches(folder, 88)
    length, text = len(data) // 5, bytes(data.text.tolist())
    for epoch in (found[:length], found[length:]):
        assert [batch.starts is not None and bool(batch.starts.all()) for batch in epoch] == [True] + [False] * (
            length - 1
        )
        for streams in (
            torch.cat([batch.inputs for batch in epoch], dim=1),
            torch.cat([b.targets for b in epoch], dim=1),
        ):
            assert all(bytes(stream.tolist()) in text for stream in streams)
    assert not torch.equal(found[0].inputs, found[length].inputs)  # another epoch cuts the text at other places


@pytest.mark.parametrize("position", [1, 7, 100])
def test_training_goes_on_at_any_position(folder: Path, position: int) -> None:
    straight, resumed = batches(folder, position + 50)[1], batches(folder, 50, position)[1]
    for ours, theirs in zip(resumed, straight[position:], strict=True):
        assert torch.equal(ours.inputs, theirs.inputs)


@pytest.mark.parametrize(("num_rows", "num_streams"), [(10, 5), (13, 5), (3, 5), (1, 1), (29, 8)])
def test_streams_are_as_equal_as_can_be_and_the_longer_ones_come_first(num_rows: int, num_streams: int) -> None:
    firsts = [*first_rows(num_rows, num_streams).tolist(), num_rows]
    lengths = [after - before for before, after in pairwise(firsts)]
    assert lengths == sorted(lengths, reverse=True)
    assert (len(lengths), max(lengths) - min(lengths) <= 1) == (min(num_rows, num_streams), True)


@pytest.mark.parametrize(("seq_len", "batch_size"), [(32, 5), (32, 1), (7, 4), (100, 64)])
def test_every_byte_of_held_out_text_but_the_first_is_predicted_once(
    folder: Path, seq_len: int, batch_size: int
) -> None:
    data = settings(folder, seq_len, batch_size).build("val")
    rows = torch.cat(data.in_order(len(data)))
    assert sorted(rows.tolist()) == [*range(len(data))]
    targets = data[rows, 0].targets
    places = (data.begins[rows, None] + 1 + torch.arange(seq_len))[targets != UNKNOWN]
    assert sorted(places.tolist()) == [*range(1, len(data.text))]


class Counting(nn.Module):
    """A model that counts the segments of each row since its text began."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.seen = nn.Parameter(torch.zeros(256)), list[tuple[Tensor, Tensor]]()

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        counts = batch.index * 0 if carry is None else carry + 1
        self.seen.append((batch.index, counts))
        return StepOutput(self.weight.sum(), self.weight.expand(*batch.inputs.shape, 256), {}, counts)


def test_evaluation_reads_streams_in_their_order_with_their_carry(folder: Path) -> None:
    data, model = settings(folder).build("val"), Counting()
    measured = generation.measure(model, data)
    assert measured.value == pytest.approx(8)
    for index, counts in model.seen:
        assert torch.equal(index, data.firsts[: len(index)] + counts)
    assert sum(len(index) for index, _ in model.seen) == len(data)
    assert len({len(index) for index, _ in model.seen}) == 2  # the shorter streams leave


def test_a_prompt_is_every_byte_of_its_file(folder: Path) -> None:
    path = folder / "prompt.txt"
    path.write_text("Ça va?", "utf-8")
    assert settings(folder, seq_len=2).read(path).tolist() == [[*"Ça va?".encode()]]


def test_a_part_of_the_text_is_the_heads_of_all_streams(folder: Path) -> None:
    data = settings(folder).build("val")
    assert [rows.tolist() for rows in data.in_order(10)] == [(data.firsts + step).tolist() for step in (0, 1)]
    # copier: endfilter
