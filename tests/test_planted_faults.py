"""A fault planted in a rendered project turns the check red that is there for it, and no other.

A project's tests need types and data that hold, so that they are asked only where the others find nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.harness import Result, Sample, Warm, command


def replace(path: Path, old: str, new: str) -> None:
    """Change a file's first `old`, which must be there."""
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path} no longer holds {old!r}"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def rewrite(data: Path, change: Callable[[dict[str, np.ndarray], dict[str, np.ndarray]], None]) -> None:
    """Change the training arrays, given the test arrays, and refresh the manifest's checksums."""
    train, test = (dict(np.load(data / name)) for name in ("digits.npz", "digits_test.npz"))
    change(train, test)
    np.savez_compressed(data / "digits.npz", allow_pickle=False, **train)
    manifest = json.loads((data / "manifest.json").read_text(encoding="utf-8"))
    for name in manifest["files"]:
        manifest["files"][name] = hashlib.sha256((data / name).read_bytes()).hexdigest()
    (data / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def broken_import(package: Path) -> None:
    """A module that is not there, imported only when an evaluation is made in full."""
    metrics = "from torchmetrics.functional import classification"
    replace(package / "evaluation/classification.py", metrics, "from ..missing import classification")


def untyped_function(package: Path) -> None:
    """A function without types, which the linter is told to let pass."""
    with (package / "models/mlp.py").open("a", encoding="utf-8") as file:
        file.write('\n\ndef double(x):  # noqa: ANN001, ANN201\n    """Return twice x."""\n    return 2 * x\n')


def dead_layer(package: Path) -> None:
    """A layer that nothing uses."""
    layers = "nn.Linear(dims[-1], config.num_classes))"
    replace(package / "models/mlp.py", layers, layers + "\n        self.spare = nn.Linear(2, 2)")


def shuffled_labels(package: Path) -> None:
    """The training labels in another order; shapes, classes and checksums fit."""

    def change(train: dict[str, np.ndarray], _: dict[str, np.ndarray]) -> None:
        train["train_targets"] = np.random.default_rng(0).permutation(train["train_targets"])

    rewrite(package / "data/digits", change)


def flipped_byte(package: Path) -> None:
    """One byte of the data file inverted."""
    path = package / "data/digits/digits.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def leaked_test_image(package: Path) -> None:
    """A test image and its label in place of a training image; the checksums fit."""

    def change(train: dict[str, np.ndarray], test: dict[str, np.ndarray]) -> None:
        train["train_inputs"][0], train["train_targets"][0] = test["test_inputs"][0], test["test_targets"][0]

    rewrite(package / "data/digits", change)


# What is planted, the one check that turns red, and what that check says of it.
FAULTS = [
    (broken_import, "mypy", "my_project.missing"),
    (untyped_function, "mypy", "[no-untyped-def]"),
    (dead_layer, "pytest", "spare.weight"),
    (shuffled_labels, "pytest", "losses_of_a_seeded_run"),
    (flipped_byte, "data verify", "SHA-256"),
    (leaked_test_image, "data verify", "is a copy of"),
]


@pytest.fixture
def sample(default: Sample, tmp_path: Path) -> Sample:
    """A default project of the test's own."""
    return default.copy(tmp_path / "project")


def checks(sample: Sample, warm: Warm) -> dict[str, Callable[[], Result]]:
    """The project's checks; of its tests the two that look for dead layers and for another course of training."""
    tests = "every_parameter_gets_a_gradient or losses_of_a_seeded_run"
    return {
        "ruff": lambda: command(["ruff", "check", "--no-cache"], sample.folder),
        "mypy": lambda: warm.run(sample.folder, "mypy"),
        "data verify": lambda: warm.run(sample.folder, sample.package, "data", "verify"),
        "pytest": lambda: warm.run(sample.folder, "pytest", "-q", "--no-cov", "-k", tests),
    }


@pytest.mark.parametrize(("plant", "check", "words"), FAULTS, ids=lambda value: getattr(value, "__name__", None))
def test_a_planted_fault_turns_its_check_red_and_no_other(
    sample: Sample, warm: Warm, plant: Callable[[Path], None], check: str, words: str
) -> None:
    plant(sample.source)
    asked = {name: run for name, run in checks(sample, warm).items() if name in {check, "ruff", "mypy", "data verify"}}
    results = {name: run() for name, run in asked.items()}
    red = {name: result for name, result in results.items() if result.status}
    assert list(red) == [check], {name: result.output for name, result in results.items()}
    assert words in red[check].output
    assert red[check].status == 1


def test_without_a_fault_every_check_is_green(sample: Sample, warm: Warm) -> None:
    for name, run in checks(sample, warm).items():
        result = run()
        assert result.status == 0, f"{name}: {result.output}"
