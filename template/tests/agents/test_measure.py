# copier: filter replace("my_project", package_name)
"""What a model costs is measured on its own data."""

import pytest

from my_project import config as configs
from my_project_agents import measure


def test_size_time_memory_and_operations_are_measured() -> None:
    found = measure.benchmark_model(configs.DEFAULT_PRESET)
    model = configs.load().model.build()
    assert found["parameters"] == sum(p.numel() for p in model.parameters())
    assert 0 < found["p50_ms"] <= found["p95_ms"]
    assert found["peak_mb"] > 1
    assert 0 < len(found["operations"]) <= measure.NUM_OPERATIONS
    assert {"name", "calls", "self_cpu_ms"} == set(found["operations"][0])


def test_a_preset_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown preset 'nothing'"):
        measure.benchmark_model("nothing")
    # copier: endfilter
