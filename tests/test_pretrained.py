"""The adapters around pretrained models, each in an environment with its library, which the other tests do without.

Torchmetrics and others import what lies beside them, so a library that weighs seconds would slow every other test.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tests.answers import Answers
from tests.harness import Result, Sample, command, render_sample
from tests.test_questions import allowed

ADAPTERS: dict[str, Answers] = {
    "timm": {"pretrained": "timm"},
    "transformers": {"variant": "text", "pretrained": "transformers"},
}
# Beside a CPU build of torch, torchvision of PyPI, which is built for CUDA, cannot load its operators; then it lacks
# those that it describes at import. No adapter calls them.
OPERATORS = """
import importlib.abc, sys

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "torchvision":
            sys.meta_path.remove(self)
            import torch
            self.library = torch.library.Library("torchvision", "DEF")
            for operator in ("nms", "qnms"):
                self.library.define(f"{operator}(Tensor boxes, Tensor scores, float threshold) -> Tensor")

finder = Finder()  # who keeps the library, which would be gone without its owner
sys.meta_path.insert(0, finder)
"""
NAMES = """
import importlib.metadata, json
names = {d.name for d in importlib.metadata.distributions()} | {*importlib.metadata.packages_distributions()}
names |= {entry.name for entry in importlib.metadata.entry_points(group="console_scripts")}
print(json.dumps(sorted(name for name in names if name.replace("-", "_").isidentifier())))
"""


class Installed:
    """A project with such an adapter, and an environment that holds it and all it declares."""

    def __init__(self, name: str, template: Path, folder: Path) -> None:
        self.sample: Sample = render_sample(template, folder, name, ADAPTERS[name])
        self.python = folder / "env/bin/python"
        tools = ["coverage", "hypothesis", "pytest", "pytest-cov"]
        made = command(["uv", "venv", "--python", sys.executable, folder / "env"], folder)
        assert made.status == 0, made.output
        filled = command(["uv", "pip", "install", "--python", self.python, self.sample.folder, *tools], folder)
        assert filled.status == 0, filled.output
        if "nms does not exist" in self.run("-c", "import torchvision").output:
            (site,) = (folder / "env/lib").glob("python*/site-packages")
            (site / "sitecustomize.py").write_text(OPERATORS, encoding="utf-8")

    def run(self, *argv: str) -> Result:
        """Run its Python in the project, with nothing to be had from the hub."""
        blocked = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}
        return command([self.python, *argv], self.sample.folder, os.environ | blocked)


@pytest.fixture(scope="module", params=ADAPTERS)
def installed(request: pytest.FixtureRequest, template: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """A project of each library."""
    return Installed(request.param, template, tmp_path_factory.mktemp(request.param))


def test_the_adapter_keeps_what_every_model_promises(installed: Installed) -> None:
    name = installed.sample.name
    own = installed.run("-m", "pytest", "-q", "--no-cov", f"tests/test_{name}_classifier.py")
    assert own.status == 0, own.output
    assert "skipped" not in own.output
    shared = installed.run(
        "-m", "pytest", "-q", "--no-cov", "tests/test_models.py", "tests/test_training.py", "-k", name
    )
    assert shared.status == 0, shared.output
    assert " passed" in shared.output


def test_it_trains_from_random_weights_and_beats_its_baselines(installed: Installed) -> None:
    result = installed.run("-m", installed.sample.package, "train", installed.sample.name)
    assert result.status == 0, result.output
    path = installed.sample.folder / "runs" / f"{installed.sample.name}-1" / "evaluation.json"
    evaluation = json.loads(path.read_text(encoding="utf-8"))
    assert evaluation["value"] > max(evaluation["baselines"].values())


def test_names_of_what_it_brings_are_reserved(installed: Installed) -> None:
    names = json.loads(installed.run("-c", NAMES).output)
    assert installed.sample.name in names
    assert not allowed(set(names) - {"my-project", "my_project", "my_project_agents"})
