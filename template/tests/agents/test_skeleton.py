# copier: filter replace("my_project", package_name)
"""A new model is written for the project's own task, whole or not at all."""

import shutil
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import yaml

import my_project
from my_project import config as configs
from my_project_agents import assembly, contract, skeleton

PACKAGE = Path(next(iter(my_project.__path__)))
TEMPLATES = Path(__file__).parents[2] / skeleton.TEMPLATES
DATA = str(configs.load().data.kind)
FITTING = list(assembly.read_wiring(DATA)["families"])

pytestmark = pytest.mark.skipif(not TEMPLATES.is_dir(), reason=".claude was removed")


@pytest.fixture
def project(workspace: Path) -> Path:
    """The presets of the project, and its skill's templates."""
    shutil.copytree(PACKAGE / "presets", workspace / "src" / PACKAGE.name / "presets")
    shutil.copytree(TEMPLATES, workspace / skeleton.TEMPLATES)
    return workspace


def module_at(path: Path, name: str) -> Any:
    """Import a file as if it lay in the package."""
    spec = spec_from_file_location(f"{my_project.__name__}.models.{name}", path)
    assert spec
    assert spec.loader
    module = sys.modules[spec.name] = module_from_spec(spec)  # pydantic looks there for the types of fields
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("family", FITTING)
def test_what_is_written_keeps_the_contract_of_models(
    family: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = skeleton.create_model_skeleton("wide_net", family, project)
    model, preset, test = (project / name for name in done["files"])
    assert test.name == "test_wide_net.py"
    monkeypatch.setitem(configs.kinds("model"), "wide_net", module_at(model, "wide_net").WideNetConfig)
    checked = contract.check_config(configs.load(preset))
    assert [each for each in checked["checks"] if not each["ok"]] == []
    assert checked["kind"] == "wide_net"


def test_the_preset_is_the_default_one_with_the_new_model(project: Path) -> None:
    skeleton.create_model_skeleton("wide_net", FITTING[0], project)
    folder = project / "src" / PACKAGE.name / "presets"
    new, old = (yaml.safe_load((folder / f"{n}.yaml").read_text()) for n in ("wide_net", configs.DEFAULT_PRESET))
    assert new.pop("model")["kind"] == "wide_net"
    assert new == {key: value for key, value in old.items() if key != "model"}


def test_options_that_say_what_the_data_are_go_on_with_the_new_model(project: Path) -> None:
    preset = project / "src" / PACKAGE.name / "presets" / f"{configs.DEFAULT_PRESET}.yaml"
    text = assembly.assemble((TEMPLATES / "model_template.py").read_text(), FITTING[0], assembly.read_wiring(DATA))
    config = text[text.index("kind: Literal") :].splitlines()[1].split(":")[0].strip()  # the first field behind it
    values = yaml.safe_load(preset.read_text())
    preset.write_text(yaml.safe_dump({**values, "model": {**values["model"], config: 3, "dim": 7}}))
    files = skeleton.compose("wide_net", FITTING[0], project)
    written = next(yaml.safe_load(text) for path, text in files.items() if path.suffix == ".yaml")
    assert written["model"] == {"kind": "wide_net", **({config: 3} if config != "dim" else {})}


def test_a_dry_run_names_the_files_and_writes_none(project: Path) -> None:
    before = sorted(project.rglob("*"))
    done = skeleton.create_model_skeleton("wide_net", FITTING[0], project, dry_run=True)
    assert sorted(project.rglob("*")) == before
    names = [f"src/{PACKAGE.name}/models/wide_net.py", f"src/{PACKAGE.name}/presets/wide_net.yaml"]
    assert done["files"] == [*names, "tests/test_wide_net.py"]


@pytest.mark.parametrize(
    "there", ["src/{}/models/wide_net.py", "src/{}/presets/wide_net.yaml", "tests/test_wide_net.py"]
)
def test_nothing_is_overwritten(there: str, project: Path) -> None:
    path = project / there.format(PACKAGE.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    with pytest.raises(ValueError, match=path.name):
        skeleton.create_model_skeleton("wide_net", FITTING[0], project)
    assert path.read_text() == "mine"
    assert len(list(project.rglob("*wide_net*"))) == 1


@pytest.mark.parametrize("name", ["class", "Wide", "2d", "a-b", "a/b", "", "x" * 41, "_x", "batch", "model_template"])
def test_a_name_that_is_no_modules_is_refused(name: str, project: Path) -> None:
    with pytest.raises(ValueError, match="--name"):
        skeleton.create_model_skeleton(name, FITTING[0], project)


def test_a_family_that_does_not_fit_is_refused_with_those_that_do(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembly, "read_wiring", lambda _: {"families": {"mlp": {}, "cnn": {}}})
    with pytest.raises(ValueError, match=f"recurrent does not fit data of kind '{DATA}', want mlp, cnn"):
        skeleton.create_model_skeleton("wide_net", "recurrent", project)


def test_data_that_nobody_has_wired_are_refused() -> None:
    with pytest.raises(ValueError, match=r"data of kind 'tapes' have no tapes\.yaml"):
        assembly.read_wiring("tapes")


def test_without_the_skill_one_line_says_so(project: Path) -> None:
    shutil.rmtree(project / ".claude")
    with pytest.raises(ValueError, match=r"model_template\.py is not there: \.claude was removed"):
        skeleton.create_model_skeleton("wide_net", FITTING[0], project)


def test_outside_a_project_one_line_says_so(workspace: Path) -> None:
    with pytest.raises(ValueError, match="run this from the project's root"):
        skeleton.create_model_skeleton("wide_net", FITTING[0], workspace)


def test_tests_are_added_to_a_model_that_is_there(project: Path) -> None:
    kind = configs.load().model.kind
    with pytest.raises(ValueError, match=rf"no models/{kind}\.py"):
        skeleton.add_tests(kind, project)
    (project / "src" / PACKAGE.name / "models").mkdir()
    (project / "src" / PACKAGE.name / "models" / f"{kind}.py").touch()
    (project / "tests").mkdir()
    assert skeleton.add_tests(kind, project, dry_run=True)["dry_run"]
    assert not list((project / "tests").iterdir())
    (file,) = skeleton.add_tests(kind, project)["files"]
    module = module_at(project / file, "written")
    for name in contract.CHECKS:
        module.test_the_model_keeps_the_contract(name)
    with pytest.raises(ValueError, match="nothing is overwritten"):
        skeleton.add_tests(kind, project)
    # copier: endfilter
