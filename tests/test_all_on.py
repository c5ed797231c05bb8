"""The project with every option on passes the tests that its options bring; tests/full_suites.py runs all it has."""

from __future__ import annotations

import pytest

from tests.harness import Sample, Warm
from tests.test_projects import run_own


@pytest.mark.parametrize("project", ["all-on"], indirect=True)
def test_the_tests_of_its_options_pass(project: Sample, default: Sample, warm: Warm) -> None:
    run_own(project, [default], warm)
