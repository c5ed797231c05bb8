"""TensorBoard's pages show a run, in a real browser; those of the other trackers stand in test_trackers.py."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from tests.browser import find_browser, free_port, served, text_of
from tests.harness import command, render_sample

SHORT = ("--train.log-every", "1", "--train.eval-every", "3", "--train.device", "cpu")


@pytest.fixture(scope="module")
def browser() -> str:
    """A browser, or the reason why these tests are skipped."""
    return find_browser()


@pytest.fixture(scope="module")
def board(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with TensorBoard that trained once, in the environment of these tests."""
    sample = render_sample(template, tmp_path_factory.mktemp("board"), "board", {"tracker": "tensorboard"})
    words = ["train", "--train.steps", "6", "--train.out", "runs/first", *SHORT]
    trained = command([sys.executable, "-m", sample.package, *words], sample.folder, {"PYTHONPATH": "src"})
    assert trained.status == 0, trained.output
    return sample.folder


def test_the_pages_of_tensorboard_show_a_run_and_its_figures(browser: str, board: Path) -> None:
    port = free_port()
    argv = [sys.executable, "-m", "tensorboard.main", "--logdir", "runs", "--port", str(port), "--load_fast=false"]
    with served(argv, board, port) as url:
        text = text_of(browser, f"{url}#timeseries")
    lines = [json.loads(line) for line in (board / "runs/first/metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    last = {line["split"]: line for line in lines}
    for split, name in (("train", "loss"), ("train", "grad_norm"), ("val", "loss"), ("val", "accuracy")):
        figure = f"{last[split][name]:.4f}".rstrip("0")
        assert re.search(rf"{split} /{name} .*? first/tensorboard [\d.]+ {figure} 6 ", text), (split, name, figure)


def test_the_projects_own_tests_of_tensorboard_pass(board: Path) -> None:
    words = ["-q", "--no-cov", "-p", "no:cacheprovider", "tests/test_track_tensorboard.py"]
    own = command([sys.executable, "-m", "pytest", *words], board, {"PYTHONPATH": "src"})
    assert own.status == 0, own.output
    assert "skipped" not in own.output
