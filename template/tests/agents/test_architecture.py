# copier: filter replace("my_project", package_name)
"""Planted violations of the house, and deviations from a specification, are named; the project itself has none."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import my_project
from my_project import config as configs
from my_project_agents import architecture
from my_project_agents.schemas import ModelSpec

PACKAGE = Path(next(iter(my_project.__path__)))
SPECIFIED = sorted(Path(__file__).parents[1].glob("specified_*.yaml"))
BAD = '''"""A model that does what is not its work."""

import torch.optim
from torch import Tensor
from torch.utils.data import DataLoader

from ..training.storage import write_json

LOADER = DataLoader


def spoil(values: Tensor) -> None:
    """Do too much."""
    print(values)
    torch.save(values, "values.pt")
    values.sum().backward()
    write_json
'''


@pytest.fixture
def project(workspace: Path) -> Path:
    """Some code of the project, and its test of the house."""
    for name in (
        "__init__.py",
        "types.py",
        "run.py",
        f"models/{configs.load().model.kind}.py",
    ):  # a few: each is tested four times
        target = workspace / "src" / PACKAGE.name / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PACKAGE / name, target)
    (workspace / "tests").mkdir()
    shutil.copy(Path(__file__).parents[1] / architecture.HOUSE.name, workspace / architecture.HOUSE)
    return workspace


def test_the_project_has_no_violation_and_planted_ones_are_named(project: Path) -> None:
    assert architecture.validate(None, project) == {"ok": True, "violations": [], "spec": None}
    long = "\n".join(f"    {name} = 0" for name in map("x{}".format, range(31)))
    bad = project / "src" / PACKAGE.name / "models" / "bad.py"
    bad.write_text(f'{BAD}\n\ndef long() -> None:\n    """Never end."""\n{long}\n')
    found = architecture.validate(None, project)
    assert not found["ok"]
    assert {each["where"] for each in found["violations"]} == {"models/bad.py"}
    house = {each["rule"] for each in found["violations"]} - {"models_only_compute"}
    assert house == {
        "rooms_import_in_one_direction",
        "no_function_body_is_longer_than_a_screen",
        "functions_that_take_tensors_write_their_shapes_down",
    }
    pure = [each["what"].partition(": ")[2] for each in found["violations"] if each["rule"] == "models_only_compute"]
    for what in ("imports torch.optim", "imports torch.utils.data.DataLoader", "print ", "torch.save ", "backward "):
        assert any(what in line for line in pure), what


def test_without_the_test_of_the_house_nothing_is_said_to_be_in_order(project: Path) -> None:
    (project / architecture.HOUSE).unlink()
    with pytest.raises(ValueError, match=r"test_house\.py is not there"):
        architecture.validate(None, project)


def specified(**demands: Any) -> ModelSpec:
    """Return a specification of the default model, which it keeps, with other demands."""
    config = configs.load()
    values = configs.to_dict(config)
    count = sum(p.numel() for p in config.model.build().parameters())
    return ModelSpec.model_validate({"data": values["data"], "model": values["model"], "parameters": count, **demands})


def shape_of_a_row() -> tuple[int, ...] | None:
    inputs = configs.load().data.build("train")[torch.arange(1), 0].inputs
    return tuple(inputs.shape[1:]) if isinstance(inputs, torch.Tensor) else None


def test_a_model_that_is_as_specified_deviates_in_nothing() -> None:
    demands = {"inputs": shape_of_a_row() or None, "max_parameters": "100M", "latency_ms": 60_000}
    assert list(architecture.deviations(specified(**demands))) == []


@pytest.mark.parametrize(
    ("demands", "rule"),
    [
        ({"parameters": 7}, "parameters"),
        ({"max_parameters": 7}, "max_parameters"),
        ({"inputs": (9, 9, 9)}, "inputs"),
        ({"outputs": (9, 9, 9)}, "outputs"),
        ({"latency_ms": 1e-6}, "latency_ms"),
        ({"model": {"kind": "nothing"}}, "specification"),
        ({"model": {**configs.to_dict(configs.load())["model"], "depths": 3}}, "specification"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_deviation_is_named(demands: dict[str, Any], rule: str) -> None:
    found = list(architecture.deviations(specified(**demands)))
    assert [line[0] for line in found] == [rule], found


def test_a_specification_is_compared_together_with_the_code(project: Path) -> None:
    spec = project / "spec.yaml"
    spec.write_text(yaml.safe_dump({"model": {"kind": configs.load().model.kind}, "max_parameters": 1}))
    (violation,) = architecture.validate(spec, project)["violations"]
    assert violation["rule"] == "max_parameters"


def test_a_preset_with_other_options_than_specified_is_named() -> None:
    model = configs.to_dict(configs.load())["model"]
    option = next(name for name, value in model.items() if type(value) is int)
    wanted = ModelSpec.model_validate({"model": {"kind": model["kind"], option: model[option]}})
    assert list(architecture.deviations(wanted, configs.DEFAULT_PRESET)) == []
    wanted = ModelSpec.model_validate({"model": {"kind": model["kind"], option: 7_777}})
    ((rule, where, what),) = architecture.deviations(wanted, configs.DEFAULT_PRESET)
    assert (rule, where) == ("options", f"models/{model['kind']}.py")
    assert what == f"model.{option} is {model[option]}, specified is 7777"
    assert architecture.keeps({"depth": 2, "dim": 3}, {"depth": 2})
    assert not architecture.keeps(2, {"depth": 2})


@pytest.mark.parametrize("path", SPECIFIED, ids=lambda path: path.stem)
def test_what_was_specified_in_words_is_what_is_built(path: Path) -> None:
    wanted = ModelSpec.model_validate(yaml.safe_load(path.read_text()))
    assert list(architecture.deviations(wanted)) == []
    # copier: endfilter
