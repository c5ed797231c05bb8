"""The project with every option on passes all of its own tests."""

from __future__ import annotations

import pytest

from tests.harness import Sample, Warm
from tests.test_projects import run_whole


@pytest.mark.parametrize("project", ["all-on"], indirect=True)
def test_the_projects_own_tests_pass(project: Sample, warm: Warm) -> None:
    run_whole(project, warm)
