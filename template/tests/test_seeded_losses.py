# copier: filter replace("my_project", package_name)
"""Figures of seeded runs do not change unnoticed; `pytest --update-golden` writes them anew."""

import json
from pathlib import Path

import pytest
import torch

from my_project import config as configs
from my_project import run as commands
from my_project.training.storage import read_journal

from .sample import smaller

GOLDEN = Path(__file__).parent / "golden"
NAMES = sorted(path.stem for path in configs.PRESETS.glob("*.yaml"))
PRESETS = [name for name in NAMES if not hasattr(configs.load(name).model, "library")]  # whose numbers are its own
OPTIONS = {"train.steps": 6, "train.log_every": 2, "train.device": "cpu", "optim.warmup_steps": 2}


@pytest.mark.parametrize("preset", PRESETS)
def test_the_losses_of_a_seeded_run_are_those_of_before(preset: str, request: pytest.FixtureRequest) -> None:
    folder = commands.fit(configs.load(preset, smaller(preset) | OPTIONS))
    losses = [line["loss"] for line in read_journal(folder)]
    golden = GOLDEN / f"{preset}.json"
    if request.config.getoption("--update-golden"):
        golden.write_text(json.dumps(losses) + "\n")
    torch.testing.assert_close(losses, json.loads(golden.read_text()), rtol=1e-3, atol=1e-4)
    # copier: endfilter
