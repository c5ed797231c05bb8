"""Every combination of the choices that take files away, with names, licences and versions in turn.

    uv run pytest tests/full_matrix.py

The rows of tests/test_renders.py hold every pair of choices, and run with the other tests.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import answers, test_renders
from tests.harness import Result, Sample, command, render_sample

SETS = answers.full_matrix()


@pytest.mark.parametrize("name", SETS)
def test_every_combination_of_answers(
    name: str, template: Path, tmp_path: Path, types: Callable[[Sample], Result]
) -> None:
    sample = render_sample(template, tmp_path, name, SETS[name])
    for argv in (["ruff", "check", "-q", "--no-cache"], ["ruff", "format", "-q", "--no-cache", "--check"]):
        result = command(argv, sample.folder)
        assert result.status == 0, result.output
    test_renders.test_nothing_of_the_template_is_left(sample)
    test_renders.test_every_file_parses(sample)
    test_renders.test_answers_arrive_as_they_were_given(sample)
    test_renders.test_files_come_and_go_with_the_answers(sample)
    test_renders.test_mypy_finds_nothing(sample, types)
    for room in ("src", "tests", "examples", "docs"):
        test_renders.test_declared_dependencies_cover_the_imports(sample, room)
    shutil.rmtree(sample.folder)
