# copier: filter replace("my_project", package_name)
"""A model that keeps the contract passes, and each way to break it is named."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from my_project import config as configs
from my_project.types import Batch, Carry, StepOutput
from my_project_agents import contract

from ..sample import PRESET, Net, NetConfig


class Detached(Net):
    """Its loss does not reach the blocks."""

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        features = self.blocks[0](batch.inputs).detach()
        outputs = self.head(features).sum(1)
        return StepOutput((outputs - batch.targets).square().sum() / max(1, len(outputs)), outputs, {})


class Broken(Net):
    """Answers as it should, then spoils what it says."""

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        outputs = self.spoil(batch, super().forward(self.look(batch), carry).outputs)
        errors = (outputs - batch.targets).square()
        return StepOutput(errors.sum() / max(1, len(outputs)), outputs, {})

    def look(self, batch: Batch) -> Batch:
        return batch

    def spoil(self, batch: Batch, outputs: Tensor) -> Tensor:
        return outputs


class WrongDim(Broken):
    def look(self, batch: Batch) -> Batch:
        return Batch(batch.inputs[:, :3], batch.targets, batch.index)


class Blind(Broken):
    def look(self, batch: Batch) -> Batch:
        return Batch(torch.ones_like(batch.inputs), batch.targets, batch.index)


class Mixing(Broken):
    def spoil(self, batch: Batch, outputs: Tensor) -> Tensor:
        return outputs - outputs.mean() if len(outputs) else outputs


class Undefined(Broken):
    def spoil(self, batch: Batch, outputs: Tensor) -> Tensor:
        share: Tensor = (batch.inputs / batch.inputs).mean(1)  # 0 / 0
        return outputs * share


class Random(Broken):
    def spoil(self, batch: Batch, outputs: Tensor) -> Tensor:
        return outputs + torch.rand_like(outputs)


class Forgetful(Broken):
    """Part of what it learned is in no checkpoint."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__(config)
        self.shift = torch.randn(())

    def spoil(self, batch: Batch, outputs: Tensor) -> Tensor:
        return outputs + self.shift


class Empty(Broken):
    def spoil(self, batch: Batch, outputs: Tensor) -> Tensor:
        return outputs - outputs.max().detach() * 0


class Frozen(Broken):
    """Its loss stays where it is."""

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        output = super().forward(batch, carry)
        return StepOutput(output.loss * 1e-9 + (1.0 if len(output.outputs) else 0.0), output.outputs, {})


BUGS: dict[type[Net], str] = {
    Detached: "gradients",
    WrongDim: "shapes",
    Blind: "inputs",
    Mixing: "alone",
    Undefined: "nothing",
    Random: "repeated",
    Forgetful: "saved",
    Empty: "empty",
    Frozen: "learns",
}


def checked(model: type[Net]) -> dict[str, str]:
    """Return the checks that a model of the sample's task does not pass, and why."""
    part = SimpleNamespace(kind="net", build=lambda: model(NetConfig()))
    found = contract.check_config(replace(configs.load(PRESET), model=part))
    assert found["ok"] == (not any(each["detail"] for each in found["checks"]))
    return {each["name"]: each["detail"] for each in found["checks"] if not each["ok"]}


def test_a_good_model_keeps_every_promise() -> None:
    assert checked(Net) == checked(Broken) == {}


@pytest.mark.parametrize(("model", "name"), BUGS.items(), ids=[model.__name__ for model in BUGS])
def test_each_planted_bug_is_found(model: type[Net], name: str) -> None:
    assert name in checked(model)


def test_the_default_model_keeps_every_promise() -> None:
    found = contract.check_model(configs.load().model.kind)
    assert [each for each in found["checks"] if not each["ok"]] == []


def test_a_model_without_a_preset_is_looked_at_with_the_default_data() -> None:
    assert contract.config_of("sample").model.kind == "sample"
    assert contract.check("sample", "shapes") != ""  # it reads other rows than those
    # copier: endfilter
