"""What the page shows of a language model: a prompt, and what the model writes after it."""

from typing import Any

from ..data.loader import Dataset
from .page import NUM_EXAMPLES
from .predictor import Predictor

PROMPT = 80  # bytes of a prompt, about


def known(predictor: Predictor) -> dict[str, Any]:
    """Return what the fields begin with, as the row itself has it."""
    fields = predictor.row.model_fields
    return {"begin": {name: fields[name].default for name in ("max_bytes", "temperature", "seed") if name in fields}}


def seen(_: Predictor, dataset: Dataset) -> dict[str, Any]:
    """Return pieces of the validation text, which begin and end with a whole word."""
    text = bytes(dataset.text.tolist())
    begins = [len(text) * number // NUM_EXAMPLES for number in range(NUM_EXAMPLES)]
    found = [text[begin : begin + PROMPT].decode("utf-8", errors="ignore").split()[1:-1] for begin in begins]
    prompts = [" ".join(words) for words in found if words]
    return {"examples": [{"row": {"prompt": prompt}, "note": ""} for prompt in prompts]}
