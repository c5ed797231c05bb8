"""Holds a result against the disk: lines, coverage, tests, parameters and latency are counted and measured again."""

import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from . import PACKAGE
from .schemas import Result

ROUNDING = 1.0  # points of coverage that rounding and the order of tests may change
TIMES = 3.0  # a time that was measured on a busy machine is still the same within this factor
MEMORY = 0.25  # the same for memory, as a share
TESTED = 50.0  # percent of a file's lines that tests run before it counts as tested
LIMIT = 600  # seconds that the tests of a result may take
MEASURE = "import json, sys; from {}.measure import main; sys.stdout.write(json.dumps(main(*sys.argv[1:])))"


def verify(result: Result, preset: str, root: Path) -> list[str]:
    """Return every claim of a result that the disk does not bear out, in one line each."""
    return [
        *files(result, root),
        *tests(result, root),
        *figures(result, preset, root),
        *(
            f"documentation: {path} is not there"
            for path in result.deliverables.documentation.model_dump().values()
            if path and not inside(path, root)
        ),
    ]


def inside(path: str, root: Path) -> Path | None:
    """Return a file of the project, or nothing where there is none of this path."""
    place = (root / path).resolve()
    return place if place.is_file() and place.is_relative_to(root.resolve()) else None


def files(result: Result, root: Path) -> list[str]:
    """Return what is wrong with the lines that are claimed."""
    wrong = []
    for claimed in result.deliverables.code_files:
        if not (place := inside(claimed.path, root)):
            wrong.append(f"code_files: {claimed.path} is no file of this project")
        elif (counted := len(place.read_text("utf-8").splitlines())) != claimed.loc:
            wrong.append(f"loc of {claimed.path}: claimed {claimed.loc}, counted {counted}")
    return wrong


def tests(result: Result, root: Path) -> list[str]:
    """Run the tests of a result; return what differs in passing, coverage and counts."""
    wanted = [test.path for test in result.deliverables.tests]
    missing = [f"tests: {path} is no file of this project" for path in wanted if not inside(path, root)]
    if missing or not wanted:
        return [*missing, *counts(result, 0, 0)]
    cases, covered = run(wanted, root)
    wrong = []
    for test in result.deliverables.tests:
        own = [good for path, good in cases if path == test.path]
        if test.all_passing != (bool(own) and all(own)):
            claimed = "all tests pass" if test.all_passing else "some tests fail"
            wrong.append(f"all_passing of {test.path}: claimed that {claimed}, but {sum(own)} of {len(own)} pass")
    return [*wrong, *counts(result, sum(good for _, good in cases), len(cases)), *coverage(result, covered, root)]


def run(paths: list[str], root: Path) -> tuple[list[tuple[str, bool]], dict[str, tuple[int, int]]]:
    """Run tests; return file and success of each, and for each file of code the lines that ran and all of its lines."""
    with tempfile.TemporaryDirectory() as folder:
        junit, report = Path(folder) / "junit.xml", Path(folder) / "coverage.json"
        options = ["-q", "-p", "no:cacheprovider", f"--junitxml={junit}", "-o", "junit_family=xunit1"]
        options += ["--cov", f"--cov-report=json:{report}"] if find_spec("pytest_cov") else []
        surroundings = {**searched(root), "COVERAGE_FILE": str(Path(folder) / "coverage")}
        command = [sys.executable, "-m", "pytest", *options, *paths]
        subprocess.run(command, cwd=root, env=surroundings, capture_output=True, timeout=LIMIT, check=False)  # noqa: S603
        found = ET.parse(junit).iter("testcase") if junit.exists() else ()  # noqa: S314 (pytest wrote it just now)
        ends = [(case.get("file", ""), {one.tag for one in case}) for case in found]
        cases = [(path, not tags & {"failure", "error"}) for path, tags in ends if "skipped" not in tags]
        told = json.loads(report.read_text("utf-8"))["files"] if report.exists() else {}
    lines = {path: (one["summary"]["covered_lines"], one["summary"]["num_statements"]) for path, one in told.items()}
    return cases, {str((root / path).resolve()): counted for path, counted in lines.items()}


def searched(root: Path) -> dict[str, str]:
    """Return the environment in which a project's own source is found, whether it is installed or not."""
    path = os.pathsep.join([str(root / "src"), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path.rstrip(os.pathsep)}


def counts(result: Result, passed: int, total: int) -> list[str]:
    """Return what differs in the number of tests."""
    unit, more = result.validation.unit_tests, result.validation.integration_tests
    claimed = [one for one in (unit, more) if one]
    sums = (sum(one.passed for one in claimed), sum(one.total for one in claimed))
    told = f"{passed}/{total} passing"
    return [f"tests: claimed {sums[0]}/{sums[1]} passing, ran {told}"] if claimed and sums != (passed, total) else []


def coverage(result: Result, covered: dict[str, tuple[int, int]], root: Path) -> list[str]:
    """Return what differs in coverage; that of a test is the share of the result's code that the tests run."""
    own = {f.path: covered.get(str((root / f.path).resolve()), (0, 0)) for f in result.deliverables.code_files}
    wrong = []
    for file in result.deliverables.code_files:
        ran, lines = own[file.path]
        if file.tested != (bool(lines) and 100 * ran >= TESTED * lines):
            wrong.append(f"tested of {file.path}: claimed {file.tested}, the tests ran {ran} of {lines} lines")
    lines = sum(all_of_it for _, all_of_it in own.values())
    share = 100 * sum(ran for ran, _ in own.values()) / lines if lines else 0.0
    far = [test for test in result.deliverables.tests if abs(test.coverage - share) > ROUNDING]
    return wrong + [f"coverage of {one.path}: claimed {one.coverage:g} %, measured {share:.1f} %" for one in far]


def measured(preset: str, device: str, root: Path) -> dict[str, Any]:
    """Measure a preset's model in a process of its own, which sees the code as it now is; OSError where it cannot."""
    command = [sys.executable, "-c", MEASURE.format(f"{PACKAGE}_agents"), preset, device]
    done = subprocess.run(  # noqa: S603 (our own words)
        command, cwd=root, env=searched(root), capture_output=True, text=True, timeout=LIMIT, check=False
    )
    if done.returncode:
        raise OSError((done.stderr.strip().splitlines() or ["it said nothing"])[-1])
    return dict(json.loads(done.stdout))


def figures(result: Result, preset: str, root: Path) -> list[str]:
    """Return what differs in parameters, latency and memory of the preset's model."""
    claimed = result.performance_metrics
    if not any((claimed.parameter_count, claimed.inference_time, claimed.vram_usage)):
        return []
    if not preset:
        return ["performance_metrics: no preset is named, so nobody can measure again"]
    said = " ".join(one.note for one in (claimed.inference_time, claimed.vram_usage) if one)
    device = "cuda" if claimed.vram_usage or "gpu" in said.lower() else "cpu"
    try:
        found = measured(preset, device, root)
    except (OSError, subprocess.TimeoutExpired) as error:
        return [f"performance_metrics: cannot be measured on {device}: {error}"]
    pairs = [
        ("parameter_count", claimed.parameter_count, found["parameters"], 0.0),
        ("vram_usage [GB]", claimed.vram_usage, found["peak_mb"] / 1000, MEMORY),
    ]
    false = [(name, one, value) for name, one, value, share in pairs if one and not one.agrees(value, share)]
    wrong = [f"{name}: claimed {one.text}, measured {value:g}" for name, one, value in false]
    time, median = claimed.inference_time, found["p50_ms"]
    if time and not (median / TIMES - time.half_digit <= time.value <= median * TIMES + time.half_digit):
        wrong.append(f"inference_time: claimed {time.text}, measured {median:.3g} ms for one row on {device}")
    return wrong
