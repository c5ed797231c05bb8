"""What a language model's bits for each byte are made of: sums over blocks of the text."""

from torch import nn

from ..data.loader import Dataset
from .generation import read
from .row_statistics import Scores, score_rows

BLOCK = 1024  # bytes: neighbouring ones are surprising for the same reasons, blocks of a page or two hardly


def scores(model: nn.Module, dataset: Dataset) -> Scores:
    """Return the bits of all bytes that count, by the block of the text that they stand in, whatever the windows."""
    reading = read(model, dataset, len(dataset))
    known = reading["known"]
    rows, columns = known.nonzero(as_tuple=True)
    places = (dataset.begins[reading["index"][rows]] + columns + 1) // BLOCK
    bits = reading["bits"][known].double()
    totals, counts = (bits.new_zeros(int(places.max()) + 1).index_add(0, places, part) for part in (bits, bits * 0 + 1))
    return score_rows(totals, dataset.text, counts=counts, primary="bits_per_byte", higher_is_better=False)
