"""A service of a rendered project, and rows to ask it: as they are, and shifted."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests import answers
from tests.harness import Result, Sample, Warm

Row = dict[str, Any]
AT_ONCE, WINDOW = 20, 200  # rows of a request; rows that are compared


def with_text(change: Callable[[str], str], key: str) -> Callable[[Row], Row]:
    """A row with another text."""
    return lambda row: row | {key: change(row[key])} if key in row else row


def brighter(row: Row) -> Row:
    """A row with more ink."""
    return row | {"pixels": [[min(16, pixel + 5) for pixel in line] for line in row["pixels"]]}


def numbers_up(row: Row) -> Row:
    """A row whose numbers are half as large again."""
    return {name: value * 1.5 if isinstance(value, float | int) else value for name, value in row.items()}


def emptier(row: Row) -> Row:
    """A puzzle with a given cell fewer in each half."""
    cells = [*row["puzzle"]]
    given = [place for place, cell in enumerate(cells) if cell not in ".0"]
    for place in given[:3]:
        cells[place] = "."
    return row | {"puzzle": "".join(cells)}


SHIFTS: dict[str, Callable[[Row], Row]] = {
    "classification-image": brighter,
    "classification-text": with_text(lambda text: " ".join(text.split()[:2]), "text"),
    "classification-tabular": numbers_up,
    "classification-multimodal": brighter,
    "regression": numbers_up,
    "forecasting": lambda row: {"history": [value and value * 1.5 for value in row["history"]]},
    "generation": with_text(str.upper, "prompt"),
    "embedding-search": with_text(lambda text: text.split()[0], "query"),
    "embedding-recommendation": lambda _: {},  # always the same user: see below
    "embedding-multimodal": lambda row: brighter(row) if "pixels" in row else row,
    "reasoning": emptier,
}


@contextmanager
def served(project: Sample, model: str) -> Iterator[str]:
    """The address of a service of its own; it is ended, and waited for."""
    words = [sys.executable, "-m", project.package, "serve", model, "--port", "0"]
    environment = os.environ | {"PYTHONPATH": "src", "OMP_NUM_THREADS": "1"}
    with (project.folder / "service.txt").open("w+b") as log:
        process = subprocess.Popen(words, cwd=project.folder, env=environment, stdout=subprocess.PIPE, stderr=log)
        try:
            for _ in range(600):
                found = re.search(r"at (http://127\.0\.0\.1:\d+)", (project.folder / "service.txt").read_text("utf-8"))
                if found or process.poll() is not None:
                    break
                signal.sigtimedwait([], 0.1)
            assert found, (project.folder / "service.txt").read_text("utf-8")
            yield found[1]
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 143
            assert process.stdout is not None
            process.stdout.close()


def ask(url: str, rows: list[Row]) -> dict[str, Any]:
    """What the service answers."""
    body = json.dumps({"rows": rows}).encode()
    request = urllib.request.Request(f"{url}/predict", body, {"content-type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310 (the loopback)
        return dict(json.load(reply))


def get(url: str) -> dict[str, Any]:
    """What lies at an address."""
    with urllib.request.urlopen(url, timeout=60) as reply:  # noqa: S310 (the loopback)
        return dict(json.load(reply))


def send(url: str, rows: list[Row]) -> list[Row]:
    """The answers to rows, some of them a request."""
    parts = [ask(url, rows[first : first + AT_ONCE]) for first in range(0, len(rows), AT_ONCE)]
    return [answer for part in parts for answer in part["answers"]]


def done(result: Result, status: int = 0) -> str:
    """What a command printed, which must end so."""
    assert result.status == status, result.output
    return result.output


def rows_of(project: Sample, warm: Warm, run: str) -> list[Row]:
    """Rows of the validation split as a client sends them."""
    done(warm.run(project.folder, "run_file", str(answers.ROOT / "tests/served_rows.py"), run, "rows.jsonl"))
    lines = (project.folder / "rows.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines[:WINDOW]]
