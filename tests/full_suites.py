"""All own tests of rendered projects, with coverage, as their owner runs them: of every option on, of each family.

    uv run pytest tests/full_suites.py

tests/test_projects.py runs of most of them only what the default project does not have.
"""

from __future__ import annotations

import pytest

from tests.harness import Sample, Warm
from tests.test_projects import PARTS, run_whole


@pytest.mark.parametrize("project", ["all-on", *PARTS.values()], ids=["all-on", *PARTS], indirect=True)
def test_the_projects_own_tests_pass(project: Sample, warm: Warm) -> None:
    run_whole(project, warm)
