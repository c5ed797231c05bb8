# copier: filter replace("my_project", package_name)
"""What several tests use: one thread, a run that is trained once, and short ways to make things."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from my_project import config as configs
from my_project import run as commands
from my_project.config import Config
from my_project.training import storage

from .sample import PRESET, register

SMALL = {"train.steps": 20, "train.eval_every": 10, "train.log_every": 5, "optim.warmup_steps": 5}
register()


def pytest_configure(config: pytest.Config) -> None:
    """Demand coverage of a whole run only: a part of the tests covers a part of the code."""
    gate = config.pluginmanager.get_plugin("_cov")
    if gate and (config.args_source is pytest.Config.ArgsSource.ARGS or config.option.keyword):
        gate.options.cov_fail_under = 0


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the figures of seeded runs anew")


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)
    storage.TRACKERS.clear()  # only their own tests tell them anything


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Every test works in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    torch.use_deterministic_algorithms(mode=False)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run of the sample: evaluated, reported, good enough to be worth looking at."""
    out = tmp_path_factory.mktemp("runs") / "sample"
    done = commands.train(overrides={"train.eval_every": 100, "train.out": str(out)}, config=PRESET)
    return Path(done["run"])


@pytest.fixture
def small() -> Config:
    """A config that trains in a moment."""
    return configs.load(PRESET, SMALL)
    # copier: endfilter
