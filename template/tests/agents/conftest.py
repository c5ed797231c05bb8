"""What tests of the agents' files use."""

from pathlib import Path

import pytest

CLAUDE = Path(__file__).parents[2] / ".claude"


@pytest.fixture
def claude() -> Path:
    """The folder of agents, skills and hooks; a project may have removed it."""
    if not CLAUDE.exists():
        pytest.skip("this project has no .claude")
    return CLAUDE
