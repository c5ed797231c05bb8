# copier: filter replace("my_project", package_name)
"""What tests of the Predictor share: every preset of a task with weights by chance, and answers that are compared."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from my_project import config as configs
from my_project import run as commands
from my_project.serving.predictor import Predictor

from .sample import smaller

EXAMPLES = Path(__file__).parents[1] / "examples"
ALL = sorted(path.stem for path in configs.PRESETS.glob("*.yaml"))
NEAR = 1e-5
Record = dict[str, Any]


def presets(*tasks: str, kind: str = "") -> list[str]:
    """Return the presets of tasks, or of all, whose libraries are there; with `kind` those of such data.

    Of several that are made equal in tests there is one.
    """
    found = {name: configs.load(name, smaller(name)) for name in ALL}
    unlike = {repr((config.model, config.data)): name for name, config in reversed(found.items())}
    there = [
        name for name in ALL if find_spec(getattr(found[name].model, "library", "torch")) and name in unlike.values()
    ]
    wanted = [name for name in there if not tasks or found[name].data.task in tasks]
    return [name for name in wanted if kind in ("", found[name].data.kind)]


@cache
def untrained(preset: str) -> Predictor:
    """Return a preset's model, no weight of which is what it begins with, such as zero."""
    config = configs.load(preset, smaller(preset))
    torch.manual_seed(0)
    model = config.model.build()
    if hasattr(model, "prepare"):
        model.prepare(config.data.build("train"))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    return Predictor(config, model.eval(), Path("nowhere/best.pt"), torch.device("cpu"))


def predicted(predictor: Predictor, path: Path) -> Any:
    """Return what `predict` answers to a file with the same model."""
    with torch.inference_mode():
        return commands.task(predictor.config).answers(predictor.model, predictor.config.data, path)


def trained(preset: str) -> Path:
    """Return a run folder of a preset that was trained for a moment."""
    few = {"train.steps": 2, "train.eval_every": 2, "optim.warmup_steps": 1}
    return commands.fit(configs.load(preset, {**smaller(preset), **few}))


def equal(found: Any, wanted: Any, near: float = NEAR) -> bool:
    """Say whether two answers are the same, their numbers but for rounding."""
    if isinstance(wanted, float) and isinstance(found, float | int):
        return bool(found == pytest.approx(wanted, rel=near, abs=near))
    if isinstance(wanted, dict):
        return wanted.keys() == found.keys() and all(equal(found[key], wanted[key], near) for key in wanted)
    if isinstance(wanted, list):
        return len(wanted) == len(found) and all(equal(*pair, near) for pair in zip(found, wanted, strict=True))
    return bool(found == wanted)


def answers_alone(predictor: Predictor, rows: list[Record]) -> list[Record]:
    """Return the answers to rows of which each is a batch of its own."""
    return [predictor([row])[0] for row in rows]


def refusal(predictor: Predictor, row: Any) -> str:
    """Return the line that refuses a row, which stands behind a right one."""
    with pytest.raises(ValueError, match="^row 1: ") as refused:
        predictor([predictor.example, row])
    message = str(refused.value)
    assert "\n" not in message
    assert len(message) < 300
    return message
    # copier: endfilter
