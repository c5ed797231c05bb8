"""Fixtures: a copy of the template, rendered samples, and a warm process that forks."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from tests import answers
from tests.harness import Result, Sample, Warm, release, render_sample, snapshot
from tests.quick import quicken

quicken()
os.environ.update({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "MPLBACKEND": "agg"})


@pytest.fixture(scope="session", autouse=True)
def _own_git_config(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the developer's git configuration out of every test."""
    config = tmp_path_factory.mktemp("git") / "config"
    config.write_text("[init]\n\tdefaultBranch = main\n", encoding="utf-8")
    os.environ.update({"GIT_CONFIG_GLOBAL": str(config), "GIT_CONFIG_NOSYSTEM": "1"})


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the working tree, without git."""
    return snapshot(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the working tree as a git repository with the tag v0.0.1."""
    folder = snapshot(tmp_path_factory.mktemp("released"))
    release(folder, "v0.0.1")
    return folder


@pytest.fixture(scope="session")
def renders(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Sample]:
    """Render an answer set by its name, once a session."""
    folder, sets, done = tmp_path_factory.mktemp("samples"), answers.samples(), dict[str, Sample]()

    def get(name: str) -> Sample:
        if name not in done:
            done[name] = render_sample(template, folder, name, sets[name])
        return done[name]

    return get


@pytest.fixture
def sample(request: pytest.FixtureRequest, renders: Callable[[str], Sample]) -> Sample:
    """The sample that the test's parameter names."""
    return renders(request.param)


@pytest.fixture
def project(request: pytest.FixtureRequest, renders: Callable[[str], Sample], tmp_path: Path) -> Sample:
    """A sample of the test's own: its runs and caches must not be in the others' way."""
    return renders(request.param).copy(tmp_path / request.param)


@pytest.fixture(scope="session")
def default(renders: Callable[[str], Sample]) -> Sample:
    """The project that `copier copy --defaults` makes."""
    return renders("default")


@pytest.fixture(scope="session")
def type_cache(pytestconfig: pytest.Config) -> Path:
    """One mypy cache for all samples, kept between runs."""
    return pytestconfig.rootpath / ".mypy_cache" / os.environ.get("PYTEST_XDIST_WORKER", "samples")


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory, type_cache: Path) -> Iterator[Warm]:
    """A process that forks a child for each command of a sample."""
    process = Warm(tmp_path_factory.mktemp("output"), {"MYPY_CACHE_DIR": str(type_cache)})
    yield process
    process.close()


@pytest.fixture(scope="session")
def types(warm: Warm) -> Callable[[Sample], Result]:
    """Check a sample's types for its own lowest Python; equal sources are checked once."""
    done: dict[tuple[str, ...], Result] = {}

    def check(sample: Sample) -> Result:
        version = sample.answers.get("python_version", "3.11")
        sources = [path.relative_to(sample.folder) for path in sample.files(".py")]
        key = (version, *(f"{path}\n{(sample.folder / path).read_text('utf-8')}" for path in sources))
        if key not in done:
            done[key] = warm.run(sample.folder, "mypy", f"--python-version={version}")
        return done[key]

    return check


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a failing test name its sample's answers and where the sample lies."""
    report = yield
    given = getattr(item, "funcargs", {})
    used = next((value for value in given.values() if isinstance(value, Sample)), None)
    if report.failed and used:
        report.sections.append(("sample", f"{used.folder}\nanswers: {used.answers or 'defaults'}"))
    return report
