"""The adapters around pretrained models, each in an environment with its library, which the other tests do without.

Torchmetrics and others import what lies beside them, so a library that weighs seconds would slow every other test.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.answers import Answers
from tests.installed import Installed
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


class Adapted(Installed):
    """A project with such an adapter."""

    def __init__(self, name: str, template: Path, folder: Path) -> None:
        super().__init__(name, ADAPTERS[name], template, folder)
        if "nms does not exist" in self.run("-c", "import torchvision").output:
            (site,) = (folder / "env/lib").glob("python*/site-packages")
            (site / "sitecustomize.py").write_text(OPERATORS, encoding="utf-8")


@pytest.fixture(scope="module", params=ADAPTERS)
def installed(request: pytest.FixtureRequest, template: Path, tmp_path_factory: pytest.TempPathFactory) -> Adapted:
    """A project of each library."""
    return Adapted(request.param, template, tmp_path_factory.mktemp(request.param))


def test_the_adapter_keeps_what_every_model_promises(installed: Adapted) -> None:
    name = installed.sample.name
    own = installed.run("-m", "pytest", "-q", "--no-cov", f"tests/test_{name}_classifier.py")
    assert own.status == 0, own.output
    assert "skipped" not in own.output
    shared = installed.run(
        "-m", "pytest", "-q", "--no-cov", "tests/test_models.py", "tests/test_training.py", "-k", name
    )
    assert shared.status == 0, shared.output
    assert " passed" in shared.output


def test_it_trains_from_random_weights_and_beats_its_baselines(installed: Adapted) -> None:
    result = installed.run("-m", installed.sample.package, "train", installed.sample.name)
    assert result.status == 0, result.output
    path = installed.sample.folder / "runs" / f"{installed.sample.name}-1" / "evaluation.json"
    evaluation = json.loads(path.read_text(encoding="utf-8"))
    assert evaluation["value"] > max(evaluation["baselines"].values())


def test_names_of_what_it_brings_are_reserved(installed: Adapted) -> None:
    names = installed.names()
    assert installed.sample.name in names
    assert not allowed(names)
