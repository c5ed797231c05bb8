# copier: filter replace("my_project", package_name)
"""What a result claims is counted, run and measured again; any lie is named."""

from pathlib import Path
from typing import Any

import pytest

from my_project_agents import PACKAGE, claims
from my_project_agents.schemas import Result

CODE = '"""Adds."""\n\n\ndef add(a, b):\n    if a is None:\n        return b\n    return a + b\n'
TEST = "from adding import add\n\n\ndef test_one():\n    assert add(1, 2) == 3\n\n\ndef test_two():\n"
TEST += "    assert add(2, 2) == 4\n"
FOUND = {"parameters": 4746, "p50_ms": 2.0, "p95_ms": 3.0, "peak_mb": 300.0}


def result(**changes: Any) -> Result:
    values: dict[str, Any] = {
        "status": "implementation_complete",
        "deliverables": {
            "code_files": [{"path": "src/adding.py", "description": "adds", "loc": 7, "tested": True}],
            "tests": [{"path": "tests/test_adding.py", "coverage": 75, "all_passing": True}],
            "documentation": {"architecture_diagram": "README.md", "usage_examples": "README.md"},
        },
        "performance_metrics": {"parameter_count": "4746", "inference_time": "2 ms (CPU)", "vram_usage": None},
        "validation": {"unit_tests": "2/2 passing", "integration_tests": None, "manual_verification": None},
    }
    for path, new in changes.items():
        place: Any = values
        *keys, last = path.split("__")
        for key in keys:
            place = place[int(key)] if key.isdigit() else place[key]
        place[last] = new
    return Result.model_validate(values)


@pytest.fixture
def project(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one function, half tested, with a measurement that is always the same."""
    setup = "[tool.pytest.ini_options]\naddopts = ['--cov=adding', '--import-mode=importlib']\n"
    files = {"src/adding.py": CODE, "tests/test_adding.py": TEST, "README.md": "x", "pyproject.toml": setup}
    for name, text in files.items():
        (workspace / name).parent.mkdir(exist_ok=True)
        (workspace / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(claims, "measured", lambda *_: FOUND)
    return workspace


def test_a_true_result_is_believed(project: Path) -> None:
    assert claims.verify(result(), "adding", project) == []
    assert {path.name for path in project.iterdir()} <= {*("src", "tests", "README.md", "pyproject.toml")}


CODE_FILE, TEST_FILE = "deliverables__code_files__0__", "deliverables__tests__0__"
LIES = [
    (f"{CODE_FILE}loc", 350, "loc of src/adding.py: claimed 350, counted 7"),
    (f"{CODE_FILE}path", "src/no_file.py", "code_files: src/no_file.py is no file of this project"),
    (f"{CODE_FILE}path", "../outside.py", "code_files: ../outside.py is no file of this project"),
    (f"{CODE_FILE}tested", False, "tested of src/adding.py: claimed False, the tests ran"),
    (f"{TEST_FILE}coverage", 95, "coverage of tests/test_adding.py: claimed 95 %, measured 75.0 %"),
    (f"{TEST_FILE}all_passing", False, "all_passing of tests/test_adding.py: claimed that some tests fail, but 2 of 2"),
    (f"{TEST_FILE}path", "tests/test_nothing.py", "tests: tests/test_nothing.py is no file of this project"),
    ("validation__unit_tests", "48/48 passing", "tests: claimed 48/48 passing, ran 2/2 passing"),
    ("validation__integration_tests", "1/1 passing", "tests: claimed 3/3 passing, ran 2/2 passing"),
    ("performance_metrics__parameter_count", "25.6M", "parameter_count: claimed 25.6M, measured 4746"),
    ("performance_metrics__inference_time", "0.2 ms (CPU)", "inference_time: claimed 0.2 ms (CPU), measured 2 ms"),
    ("performance_metrics__inference_time", "45ms (GPU)", "inference_time: claimed 45ms (GPU), measured 2 ms"),
    ("performance_metrics__vram_usage", "5.2GB", "vram_usage [GB]: claimed 5.2GB, measured 0.3"),
    ("deliverables__documentation__architecture_diagram", "docs/no.md", "documentation: docs/no.md is not there"),
]


@pytest.mark.parametrize(("where", "lie", "told"), LIES)
def test_a_lie_is_named_with_what_is_true(project: Path, where: str, lie: Any, told: str) -> None:
    found = claims.verify(result(**{where: lie}), "adding", project)
    assert [line for line in found if line.startswith(told)]


def test_tests_that_fail_are_not_passing(project: Path) -> None:
    (project / "tests/test_adding.py").write_text(TEST.replace("== 4", "== 5"), encoding="utf-8")
    found = claims.verify(result(), "adding", project)
    assert "all_passing of tests/test_adding.py: claimed that all tests pass, but 1 of 2 pass" in found
    assert "tests: claimed 2/2 passing, ran 1/2 passing" in found


def test_figures_without_a_preset_or_a_device_are_not_believed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no preset is named" in claims.figures(result(), "", project)[0]

    def refuse(*given: object) -> dict[str, Any]:
        raise OSError(f"{given[1]} is not there")

    monkeypatch.setattr(claims, "measured", refuse)
    changed = result(performance_metrics__inference_time="45ms (GPU)")
    assert claims.figures(changed, "adding", project) == [
        "performance_metrics: cannot be measured on cuda: cuda is not there"
    ]


def test_a_process_of_its_own_measures_a_preset(workspace: Path) -> None:
    package = f"src/{PACKAGE}_agents"
    (workspace / package).mkdir(parents=True)
    (workspace / package / "__init__.py").touch()
    text = "def main(preset, device):\n    if preset == 'none':\n        raise ValueError('no preset none')\n"
    text += "    return {'preset': preset, 'device': device}\n"
    (workspace / package / "measure.py").write_text(text, encoding="utf-8")
    assert claims.measured("mlp", "cpu", workspace) == {"preset": "mlp", "device": "cpu"}
    with pytest.raises(OSError, match="no preset none"):
        claims.measured("none", "cpu", workspace)
    # copier: endfilter
