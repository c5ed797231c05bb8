# copier: filter replace("my_project", package_name)
"""A run is one config: what is right loads and comes back equal, what is wrong is refused in one line."""

from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic.dataclasses import dataclass

from my_project import config as configs
from my_project.types import STRICT

from .sample import PRESET, NetConfig

PRESETS = sorted(path.stem for path in configs.PRESETS.glob("*.yaml"))


@pytest.mark.parametrize("preset", [*PRESETS, PRESET], ids=[*PRESETS, "sample"])
def test_a_saved_config_loads_back_equal(preset: str | Path, workspace: Path) -> None:
    config = configs.load(preset)
    configs.save(config, workspace / "config.yaml")
    assert configs.load(workspace / "config.yaml") == config


@given(
    lr=st.floats(1e-8, 1e3),
    steps=st.integers(1, 10**9),
    clip=st.floats(0, 1e6),
    betas=st.tuples(st.floats(0, 0.999), st.floats(0, 0.999)),
    out=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20),
)
def test_any_valid_config_survives_a_round_trip(
    lr: float, steps: int, clip: float, betas: tuple[float, float], out: str
) -> None:
    optim = {"optim.lr": lr, "optim.grad_clip": clip, "optim.betas": list(betas)}
    config = configs.load(PRESET, {**optim, "train.steps": steps})
    values = configs.to_dict(config)
    values["train"]["out"] = out
    assert configs.to_dict(configs.from_dict(values)) == values


def test_a_value_in_yaml_changes_the_model(workspace: Path) -> None:
    (workspace / "wide.yaml").write_text("model: {kind: sample, dim: 300}\n")
    wide, usual = configs.load(workspace / "wide.yaml"), configs.load(PRESET)
    sizes = [sum(p.numel() for p in config.model.build().parameters()) for config in (wide, usual)]
    assert sizes[0] > sizes[1]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class OtherConfig:
    kind: Literal["other"] = "other"
    dim: int = 7
    depth: int = 2

    def __post_init__(self) -> None:
        if self.dim % self.depth:
            raise ValueError(f"depth {self.depth} must divide dim {self.dim}")


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more kind of model, whose parts depend on each other."""
    monkeypatch.setitem(configs.kinds("model"), "other", OtherConfig)


@pytest.mark.usefixtures("other")
def test_another_kind_starts_from_its_own_defaults_wherever_it_stands_among_the_options(workspace: Path) -> None:
    (workspace / "deep.yaml").write_text("model: {kind: sample, dim: 9, depth: 3}\n")
    config = configs.load(workspace / "deep.yaml", {"model.dim": 40, "model.kind": "other"})
    assert configs.to_dict(config)["model"] == {"kind": "other", "dim": 40, "depth": 2}
    config = configs.load(workspace / "deep.yaml", {"model.dim": 40, "model.kind": "sample"})
    assert config.model == NetConfig(dim=40, depth=3)


def test_text_from_the_command_line_becomes_numbers_and_lists() -> None:
    config = configs.load(PRESET, {"optim.lr": "3e-3", "optim.freeze": "[head.bias]", "optim.lr_scales": "{head: 2}"})
    assert (config.optim.lr, config.optim.freeze, config.optim.lr_scales) == (3e-3, ("head.bias",), {"head": 2.0})


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"optim.lrr": "1"}, "unknown option 'optim.lrr': did you mean optim.lr?"),
        ({"optm.lr": "1"}, "unknown section 'optm': want one of data, model, optim, train, evaluation"),
        ({"optim.lr": "abc"}, "optim.lr: got 'abc', want a valid number"),
        ({"optim.lr": "-1"}, "optim.lr: got '-1', want a number greater than 0"),
        ({"optim.lr": "nan"}, "optim.lr: got 'nan', want a finite number"),
        ({"train.steps": "1.5"}, "train.steps: got '1.5', want a valid integer"),
        ({"train.steps": "0"}, "train.steps: got '0', want a number greater than 0"),
        ({"train.precision": "fp8"}, "train.precision: got 'fp8', want 'fp32', 'bf16' or 'fp16'"),
        ({"optim.betas": "0.9"}, "optim.betas: got '0.9', want a list, as in '[a, b]'"),
        ({"optim.betas": "[0.9"}, "while parsing a flow sequence"),
        ({"model.kind": "rnn"}, "model: unknown kind 'rnn': "),
        ({"data.kind": "rnn"}, "data: unknown kind 'rnn': "),
        ({"model.dropout": "-1"}, "model.dropout: got '-1', want a number greater than or equal to 0"),
        ({"model.kind": "other", "model.dim": 9}, "model: depth 2 must divide dim 9"),
    ],
)
@pytest.mark.usefixtures("other")
def test_a_wrong_option_is_refused_in_one_line(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        configs.load(PRESET, overrides)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optim: {lrr: 1}", "wrong.yaml: unknown option 'optim.lrr': did you mean optim.lr?"),
        ("extra: 1", "wrong.yaml: unknown section 'extra'"),
        ("- 1", "wrong.yaml: want sections data, model, optim, train, evaluation, found [1]"),
        ("data: [1, 2]", "wrong.yaml: data: got [1, 2], want a mapping of options"),
        ("optim: 3", "wrong.yaml: optim: got 3"),
        ("name: ../up", "wrong.yaml: name: got '../up'"),
        ("a: [", "wrong.yaml: while parsing"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(text: str, message: str, workspace: Path) -> None:
    path = workspace / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r".") as refused:
        configs.load(path)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("source", ["no_such_preset", "missing.yaml"])
def test_what_is_not_there_is_named(source: str) -> None:
    with pytest.raises(ValueError, match=source):
        configs.load(source)


def test_an_unknown_preset_is_refused_with_those_there_are(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("second", "first"):
        (workspace / f"{name}.yaml").touch()
    monkeypatch.setattr(configs, "PRESETS", workspace)
    with pytest.raises(ValueError, match="^unknown preset 'nope': want one of first, second$"):
        configs.load("nope")


def test_a_file_holds_what_differs_from_the_defaults(workspace: Path) -> None:
    (workspace / "empty.txt").write_text("model:\noptim: {lr: 0.5}\n")
    config = configs.load(workspace / "empty.txt")
    assert (config.name, config.optim.lr) == ("empty", 0.5)
    assert config.model == type(config.model)()


def test_differences_name_the_option_and_both_values() -> None:
    old, new = configs.load(PRESET), configs.load(PRESET, {"optim.lr": 0.5})
    assert configs.differences(old, new) == {"optim.lr": (old.optim.lr, 0.5)}


def test_every_option_explains_itself() -> None:
    told = configs.describe_options()
    names = {
        f"{s}.{o}"
        for preset in PRESETS
        for s, options in configs.to_dict(configs.load(preset)).items()
        if s != "name"
        for o in options
    }
    assert names <= told.keys()
    # copier: endfilter
