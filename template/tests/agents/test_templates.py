# copier: filter replace("my_project", package_name)
"""The templates of the skill are modules that work as they stand, and the example of a training runs."""

import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

from my_project import config as configs
from my_project import run as commands
from my_project.training import trainer
from my_project.training.storage import read_journal
from my_project.types import Batch
from my_project_agents import skeleton

from ..sample import PRESET

PROJECT = Path(__file__).parents[2]
TEMPLATES = PROJECT / skeleton.TEMPLATES

with_claude = pytest.mark.skipif(not TEMPLATES.is_dir(), reason=".claude was removed")


@pytest.fixture
def template(request: pytest.FixtureRequest) -> dict[str, Any]:
    return runpy.run_path(str(TEMPLATES / f"{request.param}_template.py"), run_name="template")


@with_claude
@pytest.mark.parametrize("template", ["model"], indirect=True)
@pytest.mark.parametrize("family", skeleton.FAMILIES)
def test_the_template_of_a_model_answers_and_learns(template: dict[str, Any], family: str) -> None:
    torch.manual_seed(0)
    model = template["ModelTemplate"](template["ModelTemplateConfig"](dropout=0.0), family)
    batch = Batch(torch.randn(16, 8, 8), torch.arange(16) % 10, torch.arange(16))
    optimizer, losses = torch.optim.AdamW(model.parameters(), lr=3e-3), list[float]()
    for _ in range(20):
        output = model(batch)
        assert output.outputs.shape == (16, 10)
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
        losses.append(output.loss.item())
    assert losses[-1] < 0.7 * losses[0]
    with pytest.raises(ValueError, match="num_heads 3 must divide dim 64"):
        template["ModelTemplateConfig"](num_heads=3)


@with_claude
@pytest.mark.parametrize("template", ["trainer"], indirect=True)
def test_the_template_of_a_trainer_trains_as_the_project_does_and_measures_more(
    template: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {"train.steps": 4, "train.log_every": 1, "train.eval_every": 4}
    journals = [read_journal(commands.fit(configs.load(PRESET, few)))]
    monkeypatch.setattr(commands, "engine", lambda _: template["Trainer"])
    journals.append(read_journal(commands.fit(configs.load(PRESET, few))))
    plain, more = ([line for line in lines if line["split"] == "train"] for lines in journals)
    assert issubclass(template["Trainer"], trainer.Trainer)
    assert [line["loss"] for line in more] == [line["loss"] for line in plain]
    assert all(line["weight_norm"] > 0 for line in more)


@with_claude
@pytest.mark.parametrize("template", ["config"], indirect=True)
def test_the_template_of_a_config_comes_back_from_yaml_and_refuses_what_is_wrong(
    template: dict[str, Any], workspace: Path
) -> None:
    config = template["ConfigTemplate"](dim=32, dropout=0.2)
    template["save"](config, workspace / "config.yaml")
    assert template["load"](workspace / "config.yaml") == config
    assert config.build()(torch.zeros(2, 32)).shape == (2, config.head_dim)
    for wrong in ("dim: 30", "dim: 0", "width: 3"):
        (workspace / "config.yaml").write_text(wrong)
        with pytest.raises(ValueError):  # noqa: PT011 (three messages)
            template["load"](workspace / "config.yaml")


def test_the_example_of_a_training_runs(capsys: pytest.CaptureFixture[str], workspace: Path) -> None:
    runpy.run_path(str(PROJECT / "examples" / "train.py"))["main"](steps=2)
    assert "loss of 4 rows" in capsys.readouterr().out
    assert list((workspace / "runs").glob("*/evaluation.json"))
    # copier: endfilter
