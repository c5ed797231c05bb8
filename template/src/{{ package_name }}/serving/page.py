"""The page where a person tries a model: one HTML text with nothing from elsewhere, made for one Predictor."""

import base64
import hashlib
import json
import logging
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import jinja2
from torch import linspace

from ..data.loader import Dataset, read_manifest
from ..types import Batch
from .predictor import Predictor

logger = logging.getLogger(__name__)
HERE = Path(__file__).parent
PAGES = jinja2.Environment("[%", "%]", "[[", "]]", "[#", "#]", autoescape=True, loader=jinja2.FileSystemLoader(HERE))
NUM_EXAMPLES = 12
PLAIN = "rows"  # what a task without a page of its own gets: its rows and answers as JSON
POLICY = (
    "default-src 'none'; script-src {script}; style-src {style}; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def render(predictor: Predictor) -> str:
    """Return the page: the frame, filled by the task's own part, with examples of the validation split."""
    data = predictor.data
    name = data.task if (HERE / f"{data.task}_page.py").is_file() else PLAIN
    part = import_module(f".{name}_page", __package__)
    page: dict[str, Any] = {
        **identity(predictor),
        "data": read_manifest(data.root).get("name", ""),
        "schema": predictor.row.model_json_schema(),
        "examples": [],
        **part.known(predictor),
    }
    try:
        page |= part.seen(predictor, data.build("val"))
    except (OSError, ValueError, KeyError) as error:  # a model can be served where its data are not
        logger.warning("the page has no examples, since the validation split cannot be read: %s", error)
    return PAGES.get_template(f"{PLAIN if page.get('plain') else name}.html").render(page=page)


def identity(predictor: Predictor) -> dict[str, str]:
    """Return what the model is called: as the registry calls it, or by its config and its run folder."""
    folder = predictor.checkpoint.parent
    file = folder / "metadata.json"
    known = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    name = str(known.get("name", predictor.config.name))
    return {"name": name, "version": f"{name}/{known.get('version', folder.resolve().name)}"}


def policy(page: str) -> str:
    """Return the Content-Security-Policy of a page: only its own script and style run, known by their SHA-256.

    A page is the same for everybody, so that a nonce in it would be no secret.
    """
    found = {tag: re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL) for tag in ("script", "style")}
    digests = {tag: [hashlib.sha256(text.encode()).digest() for text in texts] for tag, texts in found.items()}
    hashes = {tag: [f"'sha256-{base64.b64encode(one).decode()}'" for one in own] for tag, own in digests.items()}
    return POLICY.format(**{tag: " ".join(own) for tag, own in hashes.items()})


def some(dataset: Dataset, count: int = NUM_EXAMPLES) -> tuple[list[int], Batch]:
    """Return the numbers of up to `count` rows of a split, at equal distances over all of it, and a batch of them."""
    index = linspace(0, len(dataset) - 1, min(count, len(dataset))).round().long()
    return index.tolist(), dataset[index, 0]
