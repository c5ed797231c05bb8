"""A spread of rendered projects passes its own tests and trains to its accuracy."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import answers
from tests.harness import Sample, Warm

PACKAGES = {given.get("package_name", "my_project"): name for name, given in reversed(answers.samples().items())}
SPREAD = sorted(PACKAGES.values())  # one sample for each package name, and so for each kind of name
spread = pytest.mark.parametrize("project", SPREAD, indirect=True)

LEAST = {"classification-image": 0.97}  # of the primary figure, on the validation split


@pytest.fixture
def project(request: pytest.FixtureRequest, renders: Callable[[str], Sample], tmp_path: Path) -> Sample:
    """A sample of the test's own: its runs and caches must not be in the others' way."""
    return renders(request.param).copy(tmp_path / request.param)


@spread
def test_the_projects_own_tests_pass(project: Sample, warm: Warm) -> None:
    result = warm.run(project.folder, "pytest", "-q", "-p", "no:cacheprovider")
    assert result.status == 0, result.output
    assert re.search(r"Required test coverage of 90.* reached", result.output), result.output


@spread
def test_it_trains_and_beats_its_baselines(project: Sample, warm: Warm) -> None:
    result = warm.run(project.folder, project.package, "train")
    assert result.status == 0, result.output
    runs = list((project.folder / "runs").iterdir())
    assert [run.name.rpartition("-")[2] for run in runs] == ["1"]
    evaluation = json.loads((runs[0] / "evaluation.json").read_text(encoding="utf-8"))
    assert evaluation["split"] == "val"
    sign = 1 if evaluation["higher_is_better"] else -1
    assert all(sign * evaluation["value"] > sign * value for value in evaluation["baselines"].values())
    if project.family in LEAST:
        assert evaluation["value"] >= LEAST[project.family]
    assert (runs[0] / "report.html").stat().st_size > 0
    assert "report.html" in result.output
