# copier: filter replace("my_project", package_name)
"""What the figure of a task is made of makes that figure, whichever tasks the project has."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch

from my_project import config as configs
from my_project import run as commands
from my_project.commands.compare import groups_of
from my_project.config import Config
from my_project.data.loader import read_arrays, read_manifest
from my_project.evaluation.row_statistics import over_rows

from .sample import smaller

NUM_ROWS = 60
PRESETS = [configs.load(path.stem, smaller(path)) for path in sorted(configs.PRESETS.glob("*.yaml"))]
USABLE = [config for config in PRESETS if find_spec(getattr(config.model, "library", "torch"))]
TASKS = {f"{config.data.task}, {config.data.kind}": config for config in reversed(USABLE)}
every_task = pytest.mark.parametrize("config", TASKS.values(), ids=TASKS)


def scored(config: Config) -> tuple[Any, Any, Any]:
    torch.manual_seed(0)
    model = commands.build(config, config.data.build("train", num_rows=2 * NUM_ROWS))
    data = config.data.build("val", num_rows=NUM_ROWS)
    module = import_module(f"{configs.__package__}.evaluation.{config.data.task}_scores")
    return model, data, module.scores(model, data)


@every_task
def test_scores_make_the_figure_of_the_task(config: Config) -> None:
    model, data, scores = scored(config)
    wanted = commands.task(config).measure(model, data)
    assert scores.value == pytest.approx(wanted.value, rel=1e-5)
    assert (scores.primary, scores.higher_is_better) == (wanted.primary, wanted.higher_is_better)
    found = over_rows(scores)
    assert found.low is None or found.high is None or found.low <= scores.value <= found.high
    assert scores.share == bool(wanted.higher_is_better)  # all shares of this template are better where higher


@every_task
def test_rows_of_one_group_are_one_piece(config: Config) -> None:
    manifest = read_manifest(config.data.root)
    if "groups" in manifest.get("arrays", ()):
        whole = config.data.build("val")
        (file,) = (name for name in manifest["files"] if not name.endswith("_test.npz"))
        wanted = read_arrays(config.data.root, file)["val_groups"]
        found = groups_of(config.data.root, whole, "val")
        assert found is not None
        assert np.array_equal(found, wanted)
        assert len(np.unique(found)) < len(found) == len(whole)
    elif config.data.kind == "families":
        _, data, scores = scored(config)
        (search,) = data.searches()
        assert len(scores.totals) == len(data.targets[search.relevant.any(1)].unique()) < len(data)
    else:
        assert groups_of(config.data.root, config.data.build("val"), "val") is None
    # copier: endfilter
