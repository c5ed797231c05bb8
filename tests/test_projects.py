"""Rendered projects of every family pass their own tests."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests import answers
from tests.harness import Sample, Warm

CORE = ("commands", "config", "house")  # tests that look at what a family brings, and are not its own
WHOLE = ["default", "all-on"]
PARTS = {family: name for family, name in answers.one_of_each_family().items() if name not in WHOLE}
PARTS["generation"] = answers.thinking("generation")  # of its tests most are those of models that read streams


@pytest.mark.parametrize("project", WHOLE, indirect=True)
def test_the_projects_own_tests_pass(project: Sample, warm: Warm) -> None:
    result = warm.run(project.folder, "pytest", "-q", "-p", "no:cacheprovider", limit=900)
    assert result.status == 0, result.output
    assert re.search(r"Required test coverage of 90.* reached", result.output), result.output


@pytest.mark.parametrize("project", PARTS.values(), ids=PARTS, indirect=True)
def test_the_tests_of_its_family_pass(project: Sample, renders: Callable[[str], Sample], warm: Warm) -> None:
    others = {path.name for name in WHOLE for path in renders(name).folder.glob("tests/test_*.py")}
    own = {path.name for path in project.folder.glob("tests/test_*.py")} - others | {f"test_{name}.py" for name in CORE}
    files = sorted(f"tests/{name}" for name in own)
    result = warm.run(project.folder, "pytest", "-q", "-p", "no:cacheprovider", "--no-cov", *files)
    assert result.status == 0, result.output
